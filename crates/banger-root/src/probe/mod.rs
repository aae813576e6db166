//! The firewall probe: the packet of a guest that does not exist, the rules that watch it, and what
//! nft's trace says of it. Pure.

mod frame;
mod trace;

pub(crate) use frame::{Ends, frame};
pub(crate) use trace::Trace;

use banger_model::host_names::{BridgeName, Installation};

/// Where the packet is watched from: before every other hook but the bridge's.
const FIRST: i32 = -450;
/// Where it ends on its way out: after every filter, before it is masqueraded (`NF_IP_PRI_NAT_SRC`
/// is 100) and so while it still has its own address.
const LAST_OUT: i32 = 99;
/// Where it ends on its way into the host.
const LAST_IN: i32 = i32::MAX;

/// The table of one installation's probes; no other program has one of this name.
pub(crate) fn table(installation: &Installation) -> String {
    format!("banger_probe_{installation}")
}

/// The transaction that traces packets between these ends, and ends them where no other rule did: the
/// packet never leaves the host.
pub(crate) fn rules(installation: &Installation, bridge: &BridgeName, ends: &Ends) -> String {
    let table = table(installation);
    let (out, into, guest) = (trace::OUT, trace::IN, ends.guest());
    let source = if ends.is_ipv6() { "ip6" } else { "ip" };
    let chain = |name: &str, hook: &str, priority: i32| {
        format!(
            "add chain inet {table} {name} {{ type filter hook {hook} priority {priority} ; policy accept ; }}"
        )
    };
    let rule = |chain: &str, from: &str, statement: &str| {
        format!("add rule inet {table} {chain} {source} saddr {guest} {from} {statement}")
    };
    let from_bridge = format!("iifname \"{bridge}\"");
    let lines = [
        removal(installation),
        format!("add table inet {table}"),
        chain("sent", "prerouting", FIRST),
        chain(out, "postrouting", LAST_OUT),
        chain(into, "input", LAST_IN),
        rule("sent", &from_bridge, "meta nftrace set 1"),
        rule(out, "", "drop"),
        rule(into, &from_bridge, "drop\n"),
    ];
    lines.join("\n")
}

/// The transaction that removes them, whether they are there or not.
pub(crate) fn removal(installation: &Installation) -> String {
    let table = table(installation);
    format!("add table inet {table}\ndelete table inet {table}\n")
}

#[cfg(test)]
mod tests;
