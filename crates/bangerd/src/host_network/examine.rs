//! What is so of the host's network, as plain data: for `banger doctor`, which judges it. Neither bridge
//! nor rules are made or changed; the helper is started if it does not run, since only it sees them, and
//! a probe of the firewall makes a TAP of its own for as long as it takes.

mod query;

pub use query::Asked;

use super::choice::{self, decide, installation, mtu_of};
use super::host::{Host, survey};
use super::{HostNetwork, cannot};
use crate::operation::OpId;
use crate::publish::holder;
use banger_model::host_names::{BridgeName, Installation};
use banger_model::policy::Digest;
use banger_model::publish::Protocol;
use banger_model::subnet::Subnet;
use banger_proto::fault::Fault;
use banger_proto::root::{Answer, Mtu, PathKind, Survey, Verb, Verdict};
use std::net::SocketAddr;
use std::path::PathBuf;

/// See the module.
#[derive(Debug, Clone)]
pub struct Examination {
    /// The bridge's name.
    pub bridge: BridgeName,
    /// The host as the helper sees it, or why it does not.
    pub host: Result<Examined, Fault>,
}

/// The host as the helper sees it.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Whose the objects are that are ours.
    pub installation: Installation,
    /// The helper's program, where it is a process of the daemon's.
    pub program: Option<PathBuf>,
    /// What of ours exists, and what of the host concerns us.
    pub survey: Survey,
    /// The bridge's subnet, or why there is none for it.
    pub subnet: Result<Subnet, Fault>,
    /// The MTU that the bridge would get now.
    pub mtu: Mtu,
    /// What the daemon wants of the host; none as long as no guest has needed the bridge.
    pub wanted: Option<Wanted>,
    /// What became of the probes' packets; none where there is nothing to probe with.
    pub paths: Vec<(PathKind, Result<Verdict, Fault>)>,
    /// The name server.
    pub names: Names,
}

/// What the daemon wants of the host.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The rules.
    pub rules: Result<Digest, String>,
    /// Why the host has not taken them, where it has not.
    pub trouble: Option<String>,
    /// Whether a guest may reach the outside.
    pub wide: bool,
    /// Where names are served, if they are.
    pub names: Option<SocketAddr>,
}

/// The name server.
#[derive(Debug, Clone)]
pub struct Names {
    /// Where names are to be served.
    pub address: SocketAddr,
    /// Who answers there.
    pub asked: Asked,
    /// The program that has the port there, where it can be seen.
    pub holder: Option<String>,
}

/// Examines it.
pub(super) async fn examine(network: &HostNetwork, op: OpId) -> Examination {
    Examination {
        bridge: network.config.name.clone(),
        host: host(network, op).await,
    }
}

async fn host(network: &HostNetwork, op: OpId) -> Result<Examined, Fault> {
    // Before anything is noted: without a helper there is nothing to note it for.
    network.availability()?;
    let (config, store) = (&network.config, &network.store);
    let installation = installation(store).await?;
    let host = network.helper.host(&config.name, installation, op).await?;
    let wanted = match network.current() {
        Some(ready) => Some(ready.wanted().await),
        None => None,
    };
    let found = survey(&*host, op)
        .await
        .map_err(|error| cannot("survey the host's network", error))?;
    let remembered = choice::remembered(store).await?;
    let served = wanted.as_ref().and_then(|wanted| wanted.names);
    Ok(Examined {
        installation,
        program: network.helper.program().map(Into::into),
        subnet: decide(config, remembered, &found, installation),
        mtu: mtu_of(&found),
        paths: probe(&*host, op, &found).await,
        names: names(served.unwrap_or(config.dns_address)).await,
        survey: found,
        wanted,
    })
}

/// Sends the probes' packets, if there is a bridge of ours with rules of ours.
async fn probe(
    host: &dyn Host,
    op: OpId,
    found: &Survey,
) -> Vec<(PathKind, Result<Verdict, Fault>)> {
    let bridge = found.bridge.as_ref();
    let ours = bridge.is_some_and(|bridge| bridge.whose.is_ours() && bridge.up)
        && found.policy.as_ref().is_some_and(|p| p.whose.is_ours());
    let mut paths = Vec::new();
    for kind in [PathKind::OutIpv4, PathKind::OutIpv6, PathKind::HostIpv4] {
        if ours && (found.uplink.is_some() || !kind.is_out()) {
            paths.push((kind, probe_once(host, op, kind).await));
        }
    }
    paths
}

async fn probe_once(host: &dyn Host, op: OpId, kind: PathKind) -> Result<Verdict, Fault> {
    match host.ask(op, Verb::ProbePath { kind }).await? {
        Answer::Path(report) => Ok(report.verdict),
        other => {
            let said: String = format!("{other:?}").chars().take(200).collect();
            Err(cannot("probe the host's rules", said))
        }
    }
}

async fn names(address: SocketAddr) -> Names {
    Names {
        address,
        asked: query::ask(address).await,
        holder: holder::find(Protocol::Udp, address),
    }
}

#[cfg(test)]
mod tests;
