//! The executor: takes the planner's steps one by one. It decides nothing.

use super::phases::{self, Started};
use super::survey::{Found, survey};
use super::tracked::Tracked;
use crate::disks::{self, DiskError};
use crate::host_network::Wish;
use crate::layout::SandboxPaths;
use crate::progress::Progress;
use crate::publish::Listeners;
use crate::record::Record;
use crate::services::Services;
use crate::vmm::ProcessIdentity;
use banger_model::SandboxState;
use banger_model::plan::{Goal, HostObject, Step, plan};
use banger_model::spec::Wait;
use banger_proto::fault::{Fault, FaultCode};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a killed VMM may take to be gone: it has nothing to do but to give back its memory.
const KILL_LIMIT: Duration = Duration::from_secs(20);

/// What one piece of work needs. It changes the view as it goes; the driver does not meanwhile.
pub(super) struct Work {
    pub(super) services: Arc<Services>,
    pub(super) paths: SandboxPaths,
    pub(super) view: Arc<Tracked>,
    pub(super) listeners: Arc<Listeners>,
    pub(super) progress: Progress,
    pub(super) begun: Instant,
    /// What a start made: the link and what else is known once the guest runs.
    pub(super) started: Option<Started>,
}

/// A piece of work that failed: the cause, and what its undos could not remove.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    pub(super) leftovers: Vec<String>,
}

impl Work {
    pub(super) fn record(&self) -> Record {
        self.view.borrow().record.clone()
    }

    /// Changes the record, in the store first.
    pub(super) async fn put(&self, change: impl FnOnce(&mut Record)) -> Result<(), Fault> {
        let mut record = self.record();
        change(&mut record);
        self.services.store.put(&record).await?;
        self.view.send_modify(|view| view.record = record);
        Ok(())
    }

    /// What exists of the sandbox on the host.
    fn survey(&self, recorded: Option<&ProcessIdentity>) -> std::io::Result<Found> {
        let mut found = survey(&self.paths, recorded)?;
        let id = self.record().id;
        if self.services.host_network.attachment(id).is_some() {
            found.survey.found(HostObject::Network);
        }
        Ok(found)
    }

    /// Surveys, plans and acts until the goal is reached. On failure what was made is unmade in
    /// reverse, the failing step's own first; that never stops early.
    pub(super) async fn reach(&mut self, goal: Goal) -> Result<(), Failure> {
        let recorded = self.record().run.map(|run| run.process);
        let found = self.survey(recorded.as_ref()).map_err(|error| Failure {
            fault: Fault::from_error(FaultCode::Failed, &error),
            leftovers: vec![],
        })?;
        let mut vmm = found.vmm;
        let mut made = Vec::new();
        for step in plan(goal, &found.survey) {
            if let Some(undo) = step.undo() {
                made.push(undo);
            }
            if let Err(fault) = self.perform(step, &mut vmm).await {
                let leftovers = self.undo(made, &mut vmm).await;
                return Err(Failure { fault, leftovers });
            }
        }
        Ok(())
    }

    /// Removes what may exist only while a guest runs.
    pub(super) async fn remove_transient(&mut self) -> Result<(), Failure> {
        let recorded = self.record().run.map(|run| run.process);
        let found = self.survey(recorded.as_ref()).map_err(|error| Failure {
            fault: Fault::from_error(FaultCode::Failed, &error),
            leftovers: vec![],
        })?;
        let mut vmm = found.vmm;
        let steps = found
            .survey
            .objects()
            .rev()
            .filter(|object| object.is_transient());
        let leftovers = self
            .undo(steps.rev().map(Step::Remove).collect(), &mut vmm)
            .await;
        match leftovers.first() {
            None => Ok(()),
            Some(first) => Err(Failure {
                fault: Fault::new(FaultCode::Failed, first),
                leftovers,
            }),
        }
    }

    async fn undo(&mut self, made: Vec<Step>, vmm: &mut Option<ProcessIdentity>) -> Vec<String> {
        let mut leftovers = Vec::new();
        for step in made.into_iter().rev() {
            if let Err(fault) = self.perform(step, vmm).await {
                tracing::error!(?step, "an undo failed: {fault}");
                leftovers.push(format!("{step:?}: {fault}"));
            }
        }
        leftovers
    }

    async fn perform(
        &mut self,
        step: Step,
        vmm: &mut Option<ProcessIdentity>,
    ) -> Result<(), Fault> {
        tracing::debug!(?step, "acting");
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
            Step::Remove(object) => remove(&self.paths, object),
        }
    }

    async fn make(&self, object: HostObject) -> Result<(), Fault> {
        let spec = self.record().spec;
        match object {
            HostObject::StateDirectory => make_directory(&self.paths.state),
            HostObject::RuntimeDirectory => make_directory(&self.paths.runtime),
            HostObject::SystemDisk => {
                make_disk(
                    self.paths.system_disk(),
                    spec.system_disk.value,
                    "banger-system",
                )
                .await
            }
            HostObject::WorkDisk => {
                make_disk(self.paths.work_disk(), spec.work_disk.value, "banger-work").await
            }
            HostObject::Network => self.attach().await,
            HostObject::Vmm => Ok(()),
        }
    }

    /// Gives the guest its place on the bridge, if that is how it is connected. The TAP is recorded
    /// before the guest has it.
    async fn attach(&self) -> Result<(), Fault> {
        let record = self.record();
        let Some(place) = record.network else {
            return Ok(());
        };
        let wish = Wish::of(record.id, &record.name, &record.spec, place.host_part);
        let op = self.progress.op();
        let attaching = self.services.host_network.attach(record.id, wish, op);
        let attachment = attaching.await?;
        self.put(|record| {
            if let Some(place) = &mut record.network {
                place.slot = Some(attachment.slot);
            }
        })
        .await
    }

    /// Kills the VMM, recorded or just started, and waits until it is gone.
    async fn end_vmm(&mut self, vmm: &mut Option<ProcessIdentity>) -> Result<(), Fault> {
        let process = vmm
            .take()
            .or_else(|| self.record().run.map(|run| run.process));
        self.started = None;
        self.view.send_modify(|view| view.link = None);
        match process {
            Some(process) => kill_and_wait(&process).await,
            None => Ok(()),
        }
    }
}

/// Kills a process and waits until it is gone.
pub(super) async fn kill_and_wait(process: &ProcessIdentity) -> Result<(), Fault> {
    let failed = |error: std::io::Error| Fault::from_error(FaultCode::Failed, &error);
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

fn make_directory(path: &Path) -> Result<(), Fault> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| DiskError::io("create", path)(error).fault())
}

async fn make_disk(
    path: std::path::PathBuf,
    size: banger_model::DiskSize,
    label: &'static str,
) -> Result<(), Fault> {
    let making = tokio::task::spawn_blocking(move || disks::make_sparse_ext4(&path, size, label));
    match making.await {
        Ok(result) => result.map_err(|error| error.fault()),
        Err(error) => Err(Fault::new(
            FaultCode::Failed,
            format!("making a disk broke off: {error}"),
        )),
    }
}

/// Removes one object of a sandbox; that it is gone already is a success. Directories hold only what
/// the daemon and the VMM put there, under a path made from the id.
fn remove(paths: &SandboxPaths, object: HostObject) -> Result<(), Fault> {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the module that owns a sandbox's directories"
    )]
    let (path, result) = match object {
        HostObject::StateDirectory => (&paths.state, std::fs::remove_dir_all(&paths.state)),
        HostObject::RuntimeDirectory => (&paths.runtime, std::fs::remove_dir_all(&paths.runtime)),
        HostObject::SystemDisk => (&paths.state, std::fs::remove_file(paths.system_disk())),
        HostObject::WorkDisk => (&paths.state, std::fs::remove_file(paths.work_disk())),
        HostObject::Network | HostObject::Vmm => return Ok(()),
    };
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Fault::new(
            FaultCode::Failed,
            format!("cannot remove {object:?} in {}: {error}", path.display()),
        )),
        _ => Ok(()),
    }
}

impl Work {
    /// A sandbox that has run has disks. One that is missing is a loss to be told, not an empty disk
    /// to be made.
    fn check_disks(&self) -> Result<(), Fault> {
        let record = self.record();
        if record.state != SandboxState::Stopped {
            return Ok(());
        }
        for disk in [self.paths.work_disk(), self.paths.system_disk()] {
            if !disk.exists() {
                let (name, disk) = (&record.name, disk.display());
                let message = format!("a disk of sandbox {name} is gone: {disk}");
                return Err(Fault::new(FaultCode::Failed, message)
                    .with_remedy(format!("put it back, or `banger vm rm {name}`")));
            }
        }
        Ok(())
    }

    /// Boots: makes what is missing, starts the VMM, meets the agent, configures the guest.
    pub(super) async fn start(&mut self, wait: Wait) -> Result<(), Failure> {
        let bare = |fault| Failure {
            fault,
            leftovers: vec![],
        };
        self.check_disks().map_err(bare)?;
        disks::require_room(&self.services.layout.sandboxes())
            .map_err(|error| bare(error.fault()))?;
        // Before anything is made: a port that somebody else has is no reason to boot a guest.
        let publish = self.listeners.bind(&self.record().spec.publish);
        let publish = publish.map_err(bare)?;
        self.put(|record| {
            record.state = SandboxState::Starting;
            record.reason = None;
            record.run = None;
            record.spec.publish = publish;
        })
        .await
        .map_err(bare)?;
        self.reach(Goal::Running).await?;
        if wait == Wait::Init
            && let Err(fault) = phases::settle(self).await
        {
            // The guest runs, and the user has waited in vain: that is no reason to take it away.
            self.progress
                .note(format!("the guest's init has not settled: {fault}"));
        }
        self.put(|record| record.state = SandboxState::Running)
            .await
            .map_err(bare)?;
        self.listeners.serve();
        Ok(())
    }
}
