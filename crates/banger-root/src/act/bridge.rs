//! The bridge: there, with the addresses of its subnet, or not there.

use super::survey::taken;
use super::{Host, change, conflict, find, not_ours, ours, ports};
use crate::kernel::{Link, LinkChange, Switch};
use banger_model::subnet::{Cidr, Subnet, collision};
use banger_proto::fault::Fault;
use banger_proto::root::{Change, Did, Mtu, Object};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Makes the bridge what it is asked to be.
pub(super) fn ensure(host: Host<'_>, subnet: &Subnet, mtu: Mtu) -> Result<Change, Fault> {
    let kernel = host.kernel;
    let links = kernel.links()?;
    if let Some(link) = host.bridge_in(&links) {
        is_our_bridge(link)?;
    }
    // A bridge that is there may be taken over with the subnet that it has; what is elsewhere on the
    // host wins in any case.
    if let Some(collision) = collision(subnet, &taken(host, &links)?, &host.place.bridge) {
        return Err(
            conflict(&collision).with_remedy("choose another subnet, or remove what uses it")
        );
    }
    let did = match host.bridge_in(&links) {
        None => {
            kernel.create_bridge(mtu.get())?;
            Did::Made
        }
        Some(link) if u32::from(mtu.get()) != link.mtu => {
            kernel.change(
                &link.name,
                LinkChange {
                    mtu: Some(mtu.get()),
                    ..LinkChange::default()
                },
            )?;
            Did::Adjusted
        }
        Some(_) => Did::WasSo,
    };
    let links = kernel.links()?;
    let bridge = host.our_bridge(&links)?;
    let readdressed = set_addresses(host, &links, bridge, subnet)?;
    let switched = set_switches(host)?;
    if !bridge.up {
        kernel.change(
            &bridge.name,
            LinkChange {
                up: Some(true),
                ..LinkChange::default()
            },
        )?;
    }
    let changed = readdressed || switched || !bridge.up;
    let did = if did == Did::WasSo && changed {
        Did::Adjusted
    } else {
        did
    };
    Ok(change(Object::Bridge, did))
}

fn is_our_bridge(link: &Link) -> Result<(), Fault> {
    ours(link)?;
    if link.is_bridge {
        Ok(())
    } else {
        Err(not_ours(link))
    }
}

/// Gives the bridge the first address of each family and takes others from it, unless guests use them.
fn set_addresses(
    host: Host<'_>,
    links: &[Link],
    bridge: &Link,
    subnet: &Subnet,
) -> Result<bool, Fault> {
    let mut wanted = BTreeSet::from([on(subnet.gateway_v4().into(), subnet.prefix())?]);
    if host.kernel.switch(&Switch::Ipv6Forward)?.is_some() {
        wanted.insert(on(subnet.gateway_v6().into(), Subnet::PREFIX_V6)?);
    }
    let present: BTreeSet<_> = addresses(host, bridge.index)?.collect();
    let others: Vec<_> = present.difference(&wanted).collect();
    if let (Some(other), Some(port)) = (
        others.first(),
        ports(links, bridge.index).find(|port| port.carrier),
    ) {
        return Err(conflict(format!(
            "the bridge {} has the address {other}, and {} is in use",
            bridge.name, port.name
        ))
        .with_remedy("stop all machines before the subnet is changed"));
    }
    for other in &others {
        host.kernel.delete_address(**other)?;
    }
    let missing: Vec<_> = wanted.difference(&present).collect();
    for address in &missing {
        host.kernel.add_address(**address)?;
    }
    Ok(!others.is_empty() || !missing.is_empty())
}

fn on(address: IpAddr, prefix: u8) -> Result<Cidr, Fault> {
    Cidr::new(address, prefix).map_err(conflict)
}

/// The addresses of an interface, those that the kernel gives to each link left out.
pub(super) fn addresses(
    host: Host<'_>,
    interface: u32,
) -> Result<impl Iterator<Item = Cidr>, Fault> {
    let all = host.kernel.addresses()?.into_iter();
    let here = all.filter(move |address| address.interface == interface);
    Ok(here
        .map(|address| address.address)
        .filter(|address| !is_link_local(address)))
}

fn is_link_local(address: &Cidr) -> bool {
    matches!(address.address(), IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// The bridge forwards between guests, whatever the rest of the host does; it tells guests no other
/// way, and takes none from them. A switch that the host does not have stays unset.
pub(super) fn set_switches(host: Host<'_>) -> Result<bool, Fault> {
    let wanted = [
        (Switch::BridgeIpv4, 1),
        (Switch::BridgeIpv6, 1),
        (Switch::BridgeRedirects, 0),
        (Switch::BridgeAcceptRa, 0),
    ];
    let mut changed = false;
    for (switch, value) in wanted {
        let found = host.kernel.switch(&switch)?;
        if found.is_some_and(|found| found != value) {
            host.kernel.set_switch(&switch, value)?;
            changed = true;
        }
    }
    Ok(changed)
}

/// Removes the bridge if it is ours and nothing is attached to it.
pub(super) fn remove(host: Host<'_>) -> Result<Change, Fault> {
    let links = host.kernel.links()?;
    let Some(bridge) = find(&links, host.place.bridge.as_str()) else {
        return Ok(change(Object::Bridge, Did::WasSo));
    };
    ours(bridge)?;
    if let Some(port) = ports(&links, bridge.index).next() {
        return Err(conflict(format!(
            "the bridge {} has ports, {} among them",
            bridge.name, port.name
        ))
        .with_remedy("delete them first"));
    }
    host.kernel.delete(std::slice::from_ref(&bridge.name))?;
    Ok(change(Object::Bridge, Did::Removed))
}
