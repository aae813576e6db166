//! What a sandbox takes of the host, and what its guest says that it uses.
//!
//! The host's side is read from `/proc` and `/sys`, which wait for nobody: not for the VMM, whose control
//! socket serves one client at a time, nor for the guest. The guest is asked beside that, within a limit of
//! its own, so that one that does not answer holds nobody up.

mod guest;
mod link;

pub(crate) use link::packets_to;

use crate::host;
use crate::layout::SandboxPaths;
use crate::sandbox::{Sandbox, View};
use crate::services::Services;
use crate::vmm::process::{self, since_boot};
use banger_model::SandboxState;
use banger_model::host_names::TapSlot;
use banger_proto::owner::stats::{MemoryShares, NetworkStats, Stats, VmmStats};
use std::time::Duration;

/// What the host knows.
#[derive(Debug, Default)]
struct Counted {
    taken: Duration,
    disk_used: u64,
    vmm: Option<VmmStats>,
    network: Option<NetworkStats>,
}

/// Everything of one sandbox, within the time that a guest gets for its answer.
pub async fn of(services: &Services, sandbox: &Sandbox) -> Stats {
    let view = sandbox.view();
    let slot = services.host_network.attachment(sandbox.id);
    let (paths, process) = (
        SandboxPaths::of(&services.layout, sandbox.id),
        vmm_of(&view),
    );
    let slot = slot.map(|place| place.slot);
    let counting = tokio::task::spawn_blocking(move || count(&paths, process.as_ref(), slot));
    let (counted, (guest, guest_trouble)) = tokio::join!(counting, guest::ask(&view));
    let counted = counted.unwrap_or_default();
    Stats {
        id: sandbox.id.to_string(),
        name: view.record.name.to_string(),
        state: view.record.state,
        taken_ms: milliseconds(counted.taken),
        vcpu: view.record.spec.vcpu.value.get(),
        disk_used: counted.disk_used,
        vmm: counted.vmm,
        network: counted.network,
        guest,
        guest_trouble,
    }
}

fn vmm_of(view: &View) -> Option<process::ProcessIdentity> {
    let record = &view.record;
    let run = record.run.as_ref().filter(|_| record.state.may_have_vmm());
    run.map(|run| run.process.clone())
}

fn count(
    paths: &SandboxPaths,
    process: Option<&process::ProcessIdentity>,
    slot: Option<TapSlot>,
) -> Counted {
    // A VMM that just ended is none; /proc that cannot be read has no figures either.
    let usage = process.and_then(|process| Some((process.pid, process.usage().ok()??)));
    Counted {
        taken: usage.map_or_else(since_boot, |(_, usage)| usage.taken),
        disk_used: host::used(&paths.system_disk()).saturating_add(host::used(&paths.work_disk())),
        network: usage.and_then(|_| link::counters(slot?)),
        vmm: usage.map(|(pid, usage)| VmmStats {
            pid,
            started_ms: milliseconds(usage.started),
            cpu_ms: milliseconds(usage.cpu),
            resident_bytes: usage.resident,
            memory: usage.memory.map(|memory| MemoryShares {
                own_bytes: memory.own,
                own_dirty_bytes: memory.own_dirty,
                shared_bytes: memory.shared,
                proportional_bytes: memory.proportional,
            }),
            read_bytes: usage.io.map(|io| io.read),
            written_bytes: usage.io.map(|io| io.written),
        }),
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whether there is something to ask a guest.
const fn has_guest(state: SandboxState) -> bool {
    matches!(state, SandboxState::Running)
}
