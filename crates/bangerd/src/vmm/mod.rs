//! The virtual machine monitor: the process that runs one guest.
//!
//! [`Vmm`] is the seam between the daemon and what runs guests. QEMU is the first implementation
//! ([`qemu`]); Firecracker is to be the second, and nothing outside of [`qemu`] knows an option or
//! a command of either. What a machine looks like is plain data ([`Machine`]).
//!
//! A VMM process belongs to no request and not even to the daemon: it runs in a session of its own,
//! goes on when the daemon dies, and is found again by its [`ProcessIdentity`]. Only a launch that
//! fails or is cancelled ends the process that it began.
//!
//! This room does not know records, states, the guest protocol or who called. How a guest is
//! talked to is the link's matter: here it is a socket path.

pub mod console;
mod error;
mod machine;
mod paused;
pub mod probe;
pub mod process;
pub mod qemu;

pub use error::VmmError;
pub use machine::{AGENT_PORT, Accelerator, Disk, DiskRole, Machine, Network, Saved};
pub use paused::{Earlier, Paused, Unwritten};
pub use process::{ExitReport, ProcessIdentity};

use crate::layout::SandboxPaths;
use futures_util::future::BoxFuture;
use std::time::Duration;

/// Runs guests. Implementations hold no state of single guests, so that a daemon that was started
/// again can drive the guests of the one before it.
pub trait Vmm: Send + Sync {
    /// Starts the machine and returns once the VMM says that the guest's processors run. The guest
    /// is not yet up then: that is for the agent to say.
    ///
    /// If it fails or is dropped before, the process is killed and reaped, and its sockets are
    /// removed; the logs stay, for the caller to read. After success the caller must wait with
    /// [`Vmm::exited`], which reaps the process.
    fn launch<'a>(&'a self, machine: &'a Machine) -> BoxFuture<'a, Result<Launched, VmmError>>;

    /// Presses the guest's power button and returns once that is done; what the guest makes of it
    /// is seen by [`Vmm::exited`].
    fn power_button<'a>(&'a self, paths: &'a SandboxPaths) -> BoxFuture<'a, Result<(), VmmError>>;

    /// Whether the guest's processors run.
    fn run_state<'a>(
        &'a self,
        paths: &'a SandboxPaths,
    ) -> BoxFuture<'a, Result<RunState, VmmError>>;

    /// Halts the guest's processors, once what they wrote is in the files of its disks. It stays so until
    /// [`Vmm::go_on`], whoever has paused it.
    fn pause<'a>(&'a self, paths: &'a SandboxPaths) -> BoxFuture<'a, Result<(), VmmError>>;

    /// Saves memory and devices of a guest that is paused, and leaves it so.
    ///
    /// What it wrote before it failed is the caller's to remove.
    fn save<'a>(
        &'a self,
        guest: &'a Paused<'a>,
        into: &'a Saved,
    ) -> BoxFuture<'a, Result<(), VmmError>>;

    /// As [`Vmm::save`], over an earlier memory of this guest: what differs is written, after it was noted. Read
    /// is what the guest has written since its VMM was started; all of it with [`Unwritten::Unknown`].
    fn save_over<'a>(
        &'a self,
        guest: &'a Paused<'a>,
        into: &'a Saved,
        earlier: std::sync::Arc<dyn Earlier>,
    ) -> BoxFuture<'a, Result<(), VmmError>>;

    /// Whether it can save a guest, and go on with one.
    ///
    /// # Errors
    /// Why not.
    fn can_save(&self) -> Result<(), VmmError>;

    /// Lets a guest that is paused go on, beginning with the write that paused it.
    fn go_on<'a>(&'a self, paths: &'a SandboxPaths) -> BoxFuture<'a, Result<(), VmmError>>;

    /// Makes a disk of a running guest so many bytes large, its file as well, and tells the guest. The
    /// caller's part: no fewer than it has, for what is beyond would be lost.
    fn resize_disk<'a>(
        &'a self,
        paths: &'a SandboxPaths,
        role: DiskRole,
        bytes: u64,
    ) -> BoxFuture<'a, Result<(), VmmError>>;

    /// Waits until the process has ended, without a limit on time, and says what is known of it.
    fn exited<'a>(
        &'a self,
        process: &'a ProcessIdentity,
        paths: &'a SandboxPaths,
    ) -> BoxFuture<'a, Result<ExitReport, VmmError>>;

    /// What has to be the same for a guest that was saved in this machine to go on in another. It is that of a
    /// machine about to be launched: the program's file may be another one later.
    ///
    /// # Errors
    /// The program is not there.
    fn fingerprint(&self, machine: &Machine) -> Result<MachineFingerprint, VmmError>;

    /// What this is, for people.
    fn describe(&self) -> Backend;
}

/// What a VMM knows of whether a guest can go on: the contents of files are for its caller to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineFingerprint {
    /// Which VMM, for people: `qemu 10.0.2`.
    pub vmm: String,
    /// Which build of it: another one may save and load another form.
    pub build: String,
    /// A digest of the machine: all that the guest sees of it, and nothing of where its files are.
    pub machine: String,
}

/// What a VMM says of its guest's processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// They run.
    Running,
    /// They are paused: a write to a disk found no room on the host.
    NoRoom,
    /// They are paused by [`Vmm::pause`].
    Paused,
    /// None of these: the machine is being made, or has ended, or was paused by somebody else.
    Other,
}

/// A machine that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// The VMM's process: to be recorded at once, so that it is found again.
    pub process: ProcessIdentity,
    /// From the call of launch until the VMM answered on its control socket.
    pub vmm_up: Duration,
    /// From the call of launch until the VMM said that the guest's processors run.
    pub guest_running: Duration,
}

/// Which VMM, for `doctor` and `version`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// `qemu`.
    pub name: &'static str,
    /// As the program says it: `10.0.2`.
    pub version: String,
    /// The program.
    pub program: std::path::PathBuf,
}
