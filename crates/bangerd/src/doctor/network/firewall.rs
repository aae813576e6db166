//! Whether the host's own rules let guests through, from what became of the probes' packets.

use super::super::{check, from_fault};
use super::remedy::{Blocked, remedy};
use crate::host_network::examine::Examined;
use banger_model::host_names::BridgeName;
use banger_proto::owner::daemon::{Check, Verdict};
use banger_proto::root::{self, Forwarded, PathKind};

const NAME: &str = "firewall";

/// One line for all ways that are open, one for each that is not.
pub(super) fn checks(bridge: &BridgeName, found: &Examined) -> Vec<Check> {
    if found.paths.is_empty() {
        let words = "not probed: the first start of a guest on the bridge makes what that needs";
        return vec![check(NAME, Verdict::Pass, words)];
    }
    let wanted = found.wanted.as_ref();
    let port = wanted.and_then(|wanted| wanted.names);
    let port = port.unwrap_or(found.names.address).port();
    let wide = wanted.is_some_and(|wanted| wanted.wide);
    let mut open = Vec::new();
    let mut checks = Vec::new();
    for (kind, outcome) in &found.paths {
        let verdict = match outcome {
            Ok(root::Verdict::Passed {}) => {
                open.push(way(*kind));
                continue;
            }
            Ok(verdict) => verdict,
            Err(fault) => {
                checks.push(from_fault(NAME, Verdict::Warn, fault.clone()));
                continue;
            }
        };
        checks.push(closed(bridge, port, wide, *kind, verdict));
    }
    if !open.is_empty() {
        let found = format!("lets packets of guests through: {}", open.join(", "));
        checks.insert(0, check(NAME, Verdict::Pass, found));
    }
    checks
}

const fn way(kind: PathKind) -> &'static str {
    match kind {
        PathKind::OutIpv4 => "to the outside by IPv4",
        PathKind::OutIpv6 => "to the outside by IPv6",
        PathKind::HostIpv4 => "to the host's names",
        PathKind::HostIpv6 => "to the host's names by IPv6",
    }
}

/// A guest without a way out has lost what it asked for; one without names goes on.
const fn severity(kind: PathKind) -> Verdict {
    if kind.is_out() {
        Verdict::Fail
    } else {
        Verdict::Warn
    }
}

fn closed(
    bridge: &BridgeName,
    port: u16,
    wide: bool,
    kind: PathKind,
    verdict: &root::Verdict,
) -> Check {
    let way = way(kind);
    match verdict {
        root::Verdict::Passed {} => check(NAME, Verdict::Pass, way),
        root::Verdict::Dropped {
            family,
            table,
            chain,
            rule,
            through,
            rejected,
        } => {
            let blocked = Blocked {
                bridge,
                port,
                kind,
                family,
                table,
                chain,
                through,
            };
            let done = if *rejected { "rejects" } else { "drops" };
            let what = match rule {
                Some(rule) => format!("the rule `{rule}`"),
                None => "the policy".to_owned(),
            };
            let found = format!(
                "{what} of chain {chain} in table {family} {table} {done} packets of guests {way}"
            );
            Check {
                remedy: Some(remedy(&blocked)),
                ..check(NAME, severity(kind), found)
            }
        }
        root::Verdict::NotForwarded(why) => not_forwarded(bridge, wide, kind, *why),
    }
}

fn not_forwarded(bridge: &BridgeName, wide: bool, kind: PathKind, why: Forwarded) -> Check {
    let way = way(kind);
    match why {
        Forwarded::NoRoute => check(
            NAME,
            Verdict::Pass,
            format!("the host itself has no route {way}"),
        ),
        Forwarded::SwitchedOff if !wide => {
            let found =
                format!("nothing is forwarded {way}: the first guest with --nat changes it");
            check(NAME, Verdict::Pass, found)
        }
        Forwarded::SwitchedOff => Check {
            remedy: Some(format!("`sysctl -w {}`", switch(bridge, kind))),
            ..check(
                NAME,
                Verdict::Fail,
                format!("forwarding was switched off: packets of guests {way} are not forwarded"),
            )
        },
        Forwarded::Unknown => {
            let words = format!(
                "packets of guests {way} do not arrive, and no rule of nftables ends them: \
                 rules of legacy iptables cannot be traced"
            );
            let legacy = if kind == PathKind::OutIpv6 {
                "ip6tables-legacy"
            } else {
                "iptables-legacy"
            };
            let chain = if kind.is_out() { "FORWARD" } else { "INPUT" };
            let remedy = format!(
                "look for what counts in `{legacy} -vnL {chain}`, then \
                 `{legacy} -I {chain} -i {bridge} -j ACCEPT`"
            );
            Check {
                remedy: Some(remedy),
                ..check(NAME, severity(kind), words)
            }
        }
    }
}

fn switch(bridge: &BridgeName, kind: PathKind) -> String {
    match kind {
        PathKind::OutIpv6 | PathKind::HostIpv6 => "net.ipv6.conf.all.forwarding=1".to_owned(),
        PathKind::OutIpv4 | PathKind::HostIpv4 => format!("net.ipv4.conf.{bridge}.forwarding=1"),
    }
}
