//! What of ours exists, and what of the host concerns us. Changes nothing.

use super::bridge::addresses;
use super::{Host, policy, ports, resolver};
use crate::kernel::{Link, Switch};
use crate::listing::Loaded;
use banger_model::host_names::{Installation, PROBE_TAP, TapSlot, is_tap_name};
use banger_model::policy::Switched;
use banger_model::subnet::{Cidr, Taken, TakenBy};
use banger_proto::fault::Fault;
use banger_proto::root::{
    BridgeState, ForwardingState, PolicyState, Survey, TAKEN_MAX, TapState, Uplink, Whose,
};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most names of stray interfaces in a survey.
const STRAYS_MAX: usize = 64;

/// Surveys the host.
pub(super) fn survey(host: Host<'_>) -> Result<Survey, Fault> {
    let links = host.kernel.links()?;
    let loaded = policy::read(host)?;
    let bridge = host.bridge_in(&links);
    let index = bridge.map(|bridge| bridge.index);
    let is_stray = |link: &&Link| {
        is_tap_name(&link.name)
            && TapSlot::of_interface(&link.name).is_none()
            && link.name != PROBE_TAP
    };
    let strays = links.iter().filter(is_stray).map(|link| link.name.clone());
    let mut taken = taken(host, &links)?;
    let taken_cut = taken.len() > TAKEN_MAX;
    taken.truncate(TAKEN_MAX);
    Ok(Survey {
        bridge: bridge
            .map(|bridge| bridge_state(host, &links, bridge))
            .transpose()?,
        taps: links
            .iter()
            .filter_map(|link| tap_state(link, index))
            .collect(),
        strays: strays.take(STRAYS_MAX).collect(),
        policy: policy_state(host, &loaded),
        forwarding: forwarding(host, &Switched::of(&loaded.skeleton))?,
        resolver: if bridge.is_some_and(|bridge| bridge.ours) {
            resolver::state(host)
        } else {
            Default::default()
        },
        uplink: uplink(host, &links)?,
        taken,
        taken_cut,
    })
}

fn whose(link: &Link) -> Whose {
    if link.ours {
        return Whose::Ours;
    }
    let mark = link
        .alias
        .as_deref()
        .and_then(|alias| alias.strip_prefix("banger:"));
    Whose::Foreign(mark.and_then(|id| id.parse::<Installation>().ok()))
}

fn bridge_state(host: Host<'_>, links: &[Link], bridge: &Link) -> Result<BridgeState, Fault> {
    // Sorted, so that two surveys of the same host are the same.
    let addresses: BTreeSet<_> = addresses(host, bridge.index)?.collect();
    Ok(BridgeState {
        whose: whose(bridge),
        addresses: addresses.into_iter().collect(),
        mtu: bridge.mtu,
        up: bridge.up,
        ports: u16::try_from(ports(links, bridge.index).count()).unwrap_or(u16::MAX),
    })
}

fn tap_state(link: &Link, bridge: Option<u32>) -> Option<TapState> {
    Some(TapState {
        slot: TapSlot::of_interface(&link.name)?,
        whose: whose(link),
        on_bridge: link.master.is_some() && link.master == bridge,
        up: link.up,
        in_use: link.carrier,
        owner: link.owner,
    })
}

fn policy_state(host: Host<'_>, loaded: &Loaded) -> Option<PolicyState> {
    if loaded.families.is_empty() {
        return None;
    }
    let installation = loaded.marks.first().map(|mark| mark.installation);
    let all_marked = loaded.marks.len() == loaded.families.len();
    let ours = all_marked
        && loaded
            .marks
            .iter()
            .all(|mark| mark.installation == host.place.installation);
    Some(PolicyState {
        whose: if ours {
            Whose::Ours
        } else {
            Whose::Foreign(installation)
        },
        digest: loaded.mark().map(|mark| mark.policy(&loaded.skeleton)),
        changed: policy::changed(loaded),
    })
}

fn forwarding(host: Host<'_>, switched: &Switched) -> Result<ForwardingState, Fault> {
    Ok(ForwardingState {
        ipv4: host.kernel.switch(&Switch::Ipv4Forward)? == Some(1),
        ipv4_by_us: switched.ipv4,
        ipv6: host
            .kernel
            .switch(&Switch::Ipv6Forward)?
            .map(|value| value == 1),
        ipv6_by_us: switched.ipv6,
    })
}

/// The interface of the default route, of IPv4 before IPv6, of the lowest metric.
fn uplink(host: Host<'_>, links: &[Link]) -> Result<Option<Uplink>, Fault> {
    let mut routes = host.kernel.routes()?;
    routes.retain(|route| route.to.prefix() == 0 && route.interface.is_some());
    routes.sort_by_key(|route| (route.to.address().is_ipv6(), route.metric));
    let Some(interface) = routes.first().and_then(|route| route.interface) else {
        return Ok(None);
    };
    let Some(link) = links.iter().find(|link| link.index == interface) else {
        return Ok(None);
    };
    Ok(Some(Uplink {
        name: link.name.clone(),
        mtu: link.mtu,
        addresses: addresses(host, link.index)?.collect(),
    }))
}

/// Addresses and routes of the host in the ranges that a subnet can have; those of the bridge left
/// out. A host with the whole internet in its table has few of these.
pub(super) fn taken(host: Host<'_>, links: &[Link]) -> Result<Vec<Taken>, Fault> {
    let name = |index: u32| {
        links
            .iter()
            .find(|link| link.index == index)
            .map(|link| link.name.clone())
    };
    let addresses = host.kernel.addresses()?.into_iter();
    let addresses = addresses.map(|address| Taken {
        range: address.address,
        by: TakenBy::Address,
        device: name(address.interface).unwrap_or_default(),
    });
    let routes = host.kernel.routes()?.into_iter();
    let routes = routes.map(|route| Taken {
        range: route.to,
        by: TakenBy::Route,
        device: route.interface.and_then(name).unwrap_or_default(),
    });
    let private = private_ranges()?;
    let mut taken: Vec<_> = addresses.chain(routes).collect();
    taken.retain(|taken| {
        let is_everything = taken.range.prefix() <= 1;
        let is_bridges = taken.device == host.place.bridge.as_str();
        let is_private = private.iter().any(|range| range.overlaps(&taken.range));
        is_private && !is_everything && !is_bridges
    });
    taken.sort();
    taken.dedup();
    Ok(taken)
}

/// RFC 1918 and RFC 4193.
fn private_ranges() -> Result<[Cidr; 4], Fault> {
    let range = |address: IpAddr, prefix| Cidr::new(address, prefix).map_err(super::conflict);
    Ok([
        range(Ipv4Addr::new(10, 0, 0, 0).into(), 8)?,
        range(Ipv4Addr::new(172, 16, 0, 0).into(), 12)?,
        range(Ipv4Addr::new(192, 168, 0, 0).into(), 16)?,
        range(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0).into(), 8)?,
    ])
}
