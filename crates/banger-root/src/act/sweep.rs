//! Removing what is ours and belongs to nobody that lives. What is another's is passed over.

use super::{Host, bridge, change, policy, resolver, stale_probe, taps};
use crate::probe;
use banger_model::host_names::TapSlot;
use banger_proto::fault::Fault;
use banger_proto::root::{Change, Did, Object, Slots};

const ALL: usize = TapSlot::MAX as usize;

/// Removes TAPs that are not in `live`, and bridge and policy unless they stay. What fails does not
/// keep the rest from being removed; the first failure is told at the end.
pub(super) fn sweep(
    host: Host<'_>,
    live: &Slots<ALL>,
    bridge: bool,
    policy: bool,
) -> Result<Vec<Change>, Fault> {
    let mut swept = Swept::default();
    swept.take(taps_but(host, live));
    swept.take(stale(host).map(|()| Vec::new()));
    if !policy {
        swept.take(policy::clear(host));
        swept.take(resolver::clear(host).map(|change| vec![change]));
    }
    if !bridge && is_ours(host)? {
        swept.take(bridge::remove(host).map(|change| vec![change]));
    }
    swept.outcome()
}

fn taps_but(host: Host<'_>, live: &Slots<ALL>) -> Result<Vec<Change>, Fault> {
    let links = host.kernel.links()?;
    let ours = links.iter().filter(|link| link.ours);
    let slots = ours.filter_map(|link| TapSlot::of_interface(&link.name));
    taps::delete(host, slots.filter(|slot| !live.contains(*slot)))
}

/// What a probe that was killed has left: its TAP and its rules.
fn stale(host: Host<'_>) -> Result<(), Fault> {
    let links = host.kernel.links()?;
    if let Some(tap) = stale_probe(&links) {
        host.kernel.delete(std::slice::from_ref(&tap.name))?;
    }
    Ok(host
        .kernel
        .apply(&probe::removal(&host.place.installation))?)
}

fn is_ours(host: Host<'_>) -> Result<bool, Fault> {
    let links = host.kernel.links()?;
    Ok(host.bridge_in(&links).is_some_and(|bridge| bridge.ours))
}

#[derive(Default)]
struct Swept {
    changes: Vec<Change>,
    failure: Option<Fault>,
}

impl Swept {
    fn take(&mut self, part: Result<Vec<Change>, Fault>) {
        match part {
            Ok(changes) => self.changes.extend(changes),
            Err(fault) => _ = self.failure.get_or_insert(fault),
        }
    }

    fn outcome(self) -> Result<Vec<Change>, Fault> {
        let Self {
            mut changes,
            failure,
        } = self;
        if let Some(fault) = failure {
            return Err(fault);
        }
        changes.retain(|change| change.did != Did::WasSo);
        if changes.is_empty() {
            return Ok(vec![change(Object::Bridge, Did::WasSo)]);
        }
        Ok(changes)
    }
}
