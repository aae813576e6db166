//! The pieces of work that a driver does, from what is asked to what is recorded.

use super::act::{Failure, Work};
use super::refused;
use crate::config::period;
use crate::operation;
use crate::record::Record;
use crate::snapshots::Snapshot;
use banger_model::SandboxState;
use banger_model::admission::Refusal;
use banger_model::plan::{Goal, Unfinished};
use banger_model::spec::Wait;
use banger_proto::fault::{Fault, FaultCode};
use rustix::process::Signal;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a piece of work came to.
pub(super) struct Outcome {
    pub(super) work: Work,
    pub(super) result: Result<Done, Failure>,
}

/// What was done.
pub(super) enum Done {
    /// The sandbox stays.
    Stays,
    /// It is deleted.
    Deleted,
}

impl Outcome {
    pub(super) fn of(work: Work, result: Result<(), Failure>) -> Self {
        Self {
            work,
            result: result.map(|()| Done::Stays),
        }
    }

    pub(super) fn failed(work: Work, fault: Fault) -> Self {
        Self {
            work,
            result: Err(fault.into()),
        }
    }

    /// Records what could not be finished: a fact of its own, which lowers what is allowed until it is
    /// repaired.
    pub(super) async fn recorded(self) -> Self {
        let Err(Failure {
            fault,
            unfinished: Some(unfinished),
        }) = &self.result
        else {
            return self;
        };
        let needs_repair = |record: &mut Record| {
            record.state = SandboxState::NeedsRepair;
            record.reason = Some(fault.message.clone());
            record.unfinished = Some(unfinished.clone());
        };
        if let Err(fault) = self.work.conclude(needs_repair).await {
            tracing::error!("cannot record what could not be finished: {fault}");
        }
        self
    }
}

/// Makes the disks and nothing else; those of a snapshot where there is one, and what is saved of its memory.
pub(super) async fn prepare(mut work: Work, seed: Option<Arc<Snapshot>>) -> Outcome {
    work.seed.clone_from(&seed);
    let result = work.prepare(seed).await;
    Outcome::of(work, result)
}

/// Shuts the guest down because somebody asked for it; what is saved of a suspended one is given up.
pub(super) async fn stop(mut work: Work) -> Outcome {
    if let Err(fault) = work.discard_saved() {
        return Outcome::failed(work, fault);
    }
    let result = work.stop(None).await;
    Outcome::of(work, result)
}

/// Shuts the guest down because nobody uses it; who began to since that was found keeps it.
pub(super) async fn stop_unused(mut work: Work, limit: Duration) -> Outcome {
    let Some(reason) = unused(&work, limit) else {
        return Outcome::of(work, Ok(()));
    };
    let result = work.stop(Some(reason)).await;
    Outcome::of(work, result)
}

/// The reason for what is done to a guest that nobody has used for so long, if that is still so.
pub(super) fn unused(work: &Work, limit: Duration) -> Option<String> {
    let unused = super::unused_for(&work.view.borrow());
    let is_unused = unused.is_some_and(|unused| unused >= limit);
    is_unused.then(|| format!("nothing used it for {}", period::show(limit)))
}

/// Stops, then starts; the times of the start begin with it.
pub(super) async fn restart(mut work: Work, wait: Wait) -> Outcome {
    if let Err(fault) = work.discard_saved() {
        return Outcome::failed(work, fault);
    }
    match work.stop(None).await {
        Ok(()) => {
            work.begun = Instant::now();
            start(work, wait).await
        }
        Err(failure) => Outcome {
            work,
            result: Err(failure),
        },
    }
}

/// The VMM has ended: cleans up, and keeps the reason.
pub(super) async fn note_end(mut work: Work, reason: String) -> Outcome {
    let result = work.settle_stopped(Some(reason)).await;
    Outcome::of(work, result)
}

/// Something went wrong in banger itself: nobody knows how far it came, and only a repair looks.
pub(super) fn broke_off(work: Work) -> Outcome {
    let fault = Fault::new(
        FaultCode::Failed,
        "an error in banger itself: see the daemon's log",
    );
    let unfinished = Unfinished {
        aim: super::reconcile::aim(&work.record()),
        leftovers: vec![],
    };
    let result = Err(Failure {
        fault,
        unfinished: Some(unfinished),
    });
    Outcome { work, result }
}

/// Starts the guest; a failure is recorded as the reason why it does not run.
pub(super) async fn start(mut work: Work, wait: Wait) -> Outcome {
    let before = work.record();
    let result = work.start(wait).await;
    if let Err(failure) = &result
        && failure.unfinished.is_none()
    {
        let reason = Some(failure.fault.message.clone());
        let (state, reason) = match (before.state, failure.fault.code) {
            // Nothing of it ever ran: as if it had not been asked for.
            (SandboxState::Created, code) if code != FaultCode::Guest => {
                (SandboxState::Created, reason)
            }
            _ if work.has_saved() => (SandboxState::Suspended, reason),
            _ => (SandboxState::Stopped, reason),
        };
        let recorded = work
            .conclude(|record| {
                record.state = state;
                record.reason.clone_from(&reason);
                if record.run != before.run
                    && let Some(run) = &mut record.run
                {
                    run.times.agent_answered = Duration::ZERO;
                }
            })
            .await;
        if let Err(fault) = recorded {
            tracing::error!("cannot record a failed start: {fault}");
        }
    }
    Outcome {
        work,
        result: result.map(|()| Done::Stays),
    }
}

/// A start, or the second half of a restart, that was cancelled while it went on: what it made is
/// removed, and the sandbox is stopped. Its first half, shutting down, is gone on with.
pub(super) async fn take_back(mut work: Work) -> Outcome {
    let reason = Some("its start was cancelled".to_owned());
    let result = match work.record().state {
        SandboxState::Starting => work.settle_stopped(reason).await,
        SandboxState::Stopping => work.stop(reason).await,
        _ => Ok(()),
    };
    match result {
        Ok(()) => Outcome::failed(work, operation::cancelled("it is stopped")),
        Err(failure) => Outcome {
            work,
            result: Err(failure),
        },
    }
}

/// Sends the VMM a signal, and cleans up if that ended it.
pub(super) async fn kill(mut work: Work, signal: Signal) -> Outcome {
    let process = match work.survey() {
        Ok(found) => found.vmm,
        Err(fault) => return Outcome::failed(work, fault),
    };
    if signal != Signal::KILL
        && let Some(process) = &process
    {
        let sent = process
            .kill(signal)
            .map_err(|error| Fault::from_error(FaultCode::Failed, &error).into());
        let still_there = tokio::time::timeout(Duration::from_secs(2), process.exited())
            .await
            .is_err();
        if sent.is_err() || still_there {
            return Outcome {
                work,
                result: sent.map(|_| Done::Stays),
            };
        }
    }
    if let Err(fault) = work.discard_saved() {
        return Outcome::failed(work, fault);
    }
    let result = work.settle_stopped(Some("it was killed".into())).await;
    Outcome {
        work,
        result: result.map(|()| Done::Stays),
    }
}

/// Removes everything of what does not run. What needs repair may have a VMM all the same.
pub(super) async fn prune(work: Work) -> Outcome {
    match work.survey() {
        Ok(found) if found.vmm.is_none() => delete(work).await,
        Ok(_) => {
            let fault = refused(&work.view.borrow(), Refusal::InUse);
            Outcome::failed(work, fault)
        }
        Err(fault) => Outcome::failed(work, fault),
    }
}

/// Ends it and removes everything, the record last.
pub(super) async fn delete(mut work: Work) -> Outcome {
    let deleting = |record: &mut Record| record.state = SandboxState::Deleting;
    if let Err(fault) = work.conclude(deleting).await {
        // On a disk so full that not even this can be written, deleting is what helps. Broken off
        // now, it would be a sandbox whose disks are gone, which can be deleted again.
        tracing::warn!("deleting without a record of it: {fault}");
    }
    let result = work.reach(Goal::Absent).await;
    let result = match result {
        Ok(()) => work.forget().await.map(|()| Done::Deleted),
        Err(failure) => return Outcome::of(work, Err(failure)),
    };
    Outcome {
        work,
        result: result.map_err(Failure::from),
    }
}
