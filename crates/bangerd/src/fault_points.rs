//! Places where a test can ask for a fault: before and after each step, each write of a record or of the
//! journal, and the parts of a launch. Their names come from the steps themselves, so that a new step has its places
//! without anyone thinking of them.
//!
//! Only with the feature `fault-points`, which no release is built with: `cargo xtask build` looks for
//! [`DIRECTORY`] in what it has built. A test names a directory by that variable and makes one in it
//! for each sandbox of interest. There every place that is passed is added to the file `passed`; a file
//! with a place's name asks for a fault at it:
//!
//! | content | what happens |
//! |---|---|
//! | `hold` | it is held there until the file is removed; `NAME.held` says that it is |
//! | `fail` | the step fails, once |
//! | `full` | from there on whatever writes to the disk finds it full, until the file `full` is removed |
//! | `panic` | an error in banger itself |

use crate::record::Record;
use banger_model::plan::{HostObject, Step};
use std::fmt;

/// The environment variable that names the directory.
#[cfg(feature = "fault-points")]
pub const DIRECTORY: &str = "BANGER_TEST_FAULTS";

/// Where something is done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// A step of a plan.
    Step(Step),
    /// The step that takes another one back.
    Undo(Step),
    /// A record changes from one to the other.
    Record(&'a Record, &'a Record),
    /// A new record is written.
    Created,
    /// A record is removed.
    Forgotten,
    /// A part of a step.
    Phase(&'static str),
    /// The journal is written: `begun`, `cancelled` or `ended`.
    Journal(&'static str),
}

/// Before it or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

impl Place<'_> {
    /// Whether a full disk is in its way.
    #[cfg_attr(
        not(feature = "fault-points"),
        expect(dead_code, reason = "asked by faults")
    )]
    const fn writes(&self) -> bool {
        match self {
            Self::Step(Step::Make(object)) => matches!(
                object,
                HostObject::StateDirectory | HostObject::SystemDisk | HostObject::WorkDisk
            ),
            Self::Record(..) | Self::Created | Self::Forgotten | Self::Journal(_) => true,
            Self::Phase(name) => matches!(
                name.as_bytes(),
                b"copy-disks"
                    | b"save-memory"
                    | b"publish-snapshot"
                    | b"copy-snapshot"
                    | b"put-memory"
            ),
            Self::Step(Step::Remove(_)) | Self::Undo(_) => false,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step) => step.fmt(f),
            Self::Undo(step) => write!(f, "undo-{}", step.object()),
            Self::Record(before, after) => write!(f, "record-{}", changed(before, after)),
            Self::Created => f.write_str("record-new"),
            Self::Forgotten => f.write_str("record-forgotten"),
            Self::Phase(name) => f.write_str(name),
            Self::Journal(what) => write!(f, "journal-{what}"),
        }
    }
}

/// What of a record changes: its state, or else the first part of it that does.
fn changed(before: &Record, after: &Record) -> &'static str {
    if before.state != after.state {
        return after.state.word();
    }
    let parts = [
        ("unfinished", before.unfinished != after.unfinished),
        ("run", before.run != after.run),
        ("network", before.network != after.network),
        ("spec", before.spec != after.spec),
        ("reason", before.reason != after.reason),
    ];
    let found = parts.into_iter().find(|(_, differs)| *differs);
    found.map_or("same", |(part, _)| part)
}

/// Passes a place.
///
/// # Errors
/// The fault that a test asks for; none without the feature.
#[cfg(not(feature = "fault-points"))]
pub(crate) async fn pass(
    _: &banger_model::SandboxName,
    _: Place<'_>,
    _: Side,
) -> Result<(), banger_proto::fault::Fault> {
    Ok(())
}

#[cfg(feature = "fault-points")]
pub(crate) use asked::pass;

#[cfg(feature = "fault-points")]
mod asked {
    use super::{DIRECTORY, Place, Side};
    use crate::disks::DiskError;
    use banger_model::SandboxName;
    use banger_proto::fault::{Fault, FaultCode};
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    /// Between two looks whether it is held still.
    const LOOK_EVERY: Duration = Duration::from_millis(5);

    /// Passes a place.
    ///
    /// # Errors
    /// The fault that a test asks for.
    pub(crate) async fn pass(
        sandbox: &SandboxName,
        place: Place<'_>,
        side: Side,
    ) -> Result<(), Fault> {
        let Some(directory) = std::env::var_os(DIRECTORY) else {
            return Ok(());
        };
        let directory = PathBuf::from(directory).join(sandbox.as_str());
        if !directory.is_dir() {
            return Ok(());
        }
        let side = match side {
            Side::Before => "before",
            Side::After => "after",
        };
        let (writes, name) = (place.writes(), format!("{place}.{side}"));
        note(&directory, &name);
        let full = directory.join("full");
        if writes && full.exists() {
            return Err(no_room(&directory));
        }
        let ask = directory.join(&name);
        match fs::read_to_string(&ask).unwrap_or_default().as_str() {
            "hold" => hold(&ask).await,
            "fail" => {
                once(&ask);
                let message = format!("a test asked for a fault at {name}");
                return Err(Fault::new(FaultCode::Failed, message));
            }
            "full" => {
                once(&ask);
                put(&full, "");
                return Err(no_room(&directory));
            }
            "panic" => {
                once(&ask);
                #[expect(clippy::panic, reason = "it is what was asked for")]
                {
                    panic!("a test asked for an error at {name}");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn no_room(place: &Path) -> Fault {
        let place = place.to_owned();
        DiskError::Full { place }.fault()
    }

    async fn hold(ask: &Path) {
        let mut held = ask.as_os_str().to_owned();
        held.push(".held");
        put(Path::new(&held), "");
        while ask.exists() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn once(ask: &Path) {
        if let Err(error) = fs::remove_file(ask) {
            tracing::warn!("cannot take {} back: {error}", ask.display());
        }
    }

    fn put(path: &Path, text: &str) {
        if let Err(error) = fs::write(path, text) {
            tracing::warn!("cannot write {}: {error}", path.display());
        }
    }

    fn note(directory: &Path, name: &str) {
        let path = directory.join("passed");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{name}")) {
            tracing::warn!("cannot write {}: {error}", path.display());
        }
    }
}
