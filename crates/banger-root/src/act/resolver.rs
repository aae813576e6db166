//! systemd-resolved: names below `vm` are asked of the daemon, on the bridge's link. Best effort: a
//! host without it has recipes instead.

use super::{Host, change};
use banger_proto::fault::Fault;
use banger_proto::root::{Change, Did, Object, ResolverState};
use std::num::NonZeroU16;

/// The domain that is routed to us, and none that is searched.
const DOMAIN: &str = "~vm";

/// Routes the domain to a port of the loopback address.
pub(super) fn set(host: Host<'_>, dns_port: NonZeroU16) -> Result<Change, Fault> {
    let links = host.kernel.links()?;
    let bridge = host.our_bridge(&links)?.name.as_str();
    if state(host) == ResolverState::Set(dns_port) {
        return Ok(change(Object::Resolver, Did::WasSo));
    }
    let server = format!("127.0.0.1:{dns_port}");
    let calls: [&[&str]; 3] = [
        &["dns", bridge, &server],
        &["domain", bridge, DOMAIN],
        &["default-route", bridge, "no"],
    ];
    let done = calls
        .into_iter()
        .all(|call| host.kernel.resolvectl(call).is_some());
    let did = if done { Did::Made } else { Did::Unavailable };
    Ok(change(Object::Resolver, did))
}

/// Takes everything of the bridge's link back. Without the link there is nothing.
pub(super) fn clear(host: Host<'_>) -> Result<Change, Fault> {
    let links = host.kernel.links()?;
    if !host.bridge_in(&links).is_some_and(|bridge| bridge.ours) {
        return Ok(change(Object::Resolver, Did::WasSo));
    }
    let did = match state(host) {
        ResolverState::Unset => Did::WasSo,
        ResolverState::Unavailable => Did::Unavailable,
        ResolverState::Set(_) | ResolverState::Other => {
            let reverted = host
                .kernel
                .resolvectl(&["revert", host.place.bridge.as_str()]);
            if reverted.is_some() {
                Did::Removed
            } else {
                Did::Unavailable
            }
        }
    };
    Ok(change(Object::Resolver, did))
}

/// What resolved knows of the bridge: `Link 7 (br-fc): 127.0.0.1:42069`.
pub(super) fn state(host: Host<'_>) -> ResolverState {
    let bridge = host.place.bridge.as_str();
    let ask = |what: &str| {
        let text = host.kernel.resolvectl(&[what, bridge])?;
        let values = text
            .lines()
            .find_map(|line| line.split_once("):"))?
            .1
            .trim()
            .to_owned();
        Some(values)
    };
    let (Some(servers), Some(domains)) = (ask("dns"), ask("domain")) else {
        return ResolverState::Unavailable;
    };
    if servers.is_empty() && domains.is_empty() {
        return ResolverState::Unset;
    }
    let port = servers
        .strip_prefix("127.0.0.1:")
        .and_then(|port| port.parse().ok());
    match port {
        Some(port) if domains == DOMAIN => ResolverState::Set(port),
        _ => ResolverState::Other,
    }
}
