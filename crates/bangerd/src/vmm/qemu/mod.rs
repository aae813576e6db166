//! QEMU: one process per guest, driven over its control socket (QMP).
//!
//! [`survey`] looks at what is there, [`args`] is the pure plan, [`launch`] acts. No failure was
//! seen in some two hundred emulated boots of the machine that [`args`] describes.

pub mod args;
mod find;
mod fingerprint;
mod launch;
mod launcher;
mod memory;
pub mod qmp;
mod save;
mod survey;

pub use find::started_for;
pub use launcher::{LAUNCH_VERB, Launcher, launcher_main};
pub use save::SAVE_FLOOR;
pub use survey::{FLOOR, PROGRAM_VARIABLE, Places, Program, Version};

use super::process::{ExitReport, log_tail};
use super::{
    Backend, DiskRole, Earlier, Launched, Machine, MachineFingerprint, Paused, ProcessIdentity,
    RunState, Saved, Vmm, VmmError,
};
use crate::layout::SandboxPaths;
use futures_util::future::BoxFuture;
use qmp::{Qmp, QmpError};
use std::sync::Arc;
use std::time::Duration;

/// The run state of a guest that was paused because the host's disk is full (`RunState` of QEMU's
/// qapi/run-state.json; other errors of the disk are reported to the guest).
const NO_ROOM: &str = "io-error";

/// The run state of a guest that was halted by a command.
const PAUSED: &str = "paused";

/// How long a QEMU may take from its start until its guest's processors run. It takes 25 ms on an
/// idle machine; the limit is for one that is overloaded or short of memory.
pub const LAUNCH_LIMIT: Duration = Duration::from_secs(20);

/// How long a command on the control socket may take.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(5);

/// Runs guests with one QEMU program.
#[derive(Debug, Clone)]
pub struct Qemu {
    /// The program, as surveyed.
    pub program: Program,
    /// What puts it into a session of its own.
    pub launcher: Launcher,
    /// See [`LAUNCH_LIMIT`].
    pub launch_limit: Duration,
    /// See [`COMMAND_LIMIT`].
    pub command_limit: Duration,
}

impl Qemu {
    /// With the usual limits.
    #[must_use]
    pub const fn new(program: Program, launcher: Launcher) -> Self {
        Self {
            program,
            launcher,
            launch_limit: LAUNCH_LIMIT,
            command_limit: COMMAND_LIMIT,
        }
    }

    async fn connect(&self, paths: &SandboxPaths) -> Result<Qmp, QmpError> {
        Qmp::connect(&paths.vmm_socket(), self.command_limit).await
    }

    async fn press(&self, paths: &SandboxPaths) -> Result<(), QmpError> {
        self.connect(paths).await?.system_powerdown().await
    }

    async fn ask(&self, paths: &SandboxPaths) -> Result<RunState, QmpError> {
        Ok(match self.connect(paths).await?.query_status().await? {
            qmp::RunState::Running => RunState::Running,
            // With the error policy of our disks a lack of room is the only error that pauses.
            qmp::RunState::Halted(word) if word == NO_ROOM => RunState::NoRoom,
            qmp::RunState::Halted(word) if word == PAUSED => RunState::Paused,
            qmp::RunState::Starting | qmp::RunState::Halted(_) => RunState::Other,
        })
    }

    async fn resize(
        &self,
        paths: &SandboxPaths,
        role: DiskRole,
        bytes: u64,
    ) -> Result<(), QmpError> {
        let mut qmp = self.connect(paths).await?;
        qmp.block_resize(role.serial(), bytes).await
    }

    async fn unpause(&self, paths: &SandboxPaths) -> Result<(), QmpError> {
        self.connect(paths).await?.cont().await
    }
}

impl Vmm for Qemu {
    fn launch<'a>(&'a self, machine: &'a Machine) -> BoxFuture<'a, Result<Launched, VmmError>> {
        Box::pin(launch::launch(self, machine))
    }

    fn power_button<'a>(&'a self, paths: &'a SandboxPaths) -> BoxFuture<'a, Result<(), VmmError>> {
        Box::pin(async move {
            let doing = "press the power button";
            let pressed = self.press(paths).await;
            pressed.map_err(|source| VmmError::Control { doing, source })
        })
    }

    fn run_state<'a>(
        &'a self,
        paths: &'a SandboxPaths,
    ) -> BoxFuture<'a, Result<RunState, VmmError>> {
        Box::pin(async move {
            let doing = "ask for the guest's state";
            let asked = self.ask(paths).await;
            asked.map_err(|source| VmmError::Control { doing, source })
        })
    }

    fn pause<'a>(&'a self, paths: &'a SandboxPaths) -> BoxFuture<'a, Result<(), VmmError>> {
        Box::pin(save::pause(self, paths))
    }

    fn save<'a>(
        &'a self,
        guest: &'a Paused<'a>,
        into: &'a Saved,
    ) -> BoxFuture<'a, Result<(), VmmError>> {
        Box::pin(save::save(self, guest, into))
    }

    fn save_over<'a>(
        &'a self,
        guest: &'a Paused<'a>,
        into: &'a Saved,
        earlier: Arc<dyn Earlier>,
    ) -> BoxFuture<'a, Result<(), VmmError>> {
        Box::pin(save::save_over(self, guest, into, earlier))
    }

    fn can_save(&self) -> Result<(), VmmError> {
        save::can_save(self)
    }

    fn go_on<'a>(&'a self, paths: &'a SandboxPaths) -> BoxFuture<'a, Result<(), VmmError>> {
        Box::pin(async move {
            let doing = "let the guest go on";
            let unpaused = self.unpause(paths).await;
            unpaused.map_err(|source| VmmError::Control { doing, source })
        })
    }

    fn resize_disk<'a>(
        &'a self,
        paths: &'a SandboxPaths,
        role: DiskRole,
        bytes: u64,
    ) -> BoxFuture<'a, Result<(), VmmError>> {
        Box::pin(async move {
            let doing = "make a disk larger";
            let resized = self.resize(paths, role, bytes).await;
            resized.map_err(|source| VmmError::Control { doing, source })
        })
    }

    fn exited<'a>(
        &'a self,
        process: &'a ProcessIdentity,
        paths: &'a SandboxPaths,
    ) -> BoxFuture<'a, Result<ExitReport, VmmError>> {
        Box::pin(async move {
            let ended = process.exited().await;
            let status = ended.map_err(|source| VmmError::Process {
                doing: format!("wait for process {}", process.pid),
                source,
            })?;
            // The end is what matters: it is told even if the log is lost.
            let log_tail = log_tail(&paths.vmm_log()).unwrap_or_default();
            Ok(ExitReport { status, log_tail })
        })
    }

    fn fingerprint(&self, machine: &Machine) -> Result<MachineFingerprint, VmmError> {
        fingerprint::of(self, machine)
    }

    fn describe(&self) -> Backend {
        Backend {
            name: "qemu",
            version: self.program.version.to_string(),
            program: self.program.path.clone(),
        }
    }
}
