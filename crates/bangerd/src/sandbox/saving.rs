//! Keeping a moment of a sandbox: as a snapshot beside it, or instead of its VMM.
//!
//! ```text
//!  running ── sync ── copy of memory and disks before ── pause ─┬─ disks, memory, devices ── go on ── digest ── publish
//!                                                         └─ (suspend) memory, devices ── publish ── end the VMM
//!  at rest ── disks, and what is saved of its memory ── digest ── publish
//! ```
//!
//! What is made lies in a directory that nobody takes for a snapshot until it is renamed. While the guest
//! stands still, whatever happens lets it go on: an error, a request that overtakes this one, and a daemon that
//! is killed, for which the next one sees to it.

use super::act::{Failure, Work};
use super::works::{self, Outcome};
use crate::checkpoints::Checkpoints;
use crate::disks::DiskError;
use crate::disks::space;
use crate::fault_points::Side;
use crate::host;
use crate::layout::SandboxPaths;
use crate::record::Run;
use crate::services::blocking;
use crate::snapshots::copying::Copied;
use crate::snapshots::{self, Making, Manifest, Part, SnapshotError, copying};
use crate::store;
use crate::vmm::{Paused, RunState, Saved, Unwritten, Vmm};
use banger_model::plan::Goal;
use banger_model::snapshot::Tag;
use banger_model::{SandboxName, SandboxState};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::guest::message::Call;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the guest may take to write back what its file systems hold: a snapshot is whole without it, but one
/// that is booted some day has then what programs had written.
const SYNC_LIMIT: Duration = Duration::from_secs(20);

/// Which snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// One of the sandbox's own, by its name.
    Tagged(Tag),
    /// One for somebody else, in this directory.
    At(PathBuf),
    /// One for many to go on from, in this directory.
    Template(PathBuf),
}

/// Keeps this moment of a sandbox.
pub(super) async fn snapshot(mut work: Work, wanted: Wanted) -> Outcome {
    let result = work.snapshot(&wanted).await;
    Outcome::of(work, result.map_err(Failure::from))
}

/// Saves the memory of a guest and ends its VMM.
pub(super) async fn suspend(mut work: Work) -> Outcome {
    let result = work.suspend(None).await;
    Outcome::of(work, result)
}

/// Suspends the guest because nobody uses it; who began to since that was found keeps it.
pub(super) async fn suspend_unused(mut work: Work, limit: Duration) -> Outcome {
    let Some(reason) = works::unused(&work, limit) else {
        return Outcome::of(work, Ok(()));
    };
    let result = work.suspend(Some(reason)).await;
    Outcome::of(work, result)
}

impl Work {
    async fn snapshot(&mut self, wanted: &Wanted) -> Result<(), Fault> {
        self.finish_undo().await?;
        let record = self.record();
        let runs = record.state == SandboxState::Running;
        self.room_for_snapshot(runs)?;
        let (target, tag) = match wanted {
            Wanted::Tagged(tag) => (self.paths.snapshot(tag), Some(tag.clone())),
            Wanted::At(directory) | Wanted::Template(directory) => (directory.clone(), None),
        };
        if target.exists() {
            return Err(taken(&record.name, tag));
        }
        if matches!(wanted, Wanted::Template(_)) {
            self.rehearse().await;
        }
        let making = begin(&target).await?;
        let guest = if runs {
            Some(self.save_running(&making).await?)
        } else {
            self.copy_at_rest(&making).await?
        };
        self.progress.stage("checking what was saved");
        let manifest = Manifest {
            tag,
            ..self.manifest(guest)
        };
        self.publish(making, manifest).await
    }

    async fn suspend(&mut self, reason: Option<String>) -> Result<(), Failure> {
        self.room_for_snapshot(true)?;
        let making = begin(&self.paths.resume()).await?;
        self.sync_guest().await;
        self.progress.stage("saving the guest's memory");
        let unwritten = self.memory_before(making.file(Part::Memory)).await?;
        let run = self.run()?;
        let still = self.pause().await?;
        self.save_memory(&still, &run, &making, unwritten).await?;
        let manifest = Manifest {
            suspended: Some(self.record().id),
            ..self.manifest(Some(run))
        };
        self.publish(making, manifest).await?;
        still.stays();
        self.view.send_modify(|view| {
            view.link = None;
            view.trouble = None;
        });
        self.reach(Goal::AtRest).await?;
        Ok(self.settle(reason).await?)
    }

    /// Refused before the guest is stopped: at most, all of its memory and its disks are copied.
    pub(super) fn room_for_snapshot(&self, runs: bool) -> Result<(), Fault> {
        let mut needed =
            host::used(&self.paths.system_disk()) + host::used(&self.paths.work_disk());
        if runs {
            needed += self.record().spec.memory.value.bytes();
        }
        space::require(&self.services.layout.sandboxes(), needed).map_err(|error| error.fault())
    }

    fn manifest(&self, run: Option<Run>) -> Manifest {
        let record = self.record();
        Manifest {
            taken_at: host::now().seconds,
            sandbox: Some(record.name.clone()),
            tag: None,
            command: None,
            suspended: None,
            fingerprint: run.and_then(|run| run.fingerprint),
            spec: store::spec_text(&record.spec),
            files: BTreeMap::new(),
        }
    }

    pub(super) fn run(&self) -> Result<Run, Fault> {
        let run = self.record().run;
        run.ok_or_else(|| Fault::new(FaultCode::Failed, "nothing is known of its VMM"))
    }

    async fn publish(&self, making: Making, manifest: Manifest) -> Result<(), Fault> {
        self.pass("publish-snapshot", Side::Before).await?;
        let verified = Arc::clone(&self.services.verified);
        blocking(move || Ok(making.publish(manifest, &verified)?)).await?;
        self.pass("publish-snapshot", Side::After).await
    }

    /// Disks and memory of a guest that runs, all of one moment.
    async fn save_running(&self, making: &Making) -> Result<Run, Fault> {
        self.sync_guest().await;
        self.progress.stage("saving the machine");
        let unwritten = self.memory_before(making.file(Part::Memory)).await?;
        let disks = self.disks_before(making).await?;
        let run = self.run()?;
        let still = self.pause().await?;
        let begun = Instant::now();
        self.copy_disks(making, disks).await?;
        self.save_memory(&still, &run, making, unwritten).await?;
        still.goes_on().await?;
        let paused = begun.elapsed();
        tracing::info!(sandbox = %self.record().name, ?paused, "saved while it stood still");
        Ok(run)
    }

    /// The disks of what does not run, and the memory that is saved beside them, if any.
    async fn copy_at_rest(&self, making: &Making) -> Result<Option<Run>, Fault> {
        self.progress.stage("copying disks");
        self.copy_disks(making, DisksBefore::None).await?;
        if !self.has_saved() {
            return Ok(None);
        }
        let parts = [Part::Memory, Part::Devices];
        let files = parts.map(|part| (self.paths.resume().join(part.name()), making.file(part)));
        blocking(move || {
            for (from, to) in files {
                snapshots::share(&from, &to).map_err(SnapshotError::from)?;
            }
            Ok(())
        })
        .await?;
        Ok(self.record().run)
    }

    async fn copy_disks(&self, making: &Making, before: DisksBefore) -> Result<(), Fault> {
        self.pass("copy-disks", Side::Before).await?;
        let disks = self.disks(making);
        blocking(move || {
            for (from, to) in disks {
                match before {
                    DisksBefore::InPlace if to.exists() => copying::catch_up(&from, &to),
                    _ => copying::copy(&from, &to).map(drop),
                }
                .map_err(SnapshotError::from)?;
            }
            Ok(())
        })
        .await?;
        self.pass("copy-disks", Side::After).await
    }

    fn disks(&self, making: &Making) -> [(PathBuf, PathBuf); 2] {
        [
            (self.paths.system_disk(), making.file(Part::SystemDisk)),
            (self.paths.work_disk(), making.file(Part::WorkDisk)),
        ]
    }

    /// The disks as they are while the guest still writes to them: what it writes until it stands still is all that
    /// is copied then. Where a file system shares blocks that is not worth it.
    async fn disks_before(&self, making: &Making) -> Result<DisksBefore, Fault> {
        let disks = self.disks(making);
        let copied = blocking(move || {
            let mut before = DisksBefore::None;
            for (from, to) in &disks {
                match copying::copy(from, to).map_err(SnapshotError::from)? {
                    Copied::Shared => std::fs::remove_file(to)
                        .map_err(DiskError::io("remove", to))
                        .map_err(SnapshotError::from)?,
                    Copied::Written(_) => before = DisksBefore::InPlace,
                }
            }
            Ok(before)
        });
        copied.await
    }

    /// The memory that the guest went on from, in place before the guest stands still: only what it has written
    /// since is read then.
    pub(super) async fn memory_before(&self, into: PathBuf) -> Result<Unwritten, Fault> {
        if !self.run()?.resumed {
            return Ok(Unwritten::Zeros);
        }
        let origin = self.paths.origin().join(Part::Memory.name());
        if !origin.exists() {
            return Ok(Unwritten::Unknown);
        }
        blocking(move || {
            copying::copy(&origin, &into).map_err(SnapshotError::from)?;
            Ok(())
        })
        .await?;
        Ok(Unwritten::InPlace)
    }

    async fn save_memory(
        &self,
        still: &Still,
        run: &Run,
        making: &Making,
        unwritten: Unwritten,
    ) -> Result<(), Fault> {
        self.pass("save-memory", Side::Before).await?;
        let guest = Paused {
            process: &run.process,
            paths: &self.paths,
            memory: self.record().spec.memory.value,
            unwritten,
        };
        let into = Saved {
            memory: making.file(Part::Memory),
            devices: making.file(Part::Devices),
        };
        still.vmm.save(&guest, &into).await?;
        self.pass("save-memory", Side::After).await
    }

    /// Removes what a crash has left of something that was being saved.
    pub(super) fn clear_unfinished(&self) {
        for directory in [self.paths.snapshots(), self.paths.state.clone()] {
            match snapshots::clear_unfinished(&directory) {
                Ok(removed) => removed.iter().for_each(|one| {
                    self.progress
                        .note(format!("removed, unfinished: {}", one.display()));
                }),
                Err(error) => tracing::error!("{error}"),
            }
        }
        match Checkpoints::of(self.paths.checkpoints()).clear_up() {
            Ok(None) => {}
            Ok(Some(why)) => self.gave_up_checkpoints(&why),
            Err(error) => tracing::error!("{error}"),
        }
    }

    /// A guest that a daemon before has halted to save it goes on; what was saved of it is of no use then.
    pub(super) async fn goes_on_after_saving(&self) {
        if let Err(fault) = self.discard_saved() {
            tracing::error!("{fault}");
        }
        let Ok(vmm) = self.services.vmm().await else {
            return;
        };
        if let Ok(RunState::Paused) = vmm.run_state(&self.paths).await {
            self.progress
                .note("its guest was halted to be saved: it goes on");
            if let Err(error) = vmm.go_on(&self.paths).await {
                tracing::error!("cannot let a guest go on that was halted: {error}");
            }
        }
    }

    /// Has the guest write back what its file systems hold; false where it has not.
    pub(super) async fn sync_guest(&self) -> bool {
        let link = self.view.borrow().link.clone();
        let Some(link) = link.filter(|link| link.can_sync()) else {
            return false;
        };
        self.progress.stage("having the guest write back its files");
        match link.call(&Call::Sync, SYNC_LIMIT).await {
            Ok(_) => true,
            Err(error) => {
                self.progress
                    .note(format!("the guest has not written back its files: {error}"));
                false
            }
        }
    }

    pub(super) async fn pause(&self) -> Result<Still, Fault> {
        self.pass("pause", Side::Before).await?;
        let vmm: Arc<dyn Vmm> = self.services.vmm().await?;
        // From here on: a command that fails may have been heard.
        let still = Still {
            vmm,
            paths: self.paths.clone(),
            ends: Ends::GoesOn,
        };
        still.vmm.pause(&self.paths).await?;
        self.pass("pause", Side::After).await?;
        Ok(still)
    }
}

fn taken(name: &SandboxName, tag: Option<Tag>) -> Fault {
    let shown = tag.map_or_else(String::new, |tag| format!(" {tag}"));
    Fault::new(
        FaultCode::Conflict,
        format!("sandbox {name} has a snapshot{shown} already"),
    )
    .with_remedy(format!(
        "choose another tag, or remove it with `banger vm snapshots {name} --rm TAG`"
    ))
}

async fn begin(target: &Path) -> Result<Making, Fault> {
    let target = target.to_owned();
    blocking(move || Making::begin(&target).map_err(|error: SnapshotError| error.fault())).await
}

/// What there is of the disks' copies before the guest stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DisksBefore {
    None,
    InPlace,
}

/// What becomes of a guest that stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    GoesOn,
    Stays,
}

/// A guest that stands still: dropped, it goes on.
pub(super) struct Still {
    pub(super) vmm: Arc<dyn Vmm>,
    paths: SandboxPaths,
    ends: Ends,
}

impl Still {
    pub(super) async fn goes_on(mut self) -> Result<(), Fault> {
        self.vmm.go_on(&self.paths).await?;
        self.ends = Ends::Stays;
        Ok(())
    }

    /// Its VMM is to be ended.
    pub(super) fn stays(mut self) {
        self.ends = Ends::Stays;
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        if self.ends == Ends::Stays {
            return;
        }
        let (vmm, paths) = (Arc::clone(&self.vmm), self.paths.clone());
        tokio::spawn(async move {
            // One that is being ended does not answer.
            if let Err(error) = vmm.go_on(&paths).await {
                tracing::warn!("cannot let a guest go on that was to be saved: {error}");
            }
        });
    }
}
