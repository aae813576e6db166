//! Inner types as they are shown.

use crate::host;
use crate::layout::SandboxPaths;
use crate::publish::{Listeners, PortState};
use crate::record::{Record, Run, Times};
use crate::services::Services;
use banger_model::SandboxState;
use banger_model::plan::Leftover;
use banger_model::publish::Published;
use banger_model::spec::{Source, Sourced};
use banger_proto::owner::sandbox as owner;
use std::time::Duration;

fn shown<T, N: From<T>>(from: Sourced<T>) -> owner::Sourced<N> {
    owner::Sourced {
        value: from.value.into(),
        source: from.source,
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn times(times: Times) -> owner::StartTimes {
    owner::StartTimes {
        vmm_up_ms: milliseconds(times.vmm_up),
        guest_running_ms: milliseconds(times.guest_running),
        agent_answered_ms: milliseconds(times.agent_answered),
        init_settled_ms: times.init_settled.map(milliseconds),
    }
}

/// A published port as it is shown.
pub(super) fn published(one: &Published, listeners: &Listeners) -> owner::Published {
    let state = listeners.state(&one.asked);
    owner::Published {
        asked: one.asked,
        protocol: one.asked.protocol,
        address: one.asked.address.to_string(),
        port: one.endpoint().map_or(0, |endpoint| endpoint.port()),
        guest_port: one.asked.guest.get(),
        open: state == PortState::Open,
        trouble: match state {
            PortState::Trouble(why) => Some(why),
            PortState::Closed | PortState::Open => None,
        },
    }
}

/// One whose record cannot be read: what is not known is shown as zero, empty or `?`.
fn unreadable(record: Record, paths: &SandboxPaths) -> owner::Sandbox {
    fn unknown<T>(value: T) -> owner::Sourced<T> {
        owner::Sourced {
            value,
            source: Source::Builtin,
        }
    }
    owner::Sandbox {
        id: record.id.to_string(),
        name: record.name.to_string(),
        state: record.state,
        reason: record.reason,
        image: unknown("?".into()),
        kernel: unknown("?".into()),
        vcpu: unknown(0),
        memory_mib: unknown(0),
        disk_mib: unknown(0),
        system_disk_mib: unknown(0),
        network: None,
        addresses: vec![],
        nat: false,
        networks: vec![],
        links: vec![],
        init: record.spec.init,
        ephemeral: false,
        checkpoint: false,
        labels: Default::default(),
        publish: vec![],
        created_at: record.created_at,
        run: None,
        leftovers: vec![],
        disk_used: host::used(&paths.system_disk()) + host::used(&paths.work_disk()),
        directory: paths.state.display().to_string(),
    }
}

/// A sandbox as it is shown.
pub(super) fn sandbox(
    services: &Services,
    record: Record,
    listeners: &Listeners,
) -> owner::Sandbox {
    let paths = SandboxPaths::of(&services.layout, record.id);
    let place = services.host_network.attachment(record.id);
    let addresses = place
        .map(|place| place.config.addresses)
        .unwrap_or_default();
    // While it starts, the run that is recorded is the one before until there is a VMM.
    let before =
        |run: &Run| record.state == SandboxState::Starting && !run.times.agent_answered.is_zero();
    let alive = record.state.may_have_vmm();
    let run_before = record.run.as_ref().is_some_and(before);
    let run = |run: Run| owner::Run {
        pid: (alive && !run_before).then_some(run.process.pid),
        backend: run.backend,
        started_at: run.started_at,
        times: times(run.times),
        kernel_release: run.kernel_release,
        init_started: run.init_started,
        resumed: run.resumed,
    };
    if record.state == SandboxState::Unreadable {
        return unreadable(record, &paths);
    }
    let leftovers = record.unfinished.into_iter().flat_map(|u| u.leftovers);
    let leftover = |left: Leftover| owner::Leftover {
        object: left.object.to_string(),
        why: left.why,
    };
    owner::Sandbox {
        id: record.id.to_string(),
        name: record.name.to_string(),
        state: record.state,
        reason: record.reason,
        image: shown(record.spec.image),
        kernel: shown(record.spec.kernel),
        vcpu: shown(record.spec.vcpu),
        memory_mib: shown(record.spec.memory),
        disk_mib: shown(record.spec.work_disk),
        system_disk_mib: shown(record.spec.system_disk),
        network: Some(shown(record.spec.network)),
        addresses: addresses.into_iter().map(|(address, _)| address).collect(),
        nat: record.spec.nat,
        networks: record
            .spec
            .networks
            .iter()
            .map(ToString::to_string)
            .collect(),
        links: record.spec.links.iter().map(ToString::to_string).collect(),
        init: record.spec.init,
        labels: record
            .spec
            .labels
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect(),
        ephemeral: record.spec.ephemeral,
        checkpoint: record.spec.checkpoint,
        publish: record
            .spec
            .publish
            .iter()
            .map(|one| published(one, listeners))
            .collect(),
        created_at: record.created_at,
        run: record.run.map(run),
        leftovers: leftovers.map(leftover).collect(),
        disk_used: host::used(&paths.system_disk()) + host::used(&paths.work_disk()),
        directory: paths.state.display().to_string(),
    }
}
