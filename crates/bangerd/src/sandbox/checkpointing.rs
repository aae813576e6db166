//! Keeping what a sandbox is before a command.
//!
//! ```text
//!  copy of the memory that the guest went on from, for the first one ── pause ── memory, devices, disks: what differs ── go on ── sums ── publish
//! ```
//!
//! The guest is not asked to write anything back: it goes on from its memory, never from the disks alone. What is
//! begun and not published is taken back by whoever drops it last, which may be the thread that copies.

use super::act::Work;
use super::saving::Still;
use super::works::Outcome;
use crate::checkpoints::{Checkpoints, Entry, Making, Pages, Parts};
use crate::disks::space;
use crate::fault_points::Side;
use crate::host;
use crate::record::Run;
use crate::services::blocking;
use crate::snapshots::{Part, SnapshotError};
use crate::store;
use crate::vmm::{Earlier, Paused, Saved, Unwritten};
use banger_model::SandboxState;
use banger_proto::fault::{Fault, FaultCode};
use std::io;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::OwnedMutexGuard;

/// What one is refused below, once there is one as a whole: what a command changes is mostly less.
const LEAST_ROOM: u64 = 64 << 20;

/// Keeps this moment.
pub(super) async fn checkpoint(mut work: Work, command: String) -> Outcome {
    let result = work.checkpoint(command).await;
    Outcome::of(work, result.map_err(Into::into))
}

/// Why a command was not run.
pub(super) fn not_made(fault: Fault) -> Fault {
    let message = format!(
        "no checkpoint could be made, and the command was not run: {}",
        fault.message
    );
    let first = fault
        .remedy
        .map_or_else(String::new, |remedy| format!("{remedy}; "));
    Fault::new(fault.code, message).with_remedy(format!(
        "{first}or run it without a checkpoint: --no-checkpoint"
    ))
}

/// What is being made, for as long as somebody writes to it.
struct Held {
    making: Making,
    _turn: OwnedMutexGuard<()>,
}

impl Earlier for Held {
    fn note(&self, at: u64, old: &[u8]) -> io::Result<()> {
        self.making.note_memory(at, old)
    }
}

impl Work {
    async fn checkpoint(&mut self, command: String) -> Result<(), Fault> {
        let record = self.record();
        if record.state != SandboxState::Running || !record.spec.checkpoint {
            return Ok(());
        }
        self.agent_goes_on()?;
        let run = self.run()?;
        let held = self.begin_checkpoint(&run).await?;
        let unwritten = match held.making.pages {
            Pages::New => self.memory_before(held.making.memory()).await?,
            Pages::Written => Unwritten::InPlace,
            Pages::Any => Unwritten::Unknown,
        };
        let still = self.pause().await?;
        let begun = Instant::now();
        self.keep(&still, &run, &held, unwritten).await?;
        still.goes_on().await?;
        let paused = begun.elapsed();
        self.pass("publish-checkpoint", Side::Before).await?;
        let entry = Entry {
            taken_at: host::now().seconds,
            command,
            run: mark(&run),
            fingerprint: run.fingerprint,
            spec: store::spec_text(&record.spec),
            parts: Parts::new(),
            devices: None,
            logs: Parts::new(),
            seen: Parts::new(),
        };
        let (verified, checkpoints) = (Arc::clone(&self.services.verified), self.checkpoints());
        let config = &self.services.config;
        let (most, budget) = (config.checkpoints, config.checkpoint_budget);
        blocking(move || {
            held.making.publish(entry, &verified)?;
            Ok(checkpoints.keep_within(most, budget)?)
        })
        .await?;
        tracing::info!(sandbox = %record.name, ?paused, whole = ?self.begun.elapsed(), "checkpoint");
        self.pass("publish-checkpoint", Side::After).await
    }

    pub(super) fn checkpoints(&self) -> Checkpoints {
        Checkpoints::of(self.paths.checkpoints())
    }

    pub(super) fn gave_up_checkpoints(&self, why: &SnapshotError) {
        let note = format!("its checkpoints are given up: {why}");
        tracing::warn!(sandbox = %self.record().name, "{note}");
        self.progress.note(note);
    }

    /// An agent that cannot be told that it goes on later would go on in another time.
    fn agent_goes_on(&self) -> Result<(), Fault> {
        let link = self.view.borrow().link.clone();
        if link.is_none_or(|link| link.can_resume()) {
            return Ok(());
        }
        let message = "its agent is of a banger that knows no checkpoints";
        Err(Fault::new(FaultCode::Version, message)
            .with_remedy("start the machine anew: `banger vm restart NAME`"))
    }

    /// One that is there and cannot be built on is given up, and said.
    async fn begin_checkpoint(&self, run: &Run) -> Result<Arc<Held>, Fault> {
        let turn = Arc::clone(&self.making).lock_owned().await;
        self.pass("begin-checkpoint", Side::Before).await?;
        let (checkpoints, run) = (self.checkpoints(), mark(run));
        let origin = self.paths.origin().join(Part::Memory.name());
        let begin = move || {
            let why = checkpoints.clear_up()?;
            let begun = match Making::begin(&checkpoints, &run, &origin) {
                Err(error @ (SnapshotError::Damaged { .. } | SnapshotError::Newer { .. })) => {
                    checkpoints.clear()?;
                    (Making::begin(&checkpoints, &run, &origin)?, Some(error))
                }
                begun => (begun?, why),
            };
            Ok(begun)
        };
        let (making, why) = blocking(begin).await?;
        if let Some(why) = why {
            self.gave_up_checkpoints(&why);
        }
        match making.pages {
            Pages::New => self.room_for_snapshot(true)?,
            Pages::Written | Pages::Any => {
                let place = self.services.layout.sandboxes();
                space::require(&place, LEAST_ROOM).map_err(|error| error.fault())?;
            }
        }
        self.pass("begin-checkpoint", Side::After).await?;
        Ok(Arc::new(Held {
            making,
            _turn: turn,
        }))
    }

    async fn keep(
        &self,
        still: &Still,
        run: &Run,
        held: &Arc<Held>,
        unwritten: Unwritten,
    ) -> Result<(), Fault> {
        self.pass("keep-memory", Side::Before).await?;
        let guest = Paused {
            process: &run.process,
            paths: &self.paths,
            memory: self.record().spec.memory.value,
            unwritten,
        };
        let into = Saved {
            memory: held.making.memory(),
            devices: held.making.devices(),
        };
        match held.making.pages {
            Pages::New => still.vmm.save(&guest, &into).await?,
            Pages::Written | Pages::Any => {
                let earlier: Arc<dyn Earlier> = Arc::<Held>::clone(held);
                still.vmm.save_over(&guest, &into, earlier).await?;
            }
        }
        self.pass("keep-memory", Side::After).await?;
        self.pass("keep-disks", Side::Before).await?;
        let (held, paths) = (Arc::clone(held), self.paths.clone());
        blocking(move || {
            held.making.disk(Part::SystemDisk, &paths.system_disk())?;
            Ok(held.making.disk(Part::WorkDisk, &paths.work_disk())?)
        })
        .await?;
        self.pass("keep-disks", Side::After).await
    }
}

/// Tells one run of a VMM from another.
fn mark(run: &Run) -> String {
    let process = &run.process;
    format!("{}-{}-{}", process.pid, process.start_time, process.boot_id)
}
