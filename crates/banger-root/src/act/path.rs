//! Whether the host's own rules let guests through: with a packet, not by reading rules.

use super::bridge::addresses;
use super::{Host, conflict, policy};
use crate::kernel::{ProbePacket, Switch};
use crate::probe::{self, Ends, Trace};
use banger_model::subnet::Subnet;
use banger_proto::fault::Fault;
use banger_proto::root::{Forwarded, PathKind, PathReport, Verdict};
use std::net::IpAddr;

/// Sends the packet and says what became of it.
pub(super) fn probe(host: Host<'_>, kind: PathKind) -> Result<PathReport, Fault> {
    let links = host.kernel.links()?;
    let bridge = host.our_bridge(&links)?;
    let subnet = subnet(host, bridge.index)?;
    let loaded = policy::read(host)?;
    if loaded
        .mark()
        .is_none_or(|mark| mark.installation != host.place.installation)
    {
        return Err(conflict(
            "there is no policy of this installation: a probe would tell nothing",
        )
        .with_remedy("start a machine with a bridged network: it loads the policy"));
    }
    let mac = bridge.mac.ok_or_else(|| {
        conflict(format!(
            "the bridge {} has no hardware address",
            bridge.name
        ))
    })?;
    let ends = Ends::of(kind, &subnet);
    let installation = &host.place.installation;
    let packet = ProbePacket {
        frame: &probe::frame(&ends, mac),
        rules: &probe::rules(installation, &host.place.bridge, &ends),
        removal: &probe::removal(installation),
    };
    let mut trace = Trace::new(probe::table(installation), &ends);
    host.kernel
        .probe(bridge.index, &packet, &mut |line| trace.take(line))?;
    let verdict = match trace.end() {
        Some(verdict) => verdict,
        None => Verdict::NotForwarded(why_not(host, kind)?),
    };
    Ok(PathReport { kind, verdict })
}

/// The bridge's subnet, from its address.
fn subnet(host: Host<'_>, bridge: u32) -> Result<Subnet, Fault> {
    let no_subnet = || {
        conflict(format!(
            "the bridge {} has no address of a subnet",
            host.place.bridge
        ))
    };
    let gateway = addresses(host, bridge)?
        .find(|address| address.address().is_ipv4())
        .ok_or_else(no_subnet)?;
    let IpAddr::V4(v4) = gateway.address() else {
        return Err(no_subnet());
    };
    let mask = u32::MAX
        .checked_shl(32 - u32::from(gateway.prefix()))
        .unwrap_or(0);
    Subnet::new(
        (v4.to_bits() & mask).into(),
        gateway.prefix(),
        &host.place.installation,
    )
    .map_err(conflict)
}

/// What else may have kept a packet from arriving that no rule ended.
fn why_not(host: Host<'_>, kind: PathKind) -> Result<Forwarded, Fault> {
    let is_ipv6 = matches!(kind, PathKind::OutIpv6 | PathKind::HostIpv6);
    // IPv6 has no switch of one interface before Linux 6.17.
    let switch = if is_ipv6 {
        Switch::Ipv6Forward
    } else {
        Switch::BridgeIpv4
    };
    if kind.is_out() && host.kernel.switch(&switch)? != Some(1) {
        return Ok(Forwarded::SwitchedOff);
    }
    let routes = host.kernel.routes()?;
    let has_default = routes
        .iter()
        .any(|route| route.to.prefix() == 0 && route.to.address().is_ipv6() == is_ipv6);
    if kind.is_out() && !has_default {
        return Ok(Forwarded::NoRoute);
    }
    Ok(Forwarded::Unknown)
}
