//! The bridge, its subnet, its ports.

use super::super::{check, from_fault};
use crate::host_network::examine::Examined;
use banger_model::host_names::BridgeName;
use banger_proto::owner::daemon::{Check, Verdict};
use banger_proto::root::{BridgeState, Survey, Whose};

const NAME: &str = "bridge";
/// How many ports a bridge has (`BR_MAX_PORTS`, net/bridge/br_private.h).
const PORTS: u16 = 1024;
/// From how many on it is told: with what is left, no busy day ends in a surprise.
const MANY_PORTS: u16 = 900;
/// Most names that are told of one thing.
const NAMES: usize = 5;

/// What is so of the bridge, then each thing that is wrong.
pub(super) fn checks(name: &BridgeName, found: &Examined) -> Vec<Check> {
    let survey = &found.survey;
    let mut checks = vec![subnet(name, found)];
    checks.extend(cut_off(name, survey));
    if let Some(bridge) = &survey.bridge {
        checks.extend(foreign(name, bridge));
        checks.extend(ports(name, bridge));
        checks.extend(mtu(name, bridge, found));
    }
    checks.extend(foreign_taps(survey));
    checks.extend(strays(survey));
    checks
}

fn subnet(name: &BridgeName, found: &Examined) -> Check {
    let bridge = found.survey.bridge.as_ref();
    match (&found.subnet, bridge) {
        // Guests that run go on, and what they reach may be another than they mean.
        (Err(fault), _) => from_fault(NAME, Verdict::Fail, fault.clone()),
        (Ok(_), None) if found.wanted.is_some() => Check {
            remedy: Some("start a machine: it is made anew, with those that run on it".to_owned()),
            ..check(
                NAME,
                Verdict::Fail,
                format!("{name} was removed by another program: guests reach nothing"),
            )
        },
        (Ok(subnet), None) => {
            let found = format!("{subnet}; not made yet: the first start of a guest on it does");
            check(NAME, Verdict::Pass, found)
        }
        (Ok(subnet), Some(bridge)) if bridge.up => {
            let (mtu, ports) = (bridge.mtu, bridge.ports);
            let found = format!("{name}, {subnet}, MTU {mtu}, {ports} of {PORTS} ports");
            check(NAME, Verdict::Pass, found)
        }
        (Ok(_), Some(_)) => Check {
            remedy: Some(format!("`ip link set {name} up`")),
            ..check(NAME, Verdict::Fail, format!("{name} is down"))
        },
    }
}

/// TAPs that a guest has and that lead nowhere.
fn cut_off(name: &BridgeName, survey: &Survey) -> Option<Check> {
    survey.bridge.as_ref()?;
    let taps = survey.taps.iter();
    let apart = taps.filter(|tap| tap.whose.is_ours() && tap.in_use && !tap.on_bridge);
    let names = some(apart.map(|tap| tap.slot.interface()).collect())?;
    Some(Check {
        remedy: Some(format!("`ip link set TAP master {name}` for each")),
        ..check(
            NAME,
            Verdict::Fail,
            format!("TAPs of guests that are no ports of {name}: {names}"),
        )
    })
}

fn owner(whose: &Whose) -> Option<String> {
    match whose {
        Whose::Ours => None,
        Whose::Foreign(Some(installation)) => Some(format!("banger installation {installation}")),
        Whose::Foreign(None) => Some("another program".to_owned()),
    }
}

fn foreign(name: &BridgeName, bridge: &BridgeState) -> Option<Check> {
    let owner = owner(&bridge.whose)?;
    let remedy = "set `bridge_name = \"br-fc-2\"` in config.toml, or remove that interface";
    Some(Check {
        remedy: Some(remedy.to_owned()),
        ..check(
            NAME,
            Verdict::Fail,
            format!("the interface {name} belongs to {owner}"),
        )
    })
}

fn ports(name: &BridgeName, bridge: &BridgeState) -> Option<Check> {
    if bridge.ports < MANY_PORTS {
        return None;
    }
    let found = format!("{} of {PORTS} ports of {name} are in use", bridge.ports);
    let verdict = if bridge.ports < PORTS {
        Verdict::Warn
    } else {
        Verdict::Fail
    };
    let remedy = "stop guests, or start the next with --network user";
    Some(Check {
        remedy: Some(remedy.to_owned()),
        ..check(NAME, verdict, found)
    })
}

fn mtu(name: &BridgeName, bridge: &BridgeState, found: &Examined) -> Option<Check> {
    let wanted = u32::from(found.mtu.get());
    let uplink = found.survey.uplink.as_ref()?;
    if bridge.mtu == wanted {
        return None;
    }
    let (of_bridge, of_uplink) = (bridge.mtu, uplink.mtu);
    let found = format!(
        "the MTU of {name} is {of_bridge}, that of {} is {of_uplink}",
        uplink.name
    );
    let remedy = "stop the guests on it, then `banger daemon stop`: it is made anew";
    Some(Check {
        remedy: Some(remedy.to_owned()),
        ..check(NAME, Verdict::Warn, found)
    })
}

fn foreign_taps(survey: &Survey) -> Option<Check> {
    let foreign = survey.taps.iter().filter(|tap| !tap.whose.is_ours());
    let names = some(foreign.map(|tap| tap.slot.interface()).collect())?;
    let found = format!("TAPs with names of ours that belong to others: {names}");
    let remedy =
        "guests get others instead; remove them with `ip link del NAME` if nobody needs them";
    Some(Check {
        remedy: Some(remedy.to_owned()),
        ..check(NAME, Verdict::Warn, found)
    })
}

fn strays(survey: &Survey) -> Option<Check> {
    let names = some(survey.strays.clone())?;
    let found = format!("interfaces that are named like TAPs of guests and are none: {names}");
    let remedy = "rename or remove them: the rules let nothing of theirs through the bridge";
    Some(Check {
        remedy: Some(remedy.to_owned()),
        ..check(NAME, Verdict::Warn, found)
    })
}

/// The first few, and how many more.
fn some(names: Vec<String>) -> Option<String> {
    let more = names.len().saturating_sub(NAMES);
    let first: Vec<_> = names.into_iter().take(NAMES).collect();
    match (first.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(first.join(", ")),
        (false, more) => Some(format!("{} and {more} more", first.join(", "))),
    }
}
