//! The host's forwarding: on when the policy needs it, off again if it was off before.

use super::Host;
use super::bridge::set_switches;
use crate::kernel::Switch;
use banger_model::policy::{Policy, Switched};
use banger_proto::fault::Fault;

/// What the policy needs and was, or has to be, switched on by us.
pub(super) fn to_switch(
    host: Host<'_>,
    policy: &Policy,
    before: &Switched,
) -> Result<Switched, Fault> {
    let is_off = |switch| host.kernel.switch(&switch).map(|value| value == Some(0));
    let mut wanted = Switched::default();
    if policy.wants_nat() {
        wanted.ipv4 = before.ipv4 || is_off(Switch::Ipv4Forward)?;
    }
    if policy.wants_ipv6_forwarding() {
        wanted.ipv6 = before.ipv6 || is_off(Switch::Ipv6Forward)?;
    }
    if wanted.ipv6 {
        wanted.accept_ra = before.accept_ra.clone();
        let mut listening = listening(host)?;
        listening.retain(|name| Switched::can_name(name));
        wanted.accept_ra.extend(listening);
    }
    Ok(wanted)
}

/// Interfaces at which the host listens to a router of its own, and would stop to when it forwards.
fn listening(host: Host<'_>) -> Result<Vec<String>, Fault> {
    let routes = host.kernel.routes()?;
    let is_default = |index| {
        let mut defaults = routes
            .iter()
            .filter(|route| route.to.prefix() == 0 && route.to.address().is_ipv6());
        defaults.any(|route| route.interface == Some(index))
    };
    let mut names = Vec::new();
    for link in host
        .kernel
        .links()?
        .into_iter()
        .filter(|link| is_default(link.index))
    {
        if host.kernel.switch(&Switch::AcceptRa(link.name.clone()))? == Some(1) {
            names.push(link.name);
        }
    }
    Ok(names)
}

/// Switches on what the policy needs.
pub(super) fn switch_on(host: Host<'_>, policy: &Policy, wanted: &Switched) -> Result<bool, Fault> {
    let mut changed = false;
    if policy.wants_ipv6_forwarding() {
        // First, or the host would stop listening to its own router in between.
        for name in &wanted.accept_ra {
            replace(host, &Switch::AcceptRa(name.clone()), 1, 2)?;
        }
        changed |= set(host, &Switch::Ipv6Forward, 1)?;
    }
    if policy.wants_nat() {
        changed |= set(host, &Switch::Ipv4Forward, 1)?;
    }
    Ok(changed | reset_bridge(host, changed)?)
}

/// Switches off what was switched on before and is wanted no more.
pub(super) fn restore(host: Host<'_>, before: &Switched, wanted: &Switched) -> Result<bool, Fault> {
    let mut changed = false;
    if before.ipv4 && !wanted.ipv4 {
        changed |= set(host, &Switch::Ipv4Forward, 0)?;
    }
    if before.ipv6 && !wanted.ipv6 {
        changed |= set(host, &Switch::Ipv6Forward, 0)?;
        for name in &before.accept_ra {
            replace(host, &Switch::AcceptRa(name.clone()), 2, 1)?;
        }
    }
    reset_bridge(host, changed)?;
    Ok(changed)
}

/// The switch of all interfaces sets that of each: the bridge's own has to follow.
fn reset_bridge(host: Host<'_>, changed: bool) -> Result<bool, Fault> {
    let links = host.kernel.links()?;
    let is_ours = host.bridge_in(&links).is_some_and(|bridge| bridge.ours);
    if changed && is_ours {
        set_switches(host)
    } else {
        Ok(false)
    }
}

fn set(host: Host<'_>, switch: &Switch, value: i32) -> Result<bool, Fault> {
    let found = host.kernel.switch(switch)?;
    if found.is_none_or(|found| found == value) {
        return Ok(false);
    }
    host.kernel.set_switch(switch, value)?;
    Ok(true)
}

/// Sets a switch that still has the value that it is expected to have: whoever changed it since has
/// decided.
fn replace(host: Host<'_>, switch: &Switch, from: i32, to: i32) -> Result<(), Fault> {
    if host.kernel.switch(switch)? == Some(from) {
        host.kernel.set_switch(switch, to)?;
    }
    Ok(())
}
