//! TAPs: on the bridge, up, for the owner to open.

use super::{Host, PORTS_MAX, change, conflict, find, not_ours, ours, ports};
use crate::kernel::{Link, LinkChange};
use banger_model::host_names::TapSlot;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::root::{BATCH_MAX, Change, Did, Object, Slots};

/// What a slot needs.
enum Step<'l> {
    Nothing,
    Create,
    Adjust(&'l Link),
    Replace(&'l Link),
}

/// Makes TAPs. All of them are looked at before the first is touched.
pub(super) fn make(host: Host<'_>, slots: &Slots<BATCH_MAX>) -> Result<Vec<Change>, Fault> {
    let links = host.kernel.links()?;
    let bridge = host.our_bridge(&links)?;
    let mut steps = Vec::with_capacity(slots.len());
    for slot in slots.iter() {
        let link = find(&links, &slot.interface());
        steps.push((slot, step(link, bridge, host.place.owner)?));
    }
    has_room(&links, bridge, &steps)?;
    let mut changes = Vec::with_capacity(steps.len());
    for (slot, step) in steps {
        let did = match step {
            Step::Nothing => Did::WasSo,
            Step::Create => {
                host.kernel.create_tap(slot, bridge.index)?;
                Did::Made
            }
            Step::Adjust(link) => {
                let to = LinkChange {
                    up: Some(true),
                    master: Some(bridge.index),
                    mtu: None,
                };
                host.kernel.change(&link.name, to)?;
                Did::Adjusted
            }
            Step::Replace(link) => {
                host.kernel.delete(std::slice::from_ref(&link.name))?;
                host.kernel.create_tap(slot, bridge.index)?;
                Did::Adjusted
            }
        };
        changes.push(change(Object::Tap(slot), did));
    }
    Ok(changes)
}

/// What is left of an earlier TAP is taken over where it can be, and made anew where it cannot.
fn step<'l>(link: Option<&'l Link>, bridge: &Link, owner: u32) -> Result<Step<'l>, Fault> {
    let Some(link) = link else {
        return Ok(Step::Create);
    };
    ours(link)?;
    if !link.is_tap || link.owner != Some(owner) {
        if link.carrier {
            return Err(conflict(format!(
                "the interface {} is not a TAP of user {owner}, and is in use",
                link.name
            )));
        }
        return Ok(Step::Replace(link));
    }
    let is_ready = link.up && link.master == Some(bridge.index);
    Ok(if is_ready {
        Step::Nothing
    } else {
        Step::Adjust(link)
    })
}

/// A bridge that is full refuses a port with `EXFULL`; it is said before, and one is kept for the
/// firewall's probe.
fn has_room(links: &[Link], bridge: &Link, steps: &[(TapSlot, Step<'_>)]) -> Result<(), Fault> {
    let taken = ports(links, bridge.index).count();
    let adds = |step: &Step<'_>| match step {
        Step::Create => true,
        Step::Nothing => false,
        Step::Adjust(link) | Step::Replace(link) => link.master != Some(bridge.index),
    };
    let new = steps.iter().filter(|(_, step)| adds(step)).count();
    if taken + new < PORTS_MAX {
        return Ok(());
    }
    let message = format!(
        "the bridge {} has {taken} of {PORTS_MAX} ports, {new} more do not fit",
        bridge.name
    );
    Err(Fault::new(FaultCode::Unavailable, message)
        .with_remedy("delete machines that are not needed"))
}

/// Deletes TAPs. One that is not ours stops it before anything is deleted.
pub(super) fn delete(
    host: Host<'_>,
    slots: impl Iterator<Item = TapSlot>,
) -> Result<Vec<Change>, Fault> {
    let links = host.kernel.links()?;
    let mut names = Vec::new();
    let mut changes = Vec::new();
    for slot in slots {
        let did = match find(&links, &slot.interface()) {
            None => Did::WasSo,
            Some(link) if !link.ours => return Err(not_ours(link)),
            Some(link) => {
                names.push(link.name.clone());
                Did::Removed
            }
        };
        changes.push(change(Object::Tap(slot), did));
    }
    if !names.is_empty() {
        host.kernel.delete(&names)?;
    }
    Ok(changes)
}
