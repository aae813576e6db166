//! What an operation was asked to do: as it is journalled, and what that allows.
//!
//! | kind          | cancelled while it waits | cancelled while it goes on     | the daemon is killed: the next one   |
//! |---------------|--------------------------|--------------------------------|--------------------------------------|
//! | create        | nothing is left          | nothing is left                | goes on, if its client comes back    |
//! | start         | gives up its place       | undone, the sandbox is stopped | starts it, unless the host restarted |
//! | stop          | gives up its place       | refused                        | stops it                             |
//! | restart       | gives up its place       | stopped                        | does what is left of it              |
//! | kill          | gives up its place       | refused                        | kills it; other signals are not sent |
//! | set           | gives up its place       | refused                        | changes it                           |
//! | rename        | gives up its place       | refused                        | renames it                           |
//! | delete        | gives up its place       | refused                        | deletes it                           |
//! | prune         | gives up its place       | refused                        | deletes it, if nobody uses it        |
//! | repair        | gives up its place       | refused                        | repairs it                           |
//! | snapshot      | gives up its place       | refused                        | makes it                             |
//! | suspend       | gives up its place       | refused                        | suspends it                          |
//! | restore       | gives up its place       | refused                        | restores it                          |
//! | promote       | gives up its place       | refused                        | does it, if the fork is there still  |
//! | undo          | gives up its place       | refused                        | undoes it                            |
//! | import        | nothing is left          | nothing is left                | fails: the file was the client's     |
//! | image-import  | nothing is left          | nothing is left                | fails: the archive was the client's  |
//! | image-make    | leaves it to others      | nothing is left, or to others  | makes it                             |
//! | template-make | nothing is left          | nothing is left                | fails: it is made when it is wanted  |
//! | pool-fill     | nothing is left          | nothing is left                | fails: it is filled when it is wanted |
//! | kernel-import | leaves it to others      | nothing is left, or to others  | imports it                           |

use crate::vmm::ProcessIdentity;
use banger_model::snapshot::Tag;
use banger_model::{SandboxId, SandboxName, Wait};
use banger_proto::owner::artifact::KernelImport;
use banger_proto::owner::sandbox::{CreateRequest, SetRequest};
use serde::{Deserialize, Serialize};

/// The form of [`Asked`] in the journal. A daemon ends what has another as failed: it must count up when
/// the same text would mean something else.
pub const FORM: i64 = 1;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Asked {
    /// Create a sandbox, and start it if the request says so.
    Create {
        /// What its client sent.
        request: Box<CreateRequest>,
    },
    /// Start it.
    Start {
        /// What to wait for.
        wait: Wait,
    },
    /// Shut its guest down.
    Stop,
    /// Stop, then start.
    Restart {
        /// What to wait for.
        wait: Wait,
        /// What ran when it was asked: another run is this operation's.
        before: Option<RunMark>,
    },
    /// Send its VMM a signal.
    Kill {
        /// Its name, as `TERM`.
        signal: String,
    },
    /// Change what it is to be.
    Set {
        /// What of it.
        change: SetRequest,
    },
    /// Give it another name.
    Rename {
        /// Which.
        to: SandboxName,
    },
    /// Remove everything of it.
    Delete,
    /// Remove everything of it, if it does not run.
    Prune,
    /// Bring record and host together again.
    Repair,
    /// Keep this moment of it.
    Snapshot {
        /// Under which name.
        tag: Tag,
    },
    /// Save its guest's memory and end its VMM.
    Suspend,
    /// Take it back to a snapshot.
    Restore {
        /// Which.
        tag: Tag,
    },
    /// Put what a fork is in its place.
    Promote {
        /// Which.
        fork: SandboxId,
    },
    /// Take it back to what it was before one of its commands.
    Undo {
        /// The number of the checkpoint: once it is there, it is there.
        to: u32,
    },
    /// Make a sandbox of an export that the client sends.
    Import,
    /// Make an image of an archive that the client sends.
    ImageImport,
    /// Make an image of the host's own distribution.
    ImageMake,
    /// Boot a machine of this kind and keep it as a template.
    TemplateMake {
        /// Of which kind.
        request: Box<CreateRequest>,
    },
    /// Have one more machine of this kind wait in the pool.
    PoolFill {
        /// Of which kind.
        request: Box<CreateRequest>,
    },
    /// Take a kernel in.
    KernelImport {
        /// From where.
        from: KernelImport,
    },
}

/// Tells one run of a sandbox from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunMark {
    pid: u32,
    start_time: u64,
    boot_id: String,
}

impl From<&ProcessIdentity> for RunMark {
    fn from(process: &ProcessIdentity) -> Self {
        Self {
            pid: process.pid,
            start_time: process.start_time,
            boot_id: process.boot_id.clone(),
        }
    }
}

/// What becomes of an operation whose daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    GoesOn,
    /// It is undone: nobody can be waiting for it.
    IsUndone,
    /// It has failed, for this reason.
    Fails(&'static str),
}

impl Asked {
    /// The word that is shown, logged and stored.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Start { .. } => "start",
            Self::Stop => "stop",
            Self::Restart { .. } => "restart",
            Self::Kill { .. } => "kill",
            Self::Set { .. } => "set",
            Self::Rename { .. } => "rename",
            Self::Delete => "delete",
            Self::Prune => "prune",
            Self::Repair => "repair",
            Self::Snapshot { .. } => "snapshot",
            Self::Suspend => "suspend",
            Self::Restore { .. } => "restore",
            Self::Promote { .. } => "promote",
            Self::Undo { .. } => "undo",
            Self::Import => "import",
            Self::ImageImport => "image-import",
            Self::ImageMake => "image-make",
            Self::TemplateMake { .. } => "template-make",
            Self::PoolFill { .. } => "pool-fill",
            Self::KernelImport { .. } => "kernel-import",
        }
    }

    /// Whether it ends when nobody follows it any more: what is half made is of use to nobody.
    #[must_use]
    pub const fn is_its_clients(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Import)
    }

    /// Whether it is done though it cannot be recorded: on a full disk it is the remedy.
    #[must_use]
    pub const fn frees_room(&self) -> bool {
        matches!(
            self,
            Self::Stop | Self::Kill { .. } | Self::Delete | Self::Prune | Self::Repair
        )
    }

    /// Why it cannot be cancelled once it goes on; `None` when it can.
    #[must_use]
    pub const fn why_not_cancelled(&self) -> Option<&'static str> {
        match self {
            Self::Create { .. }
            | Self::Start { .. }
            | Self::Restart { .. }
            | Self::Import
            | Self::ImageImport
            | Self::ImageMake
            | Self::TemplateMake { .. }
            | Self::PoolFill { .. }
            | Self::KernelImport { .. } => None,
            Self::Stop => Some("a guest that shuts down cannot be called back"),
            Self::Kill { .. } => Some("a signal that was sent cannot be called back"),
            Self::Set { .. } | Self::Rename { .. } => Some("the change is being made"),
            Self::Delete | Self::Prune => Some("what is removed is gone"),
            Self::Repair => Some("what is found is being cleaned"),
            Self::Snapshot { .. } | Self::Suspend => Some("the guest is being saved"),
            Self::Restore { .. } | Self::Promote { .. } | Self::Undo { .. } => {
                Some("what is replaced is gone")
            }
        }
    }

    /// What becomes of it in the daemon after the one that began it.
    #[must_use]
    pub fn fate(&self, same_boot: bool) -> Fate {
        let restarted = "the host was restarted before it ended";
        match self {
            // Its moment is over: another would not be the one that was meant.
            Self::Create { request } if request.from.is_some() => Fate::IsUndone,
            Self::Create { .. } if same_boot => Fate::GoesOn,
            Self::Create { .. } => Fate::IsUndone,
            Self::Start { .. } | Self::Restart { .. } if !same_boot => Fate::Fails(restarted),
            Self::Kill { signal } if signal != "KILL" => {
                Fate::Fails("the daemon ended before it was known whether the signal was sent")
            }
            Self::TemplateMake { .. } => {
                Fate::Fails("the daemon ended while it was made: it is made when it is wanted")
            }
            Self::PoolFill { .. } => {
                Fate::Fails("the daemon ended while it was made: it is made when it is wanted")
            }
            Self::Import => Fate::Fails("the daemon ended while it was made: send the file again"),
            Self::ImageImport => {
                Fate::Fails("the daemon ended while the archive was sent: send it again")
            }
            Self::Start { .. }
            | Self::Stop
            | Self::Restart { .. }
            | Self::Kill { .. }
            | Self::Set { .. }
            | Self::Rename { .. }
            | Self::Delete
            | Self::Prune
            | Self::Repair
            | Self::Snapshot { .. }
            | Self::Suspend
            | Self::Restore { .. }
            | Self::Promote { .. }
            | Self::Undo { .. }
            | Self::ImageMake
            | Self::KernelImport { .. } => Fate::GoesOn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag() -> Tag {
        "good".parse().expect("a tag")
    }

    fn all() -> Vec<Asked> {
        let wait = Wait::default();
        vec![
            Asked::Create {
                request: Box::default(),
            },
            Asked::Start { wait },
            Asked::Stop,
            Asked::Restart { wait, before: None },
            Asked::Kill {
                signal: "KILL".into(),
            },
            Asked::Set {
                change: SetRequest::default(),
            },
            Asked::Rename {
                to: "web".parse().expect("a name"),
            },
            Asked::Delete,
            Asked::Prune,
            Asked::Repair,
            Asked::Snapshot { tag: tag() },
            Asked::Suspend,
            Asked::Restore { tag: tag() },
            Asked::Promote {
                fork: SandboxId::from_random([7; 16]),
            },
            Asked::Undo { to: 3 },
            Asked::Import,
            Asked::ImageImport,
            Asked::ImageMake,
            Asked::TemplateMake {
                request: Box::default(),
            },
            Asked::PoolFill {
                request: Box::default(),
            },
            Asked::KernelImport {
                from: KernelImport::Default,
            },
        ]
    }

    /// The table in the module head, read from this very file, is what the functions answer.
    #[test]
    fn the_table_in_the_head_is_the_policy_in_the_code() {
        let rows: Vec<Vec<String>> = include_str!("asked.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! |"))
            .map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect())
            .collect();
        let body = rows.get(2..).expect("head and rule come first");
        assert_eq!(body.len(), all().len());
        for (row, asked) in body.iter().zip(all()) {
            let [kind, _, going_on, killed, _] = row.as_slice() else {
                panic!("{row:?}")
            };
            assert_eq!(asked.kind(), kind);
            let refused = asked.why_not_cancelled().is_some();
            assert_eq!(refused, going_on == "refused", "{kind}");
            let fails = matches!(asked.fate(true), Fate::Fails(_));
            assert_eq!(fails, killed.starts_with("fails"), "{kind}");
            let boots = killed.contains("unless the host restarted") || kind == "restart";
            let fails_later = matches!(asked.fate(false), Fate::Fails(_));
            assert_eq!(fails_later, boots || fails, "{kind}");
        }
    }

    #[test]
    fn what_is_journalled_is_read_again_and_names_its_kind() {
        for asked in all() {
            let text = serde_json::to_string(&asked).expect("plain");
            assert!(
                text.contains(&format!("\"kind\":\"{}\"", asked.kind())),
                "{text}"
            );
            assert_eq!(serde_json::from_str::<Asked>(&text).expect(&text), asked);
        }
    }

    #[test]
    fn what_a_later_version_asks_is_not_mistaken_for_something_else() {
        for text in [
            r#"{"kind":"fork"}"#,
            r#"{"kind":"set","change":{"colour":"red"}}"#,
            r#"{"kind":"start"}"#,
            "{}",
        ] {
            assert!(serde_json::from_str::<Asked>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_signal_that_can_be_sent_twice_is_sent_again() {
        let kill = |signal: &str| Asked::Kill {
            signal: signal.into(),
        };
        assert_eq!(kill("KILL").fate(true), Fate::GoesOn);
        assert!(matches!(kill("USR1").fate(true), Fate::Fails(_)));
    }

    #[test]
    fn a_creation_is_undone_when_its_client_cannot_come_back() {
        let create = Asked::Create {
            request: Box::default(),
        };
        assert_eq!(create.fate(true), Fate::GoesOn);
        assert_eq!(create.fate(false), Fate::IsUndone);
    }
}
