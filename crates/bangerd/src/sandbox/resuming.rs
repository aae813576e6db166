//! Going on from what was saved, instead of booting.
//!
//! A sandbox whose directory has `resume/` has not been written to since that was saved. Before a VMM loads it, it
//! becomes `origin/`: should everything be killed then, nothing can load an old memory over newer disks, and the
//! sandbox boots from them. What cannot be loaded is told, and the guest is booted.

use super::act::Work;
use crate::layout::SandboxPaths;
use crate::services::blocking;
use crate::snapshots::{Fingerprint, Part, Snapshot};
use crate::vmm::Saved;
use banger_proto::fault::{Fault, FaultCode};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// A guest that goes on.
pub(super) struct GoesOn {
    pub(super) saved: Saved,
    /// It was suspended, and is the same sandbox: clients of its sessions may come back.
    pub(super) as_itself: bool,
}

impl Work {
    /// What the guest can go on from, as it will lie when its VMM is launched; none: it boots.
    pub(super) async fn saved_guest(&self, now: &Fingerprint) -> Result<Option<GoesOn>, Fault> {
        let directory = self.paths.resume();
        if !directory.exists() {
            return Ok(None);
        }
        match self.can_load(&directory, now).await {
            Ok(snapshot) => {
                let origin = self.paths.origin();
                Ok(Some(GoesOn {
                    saved: Saved {
                        memory: origin.join(Part::Memory.name()),
                        devices: origin.join(Part::Devices.name()),
                    },
                    as_itself: snapshot.manifest.suspended == Some(self.record().id),
                }))
            }
            Err(why) => {
                self.progress.note(format!(
                    "its saved memory cannot be used: {why}; booting from its disks"
                ));
                self.discard_saved()?;
                Ok(None)
            }
        }
    }

    async fn can_load(&self, directory: &Path, now: &Fingerprint) -> Result<Snapshot, String> {
        let (directory, verified) = (directory.to_owned(), Arc::clone(&self.services.verified));
        let opened = blocking(move || {
            let snapshot = Snapshot::open(&directory)?;
            snapshot.verify(&verified)?;
            Ok(snapshot)
        });
        let snapshot = opened.await.map_err(|fault| fault.message)?;
        let why_not = match &snapshot.manifest.fingerprint {
            Some(then) => then.differs(now),
            None => Some("it does not say what it was saved on".to_owned()),
        };
        why_not.map_or(Ok(snapshot), Err)
    }

    /// Whether there is something to go on from.
    pub(super) fn has_saved(&self) -> bool {
        self.paths.resume().exists()
    }

    /// Gives the saved memory up: the sandbox boots from its disks.
    pub(super) fn discard_saved(&self) -> Result<(), Fault> {
        remove(&self.paths.resume())
    }
}

/// Before a VMM is launched: what it loads is nobody's to load again, and what a run before went on from is gone.
pub(super) fn take(paths: &SandboxPaths, resumes: bool) -> Result<(), Fault> {
    remove(&paths.origin())?;
    if !resumes {
        return Ok(());
    }
    std::fs::rename(paths.resume(), paths.origin()).map_err(failed("take", &paths.resume()))
}

/// A VMM that did not load it, and whose guest did not run, has changed no disk.
pub(super) fn put_back(paths: &SandboxPaths) {
    if let Err(error) = std::fs::rename(paths.origin(), paths.resume()) {
        tracing::warn!("cannot keep what was saved of a guest: {error}");
    }
}

pub(super) fn failed<'a>(
    what: &'a str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> Fault + 'a {
    move |error| {
        let message = format!("cannot {what} {}: {error}", path.display());
        Fault::new(FaultCode::Failed, message)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is saved of a guest lies in its sandbox's own directory"
)]
pub(super) fn remove(directory: &Path) -> Result<(), Fault> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(failed("remove", directory)(error))
        }
        _ => Ok(()),
    }
}
