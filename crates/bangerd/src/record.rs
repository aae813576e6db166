//! What is remembered of a sandbox.

use crate::snapshots::Fingerprint;
use crate::vmm::process::ProcessIdentity;
use banger_model::host_names::TapSlot;
use banger_model::plan::Unfinished;
use banger_model::subnet::HostPart;
use banger_model::{SandboxId, SandboxName, SandboxState, Spec};
use std::time::Duration;

/// The record of one sandbox: intent before the first step, outcome after the last.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: SandboxId,
    /// Its name.
    pub name: SandboxName,
    /// Where it is in its life.
    pub state: SandboxState,
    /// Why it is not running, when that was not asked for.
    pub reason: Option<String>,
    /// Seconds since 1970.
    pub created_at: u64,
    /// What was asked for.
    pub spec: Spec,
    /// The present or last run; none before a VMM was first started.
    pub run: Option<Run>,
    /// Its place on the bridge, if that is how it is connected.
    pub network: Option<OnBridge>,
    /// What could not be finished, while it needs repair.
    pub unfinished: Option<Unfinished>,
}

/// A place on the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnBridge {
    /// Its address in the subnet: its own for as long as it exists.
    pub host_part: HostPart,
    /// Its TAP while it runs; recorded before the guest has it.
    pub slot: Option<TapSlot>,
}

/// One run: from a start to the end of its VMM.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The VMM; recorded as soon as it is there.
    pub process: ProcessIdentity,
    /// `qemu-kvm` or `qemu-tcg`.
    pub backend: String,
    /// Seconds since 1970.
    pub started_at: u64,
    /// What the start took; zero until known.
    pub times: Times,
    /// The guest's kernel release; empty until known.
    pub kernel_release: String,
    /// Whether the image's init runs as PID 1.
    pub init_started: bool,
    /// Whether it went on from a saved memory instead of booting.
    pub resumed: bool,
    /// What a guest must have in common with this one to go on from its memory.
    pub fingerprint: Option<Fingerprint>,
}

/// The meanings of "started", since the start was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// The VMM answers on its control socket.
    pub vmm_up: Duration,
    /// The VMM says that the guest's processors run.
    pub guest_running: Duration,
    /// The agent has answered and the guest is configured.
    pub agent_answered: Duration,
    /// The guest's init has settled, where that was waited for.
    pub init_settled: Option<Duration>,
}
