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
    let chain = |name: &str, hook: &str, priority: i32| {
        format!(
            r#"{{"add":{{"chain":{{"family":"inet","table":"{table}","name":"{name}","type":"filter","hook":"{hook}","prio":{priority},"policy":"accept"}}}}}}"#
        )
    };
    let version = if ends.is_ipv6() { "ip6" } else { "ip" };
    let source = format!(
        r#"{{"match":{{"op":"==","left":{{"payload":{{"protocol":"{version}","field":"saddr"}}}},"right":"{}"}}}}"#,
        ends.guest()
    );
    let rule = |chain: &str, statements: &str| {
        format!(
            r#"{{"add":{{"rule":{{"family":"inet","table":"{table}","chain":"{chain}","expr":[{source},{statements}]}}}}}}"#
        )
    };
    let from_bridge = format!(
        r#"{{"match":{{"op":"==","left":{{"meta":{{"key":"iifname"}}}},"right":"{bridge}"}}}}"#
    );
    let traced =
        format!(r#"{from_bridge},{{"mangle":{{"key":{{"meta":{{"key":"nftrace"}}}},"value":1}}}}"#);
    let commands = [
        removal_commands(installation),
        format!(r#"{{"add":{{"table":{{"family":"inet","name":"{table}"}}}}}}"#),
        chain("sent", "prerouting", FIRST),
        chain(trace::OUT, "postrouting", LAST_OUT),
        chain(trace::IN, "input", LAST_IN),
        rule("sent", &traced),
        rule(trace::OUT, r#"{"drop":null}"#),
        rule(trace::IN, &format!(r#"{from_bridge},{{"drop":null}}"#)),
    ];
    format!(r#"{{"nftables":[{}]}}"#, commands.join(","))
}

/// The transaction that removes them, whether they are there or not.
pub(crate) fn removal(installation: &Installation) -> String {
    format!(r#"{{"nftables":[{}]}}"#, removal_commands(installation))
}

fn removal_commands(installation: &Installation) -> String {
    let table = table(installation);
    ["add", "delete"]
        .map(|verb| format!(r#"{{"{verb}":{{"table":{{"family":"inet","name":"{table}"}}}}}}"#))
        .join(",")
}

#[cfg(test)]
mod tests;
