//! Bringing a sandbox's record and the host together: what a daemon does first with each sandbox that
//! its predecessor left, and what `banger repair` asks for.
//!
//! What lives is adopted, a deletion that was begun is finished, what is dead is cleaned. Nothing is
//! started and no disk is made.

use super::act::{Failure, Work};
use super::ports;
use super::starting::DISK_IS_GONE;
use super::survey::Found;
use super::works::{Outcome, delete};
use crate::record::Record;
use crate::vmm::process;
use banger_model::SandboxState;
use banger_model::plan::{Goal, Step, plan, repair};
use banger_proto::fault::Fault;

/// What was wanted of a sandbox, by its record.
pub(super) fn aim(record: &Record) -> Goal {
    match (&record.unfinished, record.state) {
        (Some(unfinished), _) => unfinished.aim,
        (None, SandboxState::Running) => Goal::Running,
        (None, SandboxState::Deleting) => Goal::Absent,
        (None, _) => Goal::AtRest,
    }
}

/// See the module. `fresh` says that no daemon has looked after it yet.
pub(super) async fn reconcile(mut work: Work, fresh: bool) -> Outcome {
    let record = work.record();
    let found = match work.survey() {
        Ok(found) => found,
        Err(fault) => return Outcome::failed(work, fault),
    };
    if fresh {
        work.clear_unfinished();
    }
    if let Err(fault) = work.finish_restore(found.vmm.is_some()) {
        return Outcome::failed(work, fault);
    }
    if let Err(fault) = work.finish_or_give_up_undo(found.vmm.is_some()).await {
        return Outcome::failed(work, fault);
    }
    let goal = repair(aim(&record), &found.survey);
    work.tell_what_is_wrong(goal, &found);
    let result = match goal {
        Goal::Absent => return delete(work).await,
        Goal::Running => work.goes_on(fresh).await,
        Goal::Present | Goal::AtRest => work.comes_to_rest(&record, &found).await,
    };
    let result = match result {
        Ok(()) => work.note_missing_disks().await.map_err(Failure::from),
        failed => failed,
    };
    Outcome::of(work, result)
}

impl Work {
    fn tell_what_is_wrong(&self, goal: Goal, found: &Found) {
        if goal == Goal::Running {
            return;
        }
        let wrong = plan(goal, &found.survey).into_iter();
        let wrong: Vec<_> = wrong.map(|step: Step| step.object().word()).collect();
        if !wrong.is_empty() {
            let what = wrong.join(", ");
            self.progress.note(format!("to be removed: {what}"));
        }
    }

    /// It runs, and is to run.
    async fn goes_on(&mut self, fresh: bool) -> Result<(), Failure> {
        let repaired = self.record().state != SandboxState::Running;
        if repaired {
            self.put(|record| {
                record.state = SandboxState::Running;
                record.reason = None;
                record.unfinished = None;
            })
            .await?;
            self.progress.note("its guest lives: it goes on");
        }
        if fresh || repaired {
            ports::adopt(self).await;
            self.goes_on_after_saving().await;
        }
        Ok(())
    }

    /// Nothing of it is to run. One that is as it should be is not even recorded anew.
    async fn comes_to_rest(&mut self, record: &Record, found: &Found) -> Result<(), Failure> {
        let reason = match record.state {
            SandboxState::Created | SandboxState::Stopped | SandboxState::Suspended => {
                let transient = |object: &banger_model::plan::HostObject| object.is_transient();
                if !found.survey.objects().any(|object| transient(&object)) {
                    return Ok(());
                }
                record.reason.clone()
            }
            // Asked to shut down once, it is asked again: it may not have heard.
            SandboxState::Stopping if found.vmm.is_some() => return self.stop(None).await,
            // It was being suspended, and the daemon ended before it could say so.
            SandboxState::Running if self.has_saved() => None,
            SandboxState::Running => Some(why_it_ended(record).to_owned()),
            SandboxState::Starting => Some("the daemon ended while it was starting".into()),
            _ => None,
        };
        self.settle_stopped(reason).await
    }

    /// A disk that is gone is told, until it is there again. A guest that has it still goes on with it.
    async fn note_missing_disks(&self) -> Result<(), Fault> {
        let record = self.record();
        let missing = match record.state {
            SandboxState::Running | SandboxState::Stopped | SandboxState::Suspended => {
                self.missing_disk()
            }
            _ => None,
        };
        let others = |text: &String| !text.starts_with(DISK_IS_GONE);
        let reason = match &missing {
            Some(fault) => Some(fault.message.clone()),
            None => record.reason.clone().filter(others),
        };
        if reason != record.reason
            && let Err(fault) = self.put(|record| record.reason = reason).await
        {
            tracing::error!("cannot record that a disk is gone: {fault}");
        }
        missing.map_or(Ok(()), Err)
    }
}

/// Why a guest that was running is not.
fn why_it_ended(record: &Record) -> &'static str {
    let boot = record.run.as_ref().map(|run| run.process.boot_id.as_str());
    match (boot, process::boot_id()) {
        (Some(then), Ok(now)) if then != now => "the host was restarted",
        _ => "its VMM ended while no daemon ran",
    }
}
