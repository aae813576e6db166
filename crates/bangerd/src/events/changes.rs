//! What a change of a sandbox means to its owner. Pure: a comparison of before and after.

use crate::record::Record;
use banger_model::publish::Published;
use banger_model::{SandboxState, Spec};
use banger_proto::owner::event::What;

/// What of a sandbox events are about.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its record.
    pub record: Record,
    /// Whether there is a link to its agent.
    pub linked: bool,
    /// Why its guest is paused, when it is.
    pub stalled: Option<String>,
    /// It is deleted.
    pub gone: bool,
}

/// The events of one change, in the order in which they are told. `link_lost` remembers from one change
/// to the next whether the link is being made again; while work is under way (`working`) a link that
/// goes is a part of that work.
#[must_use]
pub fn changes(before: &Seen, after: &Seen, working: bool, link_lost: &mut bool) -> Vec<What> {
    match (&before.record.spec.pooled, &after.record.spec.pooled) {
        // Nobody's: what happens to it is nobody's business.
        (_, Some(_)) => return vec![],
        (Some(_), None) => return taken(&after.record),
        (None, None) => {}
    }
    let mut happened = Vec::new();
    if before.record.name != after.record.name {
        let from = before.record.name.to_string();
        happened.push(What::Renamed { from });
    }
    let fields = changed_fields(&before.record.spec, &after.record.spec);
    if !fields.is_empty() {
        happened.push(What::Set { fields });
    }
    happened.extend(ports(&before.record.spec, &after.record.spec));
    happened.extend(state(before.record.state, &after.record));
    happened.extend(link(before, after, working, link_lost));
    happened.extend(stall(before, after));
    if after.gone && !before.gone {
        happened.push(What::Deleted);
    }
    happened
}

/// One that had waited in the pool is somebody's: for them it begins now.
fn taken(record: &Record) -> Vec<What> {
    let created = What::Created {
        image: record.spec.image.value.to_string(),
    };
    let backend = record.run.as_ref().map(|run| run.backend.clone());
    let started = backend.map(|backend| What::Started { backend });
    std::iter::once(created).chain(started).collect()
}

/// By the names of `vm show --json`.
fn changed_fields(before: &Spec, after: &Spec) -> Vec<String> {
    // All of them: a field that is added has to be thought of here.
    let Spec {
        image,
        kernel,
        vcpu,
        memory,
        work_disk,
        system_disk,
        network,
        nat,
        networks,
        links,
        init,
        ephemeral,
        checkpoint,
        labels,
        publish: _told_apart,
        pooled: _told_before,
    } = before;
    let compared = [
        ("image", image.value != after.image.value),
        ("kernel", kernel.value != after.kernel.value),
        ("vcpu", vcpu.value != after.vcpu.value),
        ("memory_mib", memory.value != after.memory.value),
        ("disk_mib", work_disk.value != after.work_disk.value),
        (
            "system_disk_mib",
            system_disk.value != after.system_disk.value,
        ),
        ("network", network.value != after.network.value),
        ("nat", *nat != after.nat),
        ("networks", *networks != after.networks),
        ("links", *links != after.links),
        ("init", *init != after.init),
        ("ephemeral", *ephemeral != after.ephemeral),
        ("checkpoint", *checkpoint != after.checkpoint),
        ("labels", *labels != after.labels),
    ];
    let changed = compared.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(name, _)| name.to_owned()).collect()
}

/// Which free port a start found is no change of what is published.
fn ports(before: &Spec, after: &Spec) -> Vec<What> {
    let missing = |from: &[Published], of: &[Published]| -> Vec<String> {
        let is_in = |one: &Published| of.iter().any(|other| other.asked == one.asked);
        let only = from.iter().filter(|one| !is_in(one));
        only.map(|one| one.asked.to_string()).collect()
    };
    let new = missing(&after.publish, &before.publish);
    let old = missing(&before.publish, &after.publish);
    let mut happened = Vec::new();
    if !new.is_empty() {
        happened.push(What::Published { ports: new });
    }
    if !old.is_empty() {
        happened.push(What::Unpublished { ports: old });
    }
    happened
}

fn state(before: SandboxState, after: &Record) -> Option<What> {
    use SandboxState::{
        Created, Deleting, NeedsRepair, Running, Starting, Stopped, Stopping, Suspended, Unreadable,
    };
    let reason = after.reason.clone();
    match (before, after.state) {
        (before, after) if before == after => None,
        (_, NeedsRepair) => Some(What::NeedsRepair { reason }),
        // What comes of it is told when nothing is left, or by the next state.
        (_, Deleting | Stopping) => None,
        // Nothing becomes so: a daemon finds it so.
        (_, Unreadable) => None,
        (NeedsRepair, _) => Some(What::Repaired),
        (_, Starting) => Some(What::Starting),
        (_, Running) => Some(What::Started {
            backend: after
                .run
                .as_ref()
                .map_or_else(String::new, |run| run.backend.clone()),
        }),
        (Starting, Created | Stopped | Suspended) => Some(What::StartFailed {
            reason: reason.unwrap_or_default(),
        }),
        // Made from a snapshot: nothing of it has run.
        (Created, Suspended) => None,
        (_, Suspended) => Some(What::Suspended),
        (_, Created | Stopped) => Some(What::Stopped { reason }),
    }
}

fn link(before: &Seen, after: &Seen, working: bool, lost: &mut bool) -> Option<What> {
    if after.record.state != SandboxState::Running {
        *lost = false;
        return None;
    }
    match (before.linked, after.linked) {
        (true, false) if !working => {
            *lost = true;
            Some(What::LinkLost)
        }
        (false, true) if std::mem::take(lost) => Some(What::LinkMade),
        _ => None,
    }
}

fn stall(before: &Seen, after: &Seen) -> Option<What> {
    match (&before.stalled, &after.stalled) {
        (None, Some(reason)) => Some(What::Paused {
            reason: reason.clone(),
        }),
        (Some(_), None) if after.record.state == SandboxState::Running => Some(What::Resumed),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
