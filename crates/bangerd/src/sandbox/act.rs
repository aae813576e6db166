//! The executor: takes the planner's steps one by one. It decides nothing.

use super::objects;
use super::phases::{self, Started};
use super::survey::{self, Found, survey};
use super::tracked::Tracked;
use crate::fault_points::{Place, Side, pass};
use crate::layout::SandboxPaths;
use crate::progress::Progress;
use crate::publish::Listeners;
use crate::record::{Record, Run};
use crate::services::Services;
use crate::snapshots::Snapshot;
use crate::store::Durable;
use crate::vmm::ProcessIdentity;
use banger_model::plan::{Goal, HostObject, Leftover, Step, Unfinished, plan};
use banger_proto::fault::{Fault, FaultCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a killed VMM may take to be gone: it has nothing to do but to give back its memory.
const KILL_LIMIT: Duration = Duration::from_secs(20);

/// How often a VMM is looked for once more after one was killed.
const MOST_LOOKS: u32 = 8;

/// What one piece of work needs. It changes the view as it goes; the driver does not meanwhile.
pub(super) struct Work {
    pub(super) services: Arc<Services>,
    pub(super) paths: SandboxPaths,
    pub(super) view: Arc<Tracked>,
    pub(super) listeners: Arc<Listeners>,
    /// Held while a file is being made, which goes on when the work is dropped.
    pub(super) making: Arc<tokio::sync::Mutex<()>>,
    pub(super) progress: Progress,
    pub(super) begun: Instant,
    /// What the disks are copies of, where they are not made empty.
    pub(super) seed: Option<Arc<Snapshot>>,
    /// What a start made: the link and what else is known once the guest runs.
    pub(super) started: Option<Started>,
}

/// A piece of work that failed: the cause, and what could not be brought to an end.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    pub(super) unfinished: Option<Unfinished>,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            unfinished: None,
        }
    }
}

impl Failure {
    /// What was not removed is what a repair has to begin with. What was to be made is not: it comes
    /// to rest.
    fn of(fault: Fault, goal: Goal, leftovers: Vec<Leftover>) -> Self {
        let aim = match goal {
            Goal::Absent => Goal::Absent,
            Goal::Present | Goal::Running | Goal::AtRest => Goal::AtRest,
        };
        let unfinished = (!leftovers.is_empty()).then_some(Unfinished { aim, leftovers });
        Self { fault, unfinished }
    }
}

impl Work {
    pub(super) fn record(&self) -> Record {
        self.view.borrow().record.clone()
    }

    /// Changes the record, in the store first.
    pub(super) async fn put(&self, change: impl FnOnce(&mut Record)) -> Result<(), Fault> {
        self.put_as(Durable::Always, change).await
    }

    /// The same for what a power cut may take back: it says what is so until then and no longer.
    pub(super) async fn put_for_this_boot(
        &self,
        change: impl FnOnce(&mut Record),
    ) -> Result<(), Fault> {
        self.put_as(Durable::ThisBoot, change).await
    }

    async fn put_as(
        &self,
        durable: Durable,
        change: impl FnOnce(&mut Record),
    ) -> Result<(), Fault> {
        let before = self.record();
        let mut record = before.clone();
        change(&mut record);
        let place = Place::Record(&before, &record);
        pass(&before.name, place, Side::Before).await?;
        self.services.store.put_as(durable, &record).await?;
        self.view.send_modify(|view| view.record = record.clone());
        pass(&before.name, place, Side::After).await
    }

    /// Shows what is learned of a run. It is recorded with what comes next: nothing that a next daemon finds
    /// is judged by it.
    pub(super) fn learn(&self, change: impl FnOnce(&mut Run)) {
        self.view.send_modify(|view| {
            if let Some(run) = &mut view.record.run {
                change(run);
            }
        });
    }

    /// Records what something came to. It is so, whether that could be recorded or not: a next daemon finds
    /// out for itself.
    pub(super) async fn conclude(&self, change: impl Fn(&mut Record)) -> Result<(), Fault> {
        let recorded = self.put(&change).await;
        if recorded.is_err() {
            self.view.send_modify(|view| change(&mut view.record));
        }
        recorded
    }

    /// Removes the record: the last thing that is done to a sandbox.
    pub(super) async fn forget(&self) -> Result<(), Fault> {
        let Record { id, name, .. } = self.record();
        pass(&name, Place::Forgotten, Side::Before).await?;
        self.services.store.remove(id).await?;
        pass(&name, Place::Forgotten, Side::After).await
    }

    /// Passes a part of a step.
    pub(super) async fn pass(&self, phase: &'static str, side: Side) -> Result<(), Fault> {
        pass(&self.record().name, Place::Phase(phase), side).await
    }

    /// What exists of the sandbox on the host.
    pub(super) fn survey(&self) -> Result<Found, Fault> {
        let Record { id, run, .. } = self.record();
        let recorded = run.map(|run| run.process);
        let mut found = survey(&self.paths, recorded.as_ref())
            .map_err(|error| Fault::from_error(FaultCode::Failed, &error))?;
        if self.services.host_network.attachment(id).is_some() {
            found.survey.found(HostObject::Network);
        }
        Ok(found)
    }

    /// Surveys, plans and acts until the goal is reached. A making that fails ends it: what was made is
    /// unmade in reverse, the failing step's own first. A removal that fails keeps what it needs, and
    /// the other removals go on; nothing is made after it.
    pub(super) async fn reach(&mut self, goal: Goal) -> Result<(), Failure> {
        // What a request that was overtaken still makes would come after the survey.
        drop(self.making.lock().await);
        let Found { survey, mut vmm } = self.survey()?;
        let mut made = Vec::new();
        let mut removing = Removals::default();
        for step in plan(goal, &survey) {
            let Some(undo) = step.undo() else {
                removing.step(self, Place::Step(step), &mut vmm).await;
                continue;
            };
            if !removing.left.is_empty() {
                break;
            }
            made.push(undo);
            if let Err(fault) = self.perform(Place::Step(step), &mut vmm).await {
                let mut undoing = Removals::default();
                for undo in made.into_iter().rev() {
                    undoing.step(self, Place::Undo(undo), &mut vmm).await;
                }
                return Err(Failure::of(fault, goal, undoing.left));
            }
        }
        match removing.first {
            None => Ok(()),
            Some(fault) => Err(Failure::of(fault, goal, removing.left)),
        }
    }

    async fn perform(
        &mut self,
        place: Place<'_>,
        vmm: &mut Option<ProcessIdentity>,
    ) -> Result<(), Fault> {
        let (Place::Step(step) | Place::Undo(step)) = place else {
            return Ok(());
        };
        let name = self.record().name;
        pass(&name, place, Side::Before).await?;
        self.take(step, vmm).await?;
        pass(&name, place, Side::After).await
    }

    async fn take(&mut self, step: Step, vmm: &mut Option<ProcessIdentity>) -> Result<(), Fault> {
        tracing::debug!(%step, "acting");
        match step {
            Step::Make(HostObject::Vmm) => {
                let (process, started) = phases::start(self).await?;
                *vmm = Some(process);
                self.started = Some(started);
                Ok(())
            }
            Step::Remove(HostObject::Vmm) => self.end_vmm(vmm).await,
            Step::Make(object) => self.make(object).await,
            Step::Remove(HostObject::Network) => {
                let op = self.progress.op();
                self.services.host_network.detach(self.record().id, op);
                Ok(())
            }
            Step::Remove(object) => objects::remove(&self.paths, object),
        }
    }

    /// Kills the VMM, recorded or just started, and waits until it is gone.
    async fn end_vmm(&mut self, vmm: &mut Option<ProcessIdentity>) -> Result<(), Fault> {
        let process = vmm
            .take()
            .or_else(|| self.record().run.map(|run| run.process));
        self.started = None;
        self.view.send_modify(|view| view.link = None);
        if let Some(process) = process {
            kill_and_wait(&process).await?;
        }
        // One that was not recorded, or was on its way to become a VMM when it was looked at.
        for _ in 0..MOST_LOOKS {
            match survey::unrecorded(&self.paths).map_err(failed)? {
                Some(other) => kill_and_wait(&other).await?,
                None => return Ok(()),
            }
        }
        let socket = self.paths.vmm_socket();
        let message = format!("there is always another process for {}", socket.display());
        Err(Fault::new(FaultCode::Failed, message))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn failed(error: std::io::Error) -> Fault {
    Fault::from_error(FaultCode::Failed, &error)
}

/// Kills a process and waits until it is gone.
pub(super) async fn kill_and_wait(process: &ProcessIdentity) -> Result<(), Fault> {
    process
        .kill(rustix::process::Signal::KILL)
        .map_err(failed)?;
    match tokio::time::timeout(KILL_LIMIT, process.exited()).await {
        Ok(result) => result.map(|_| ()).map_err(failed),
        Err(_) => Err(Fault::new(
            FaultCode::TimedOut,
            format!(
                "process {} is still there {} s after SIGKILL",
                process.pid,
                KILL_LIMIT.as_secs()
            ),
        )),
    }
}

/// Removals, one after the other: none is the last because it failed.
#[derive(Default)]
struct Removals {
    left: Vec<Leftover>,
    first: Option<Fault>,
}

impl Removals {
    async fn step(&mut self, work: &mut Work, place: Place<'_>, vmm: &mut Option<ProcessIdentity>) {
        let (Place::Step(step) | Place::Undo(step)) = place else {
            return;
        };
        if step.is_barred_by(&self.left) {
            return;
        }
        if let Err(fault) = work.perform(place, vmm).await {
            tracing::error!(%step, "a removal failed: {fault}");
            self.left.push(Leftover {
                object: step.object(),
                why: fault.message.clone(),
            });
            self.first.get_or_insert(fault);
        }
    }
}
