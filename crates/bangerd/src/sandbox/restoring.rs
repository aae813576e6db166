//! Taking a sandbox back to one of its snapshots, or letting what a fork of it is take its place.
//!
//! ```text
//! verify ── copy to .restored ── rename to restored/ ── end the VMM ── move disks, then memory ── start
//!                                     │ killed here, the VMM lives: restored/ is removed
//!                                     └ killed later: the next daemon moves what is left of it
//! ```
//!
//! Nothing of the sandbox is touched before a whole copy of the snapshot lies beside it, and what is replaced is
//! replaced by renames that can be done again.

use super::act::{Failure, Work};
use super::command::Back;
use super::resuming;
use super::works::{Outcome, start};
use crate::fault_points::Side;
use crate::layout::SandboxPaths;
use crate::services::blocking;
use crate::snapshots::Snapshot;
use crate::vmm::DiskRole;
use banger_model::SandboxState;
use banger_model::plan::Goal;
use banger_model::snapshot::Tag;
use banger_model::spec::Wait;
use banger_proto::fault::{Fault, FaultCode};
use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

/// Takes it back, and starts it where the snapshot is of a guest that ran.
pub(super) async fn restore(mut work: Work, back: Back) -> Outcome {
    let chosen = match back {
        Back::To(tag) => work.chosen(&tag).await,
        Back::Into(snapshot) => Ok(snapshot),
    };
    let snapshot = match chosen {
        Ok(snapshot) => snapshot,
        Err(fault) => return Outcome::failed(work, fault),
    };
    let had_run = work.record().state == SandboxState::Running;
    let runs = snapshot.saved().is_some() || had_run;
    match work.replace_by(snapshot).await {
        Ok(()) if runs => start(work, Wait::Agent).await,
        result => Outcome::of(work, result),
    }
}

impl Work {
    async fn chosen(&self, tag: &Tag) -> Result<Arc<Snapshot>, Fault> {
        let (directory, name) = (self.paths.snapshot(tag), self.record().name);
        if !directory.exists() {
            let message = format!("sandbox {name} has no snapshot {tag}");
            return Err(Fault::new(FaultCode::NotFound, message)
                .with_remedy(format!("see `banger vm snapshots {name}`")));
        }
        let verified = Arc::clone(&self.services.verified);
        self.progress.stage("checking the snapshot");
        blocking(move || {
            let snapshot = Snapshot::open(&directory)?;
            snapshot.verify(&verified)?;
            Ok(Arc::new(snapshot))
        })
        .await
    }

    async fn replace_by(&mut self, snapshot: Arc<Snapshot>) -> Result<(), Failure> {
        self.progress.stage("copying the snapshot");
        self.pass("copy-snapshot", Side::Before).await?;
        let paths = self.paths.clone();
        blocking(move || copy_beside(&snapshot, &paths)).await?;
        self.pass("copy-snapshot", Side::After).await?;
        self.progress.stage("ending the VMM");
        self.view.send_modify(|view| view.link = None);
        self.reach(Goal::AtRest).await?;
        self.pass("move-restored", Side::Before).await?;
        self.replaces_undo()?;
        move_restored(&self.paths)?;
        self.pass("move-restored", Side::After).await?;
        Ok(self.settle(None).await?)
    }

    /// After a crash: a restore whose VMM lives had replaced nothing yet.
    pub(super) fn finish_restore(&self, vmm_lives: bool) -> Result<(), Fault> {
        let restored = self.paths.restored();
        if !restored.exists() {
            return Ok(());
        }
        if vmm_lives {
            return resuming::remove(&restored);
        }
        self.progress
            .note("a restore had been begun: it is finished");
        move_restored(&self.paths)
    }
}

/// The copy of a snapshot, as if it were a sandbox of its own.
fn beside(paths: &SandboxPaths, name: &str) -> SandboxPaths {
    SandboxPaths {
        state: paths.state.join(name),
        runtime: paths.runtime.clone(),
    }
}

/// Copies all of a snapshot beside the sandbox; it is there by rename, once it is whole and on the disk.
fn copy_beside(snapshot: &Snapshot, paths: &SandboxPaths) -> Result<(), Fault> {
    let copy = beside(paths, ".restored");
    resuming::remove(&copy.state)?;
    DirBuilder::new()
        .mode(0o700)
        .create(&copy.state)
        .map_err(resuming::failed("make", &copy.state))?;
    for role in [DiskRole::System, DiskRole::Work] {
        snapshot.copy_disk(role, &copy)?;
    }
    for disk in [copy.system_disk(), copy.work_disk()] {
        let synced = File::open(&disk).and_then(|file| file.sync_all());
        synced.map_err(resuming::failed("write", &disk))?;
    }
    if snapshot.saved().is_some() {
        snapshot.put_resume(&copy)?;
    }
    let to = paths.restored();
    std::fs::rename(&copy.state, &to).map_err(resuming::failed("name", &to))
}

/// Moves what a restore has copied to its places; what was moved already is not there any more.
fn move_restored(paths: &SandboxPaths) -> Result<(), Fault> {
    let copy = beside(paths, "restored");
    let disks = [
        (copy.system_disk(), paths.system_disk()),
        (copy.work_disk(), paths.work_disk()),
    ];
    if disks.iter().any(|(from, _)| from.exists()) {
        // It is of the disks that go now.
        resuming::remove(&paths.resume())?;
    }
    for (from, to) in &disks {
        moved(from, to)?;
    }
    moved(&copy.resume(), &paths.resume())?;
    resuming::remove(&copy.state)
}

fn moved(from: &Path, to: &Path) -> Result<(), Fault> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(resuming::failed("move", from)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod t1;
