//! What lies among the directories of sandboxes and belongs to none of them.
//!
//! A directory that is named by an id was a sandbox's whose record is gone: it is removed when somebody
//! asks for a repair, unless it has a work disk or a VMM runs in it. Anything else there is somebody
//! else's. Neither is touched by a daemon on its own.

use crate::layout::{Layout, SandboxPaths};
use crate::vmm::{probe, qemu};
use banger_model::SandboxId;
use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Something that no record knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
}

/// What a stray is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Not made by banger, by its name.
    Foreign,
    /// The directory of a sandbox that is no more, with its work disk.
    WithWorkDisk,
    /// The directory of a sandbox that is no more, whose VMM runs.
    Runs,
    /// The directory of a sandbox that is no more, with nothing that could be missed.
    Empty,
    /// What the sockets of a sandbox were in that is no more.
    Sockets,
}

impl Kind {
    /// Whether a repair removes it.
    #[must_use]
    pub const fn may_go(self) -> bool {
        matches!(self, Self::Empty | Self::Sockets)
    }

    /// What it is, for people.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::Foreign => "not made by banger: left alone",
            Self::WithWorkDisk => {
                "a machine that no record knows, with a work disk: take what you need of it, then remove it"
            }
            Self::Runs => "a machine that no record knows, and its VMM runs: left alone",
            Self::Empty => "a machine that no record knows, without a work disk",
            Self::Sockets => "the sockets of a machine that no record knows",
        }
    }
}

/// Finds them. `known` is asked after the directories were listed: what is made meanwhile has been
/// known before it was there.
///
/// # Errors
/// When the directories cannot be read.
pub fn find(
    layout: &Layout,
    known: impl FnOnce() -> BTreeSet<SandboxId>,
) -> io::Result<Vec<Stray>> {
    let states = entries(&layout.sandboxes())?;
    let runtimes = entries(&layout.sandbox_runtimes())?;
    let known = known();
    let short: BTreeSet<_> = known.iter().map(SandboxId::short).collect();
    let states = states.into_iter().filter_map(|path| {
        let id = named(&path).and_then(|name| name.parse().ok());
        let kind = match id {
            None => Kind::Foreign,
            Some(id) if known.contains(&id) => return None,
            Some(id) => kind_of(&SandboxPaths::of(layout, id)),
        };
        Some(Stray { path, kind })
    });
    let runtimes = runtimes.into_iter().filter_map(|path| {
        let name = named(&path).unwrap_or_default();
        if short.contains(name) || probe::state_of(layout, name).exists() {
            return None;
        }
        let kind = match (is_short(name), runs(&path)) {
            (false, _) => Kind::Foreign,
            (true, true) => Kind::Runs,
            (true, false) => Kind::Sockets,
        };
        Some(Stray { path, kind })
    });
    // What has gone meanwhile was being deleted.
    let all = states.chain(runtimes).filter(|stray| stray.path.exists());
    Ok(all.collect())
}

/// Removes one that may go.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(stray: &Stray) -> io::Result<()> {
    if !stray.kind.may_go() {
        return Err(io::Error::other(stray.kind.what()));
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "it is named by an id, and no record has that id"
    )]
    fs::remove_dir_all(&stray.path)
}

fn kind_of(paths: &SandboxPaths) -> Kind {
    if paths.work_disk().exists() {
        Kind::WithWorkDisk
    } else if runs(&paths.runtime) {
        Kind::Runs
    } else {
        Kind::Empty
    }
}

/// Whether a VMM answers in a runtime directory, or was started to.
fn runs(runtime: &Path) -> bool {
    let paths = SandboxPaths {
        state: PathBuf::new(),
        runtime: runtime.to_owned(),
    };
    // What cannot be looked at may run.
    UnixStream::connect(paths.vmm_socket()).is_ok()
        || qemu::started_for(&paths).map_or(true, |found| found.is_some())
}

fn is_short(name: &str) -> bool {
    name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn named(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        listed => {
            let mut paths = listed?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<io::Result<Vec<_>>>()?;
            paths.sort();
            Ok(paths)
        }
    }
}

#[cfg(test)]
mod t1 {
    use super::*;

    fn layout(directory: &Path) -> Layout {
        Layout {
            config: directory.join("config"),
            state: directory.join("state"),
            cache: directory.join("cache"),
            runtime: directory.join("run"),
        }
    }

    #[test]
    fn only_what_nobody_can_miss_may_go_and_what_is_known_is_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let layout = layout(directory.path());
        let [known, empty, with_disk] = [1, 2, 3].map(|byte| SandboxId::from_random([byte; 16]));
        for id in [known, empty, with_disk] {
            fs::create_dir_all(layout.sandbox(id)).expect("made");
            fs::create_dir_all(layout.sandbox_runtime(id)).expect("made");
        }
        fs::write(SandboxPaths::of(&layout, with_disk).work_disk(), "mine").expect("written");
        fs::write(layout.sandboxes().join("notes.txt"), "mine").expect("written");
        let found = find(&layout, || [known].into()).expect("found");
        let kinds: BTreeSet<_> = found
            .iter()
            .map(|stray| (named(&stray.path).expect("a name"), stray.kind.may_go()))
            .collect();
        let (empty, with_disk) = (empty.to_string(), with_disk.to_string());
        assert_eq!(
            kinds,
            [
                ("notes.txt", false),
                (&with_disk[..8], true),
                (&with_disk, false),
                (&empty[..8], true),
                (&empty, true),
            ]
            .into()
        );
        for stray in found.iter().filter(|stray| stray.kind.may_go()) {
            remove(stray).expect("removed");
        }
        let left = find(&layout, || [known].into()).expect("found");
        assert_eq!(left.len(), 2);
        assert!(
            left.iter()
                .all(|stray| remove(stray).is_err() && stray.path.exists())
        );
    }

    #[test]
    fn without_directories_there_are_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let found = find(&layout(directory.path()), BTreeSet::new);
        assert_eq!(found.expect("nothing is wrong"), []);
    }
}
