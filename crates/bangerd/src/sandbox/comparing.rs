//! Comparing the disks of a sandbox with what they were.
//!
//! ```text
//!  running ── sync ── pause ── read both sides ── go on
//!  at rest, suspended ── read both sides
//! ```
//!
//! Nothing is written, on the host or in the guest. While it is read, a guest that runs stands still, or halves of
//! what it writes would be taken for damage; for no longer than a limit.

use super::act::{Failure, Work};
use super::works::Outcome;
use crate::diff::{self, Changes, Disks};
use crate::services::blocking;
use crate::snapshots::Snapshot;
use banger_model::SandboxState;
use banger_model::snapshot::Tag;
use banger_proto::fault::{Fault, FaultCode};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// How long a guest may stand still for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long it may take where no guest waits for it.
const LONGEST: Duration = Duration::from_secs(600);

/// What a sandbox is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Against {
    /// Its image, and an empty work disk.
    Image,
    /// One of its snapshots.
    Snapshot(Tag),
    /// A snapshot of a sandbox that has the same image, in this directory.
    At(PathBuf),
}

/// What is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Each file.
    pub changes: Changes,
    /// For how long the guest stood still; none where none ran.
    pub paused: Option<Duration>,
    /// Whether all that was written in it is on its disks, as far as it says.
    pub is_synced: bool,
}

/// A wish to compare.
#[derive(Debug)]
pub struct Comparison {
    /// With what.
    pub against: Against,
    /// Cancelled when nobody wants it any more.
    pub cancelled: CancellationToken,
    /// Where the answer goes.
    pub told: oneshot::Sender<Difference>,
}

/// Compares, and tells.
pub(super) async fn compare(work: Work, comparison: Comparison) -> Outcome {
    let Comparison {
        against,
        cancelled,
        told,
    } = comparison;
    // A request that overtakes this one drops it: then nobody reads on.
    let _until_then = cancelled.clone().drop_guard();
    let compared = work.compare(&against, cancelled).await;
    let result = compared.map(|difference| {
        // Whoever asked may have left.
        let _nobody_waits = told.send(difference);
    });
    Outcome::of(work, result.map_err(Failure::from))
}

impl Work {
    async fn compare(
        &self,
        against: &Against,
        cancelled: CancellationToken,
    ) -> Result<Difference, Fault> {
        let record = self.record();
        let image = self.services.images.get(&record.spec.image.value)?.disk;
        let before = self.disks_of(against).await?;
        let after = Disks {
            taken_at: 0,
            system: Some(self.paths.system_disk()),
            work: Some(self.paths.work_disk()),
        };
        let runs = record.state == SandboxState::Running;
        let limit = if runs { LONGEST_PAUSE } else { LONGEST };
        let read = blocking(move || Ok(diff::compare(&image, &before, &after, limit, cancelled)?));
        if !runs {
            let changes = read.await.map_err(|fault| self.named(fault))?;
            return Ok(Difference {
                changes,
                paused: None,
                is_synced: record.state != SandboxState::Suspended,
            });
        }
        let is_synced = self.sync_guest().await;
        let still = self.pause().await?;
        let begun = Instant::now();
        let read = read.await;
        still.goes_on().await?;
        let paused = begun.elapsed();
        tracing::info!(sandbox = %record.name, ?paused, "compared while it stood still");
        Ok(Difference {
            changes: read.map_err(|fault| self.named(fault))?,
            paused: Some(paused),
            is_synced,
        })
    }

    async fn disks_of(&self, against: &Against) -> Result<Disks, Fault> {
        let directory = match against {
            Against::Image => return Ok(Disks::default()),
            Against::Snapshot(tag) => self.paths.snapshot(tag),
            Against::At(directory) => directory.clone(),
        };
        let name = self.record().name;
        if let Against::Snapshot(tag) = against
            && !directory.exists()
        {
            let message = format!("sandbox {name} has no snapshot {tag}");
            return Err(Fault::new(FaultCode::NotFound, message)
                .with_remedy(format!("see `banger vm snapshots {name}`")));
        }
        let snapshot = blocking(move || Ok(Snapshot::open(&directory)?)).await?;
        Ok(Disks {
            taken_at: snapshot.manifest.taken_at,
            system: snapshot.system_disk(),
            work: snapshot.work_disk(),
        })
    }

    fn named(&self, mut fault: Fault) -> Fault {
        let name = self.record().name;
        fault.remedy = fault.remedy.map(|text| text.replace("NAME", name.as_str()));
        fault
    }
}
