//! The checks of the host's network. Each is a pure function of what was found; finding it starts the
//! helper, and sends the probes' packets if the bridge is there. The bridge itself is not made for it.

mod bridge;
mod firewall;
#[cfg(test)]
mod fixtures;
mod names;
mod remedy;
mod rules;

use super::{check, from_fault};
use crate::host_network::examine::Examined;
use crate::services::Services;
use banger_model::host_names::BridgeName;
use banger_model::spec::NetworkMode;
use banger_proto::fault::Fault;
use banger_proto::owner::daemon::{Check, Verdict};

/// All of them; only the first where the owner has chosen guests without a bridge.
pub(super) async fn checks(services: &Services) -> Vec<Check> {
    let configured = services.config.network;
    if let Some(mode @ (NetworkMode::User | NetworkMode::None)) = configured {
        return vec![chosen(mode)];
    }
    let found = services.host_network.examine().await;
    judge(configured, &found.bridge, &found.host)
}

/// The checks, from what was found.
fn judge(
    configured: Option<NetworkMode>,
    bridge: &BridgeName,
    host: &Result<Examined, Fault>,
) -> Vec<Check> {
    let mut checks = vec![
        mode(configured, bridge, host),
        helper(configured, host.as_ref()),
    ];
    if let Ok(found) = host {
        checks.extend(bridge::checks(bridge, found));
        checks.push(rules::check(found));
        checks.extend(firewall::checks(bridge, found));
        checks.extend(names::checks(bridge, found));
    }
    checks
}

fn chosen(mode: NetworkMode) -> Check {
    let words = match mode {
        NetworkMode::None => "guests have no network",
        NetworkMode::User | NetworkMode::Bridge => "guests are connected in user mode",
    };
    let found = format!("{words}, as config.toml says; the bridge is not looked at");
    check("network", Verdict::Pass, found)
}

/// How guests are connected by default, and why.
fn mode(
    configured: Option<NetworkMode>,
    bridge: &BridgeName,
    host: &Result<Examined, Fault>,
) -> Check {
    let why = match configured {
        Some(_) => "config.toml says so",
        None => "the root helper is there",
    };
    match (host, configured) {
        (Ok(found), _) => match &found.subnet {
            Ok(subnet) => {
                let found = format!("guests are on the bridge {bridge}, {subnet}: {why}");
                check("network", Verdict::Pass, found)
            }
            Err(_) => {
                let found = format!("guests are to be on the bridge {bridge}, which has no subnet");
                check("network", Verdict::Fail, found)
            }
        },
        (Err(fault), Some(_)) => {
            let message = format!("guests are to be on the bridge, and it cannot be had: {fault}");
            from_fault("network", Verdict::Fail, reworded(fault, message))
        }
        (Err(fault), None) => {
            let message = format!("guests are connected in user mode: {fault}");
            from_fault("network", Verdict::Warn, reworded(fault, message))
        }
    }
}

/// Another message with the same remedy.
fn reworded(fault: &Fault, message: String) -> Fault {
    Fault {
        message,
        ..fault.clone()
    }
}

fn helper(configured: Option<NetworkMode>, host: Result<&Examined, &Fault>) -> Check {
    const NAME: &str = "root helper";
    match (host, configured) {
        // It has answered: one of another version refuses.
        (Ok(found), _) => {
            let at = found.program.as_ref();
            let at = at.map_or_else(String::new, |path| format!(" at {}", path.display()));
            let version = env!("CARGO_PKG_VERSION");
            check(NAME, Verdict::Pass, format!("banger-root {version}{at}"))
        }
        (Err(fault), Some(_)) => from_fault(NAME, Verdict::Fail, fault.clone()),
        (Err(fault), None) => from_fault(NAME, Verdict::Warn, fault.clone()),
    }
}

#[cfg(test)]
mod tests;
