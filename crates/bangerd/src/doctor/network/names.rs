//! Whether names of guests are served, and whether the host asks for them.

use super::super::check;
use crate::host_network::examine::{Asked, Examined};
use banger_model::host_names::BridgeName;
use banger_proto::owner::daemon::{Check, Verdict};
use banger_proto::root::ResolverState;
use std::net::SocketAddr;

const NAME: &str = "names";
/// Where the recipes are.
const RECIPES: &str = "docs/names.md has what your resolver needs";

/// The server, then the host's resolver.
pub(super) fn checks(bridge: &BridgeName, found: &Examined) -> Vec<Check> {
    let served = found.wanted.as_ref().and_then(|wanted| wanted.names);
    let server = match (served, &found.wanted, found.names.asked) {
        (Some(address), _, Asked::Authority) => {
            let server = check(NAME, Verdict::Pass, format!("vm is served at {address}"));
            return vec![server, resolver(bridge, address, found.survey.resolver)];
        }
        (Some(address), _, _) => silent(address),
        (None, None, Asked::Silent) if found.names.holder.is_none() => {
            let address = found.names.address;
            let words = format!(
                "not served yet: the first start of a guest on the bridge serves at {address}"
            );
            check(NAME, Verdict::Pass, words)
        }
        (None, _, _) => taken(found),
    };
    vec![server]
}

fn silent(address: SocketAddr) -> Check {
    Check {
        remedy: Some("`banger daemon stop`: the next daemon serves them anew".to_owned()),
        ..check(
            NAME,
            Verdict::Fail,
            format!("the daemon's name server at {address} does not answer"),
        )
    }
}

/// Somebody else has the port, or nobody could be found who has it.
fn taken(found: &Examined) -> Check {
    let (address, asked) = (found.names.address, found.names.asked);
    let who = match (asked, &found.names.holder) {
        // Its process is a banger daemon's, of another user perhaps.
        (Asked::Authority, Some(holder)) => {
            format!("another banger, {holder}, serves at {address}")
        }
        (Asked::Authority, None) => format!("another banger serves at {address}"),
        (_, Some(holder)) => format!("{holder} has the port {address}"),
        (Asked::Other, None) => format!("another name server has the port {address}"),
        (Asked::Silent, None) => format!("{address} could not be had"),
    };
    let remedy = "free the port, or set dns_address in config.toml; then `banger daemon stop`";
    Check {
        remedy: Some(remedy.to_owned()),
        ..check(
            NAME,
            Verdict::Warn,
            format!("names of guests are not served: {who}"),
        )
    }
}

fn resolver(bridge: &BridgeName, served: SocketAddr, state: ResolverState) -> Check {
    let (verdict, words) = match state {
        ResolverState::Set(port) if port.get() == served.port() => {
            let words = format!("systemd-resolved asks for vm at {served}, on {bridge}");
            return check(NAME, Verdict::Pass, words);
        }
        ResolverState::Set(port) => (
            Verdict::Warn,
            format!("systemd-resolved asks for vm at port {port}, not at {served}"),
        ),
        ResolverState::Other => (
            Verdict::Warn,
            format!("somebody else has set the servers of {bridge} at systemd-resolved"),
        ),
        ResolverState::Unset => (
            Verdict::Warn,
            format!("systemd-resolved does not ask for vm at {served}"),
        ),
        // Whether another resolver of the host asks is not known here.
        ResolverState::Unavailable => (
            Verdict::Pass,
            format!("the host has no systemd-resolved to be told of {served}"),
        ),
    };
    Check {
        remedy: Some(RECIPES.to_owned()),
        ..check(NAME, verdict, words)
    }
}
