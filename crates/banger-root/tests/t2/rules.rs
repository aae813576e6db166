//! The rendering of a policy against nft itself.

use crate::world::{guest, in_namespace, installation, json, policy_of};
use banger_model::host_names::{BridgeName, TapSlot};
use banger_model::policy::{Guest, NetworkId, Policy, Ruleset, Switched, removal};
use banger_model::subnet::{HostPart, Subnet};
use std::io::Write;
use std::process::{Command, Stdio};

fn load(text: &str) {
    load_with(&["-j", "-f", "-"], text);
}

fn load_with(arguments: &[&str], text: &str) {
    let mut nft = Command::new("nft")
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .expect("nft");
    nft.stdin
        .take()
        .expect("its input")
        .write_all(text.as_bytes())
        .expect("taken");
    assert!(nft.wait().expect("it ends").success());
}

fn comments(table: &str) -> Vec<String> {
    let listing = json(&format!("nft -j list table {table}"));
    let rules = listing["nftables"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|entry| entry.get("rule"));
    rules
        .map(|rule| {
            rule["comment"]
                .as_str()
                .expect("each rule has one")
                .to_owned()
        })
        .collect()
}

fn all_kinds() -> Policy {
    let with = |number, networks: &[u32]| Guest {
        networks: networks.iter().copied().map(NetworkId).collect(),
        ..guest(number, number % 2 == 0)
    };
    policy_of(vec![
        with(1, &[1]),
        with(2, &[1, 2]),
        with(3, &[2]),
        with(4, &[2]),
        with(5, &[]),
    ])
}

#[test]
fn every_kind_of_rule_loads_and_loads_again() {
    in_namespace(|| {
        let switched = Switched {
            ipv4: true,
            ipv6: true,
            accept_ra: ["eth0".to_owned()].into(),
        };
        for policy in [policy_of(vec![]), all_kinds()] {
            for state in [&switched, &Switched::default()] {
                load(&Ruleset::new(&policy, state).transaction(&policy));
                assert!(comments("inet banger").len() > 10);
                assert!(comments("bridge banger").len() > 10);
            }
        }
        for _ in 0..2 {
            load(&removal());
            assert!(crate::world::tool("nft list tables").is_empty());
        }
    });
}

#[test]
fn a_host_can_save_and_load_its_rules_with_ours_among_them() {
    in_namespace(|| {
        let policy = all_kinds();
        load(&Ruleset::new(&policy, &Switched::default()).transaction(&policy));
        let saved = crate::world::tool("nft list ruleset");
        crate::world::tool("nft flush ruleset");
        load_with(&["-f", "-"], &saved);
        assert_eq!(crate::world::tool("nft list ruleset"), saved);
    });
}

#[test]
fn a_thousand_guests_load_and_are_read_back() {
    crate::world::alone(|world| {
        let subnet = Subnet::new([172, 16, 0, 0].into(), 16, &installation()).expect("a subnet");
        let guests = TapSlot::all().map(|slot| Guest {
            slot,
            host_part: HostPart::try_from(slot.get() + 1).expect("a host part"),
            networks: [NetworkId(u32::from(slot.get() / 2))].into(),
            ..guest(slot.get(), true)
        });
        let policy = Policy::new(
            installation(),
            BridgeName::default(),
            subnet,
            None,
            guests.collect(),
        );
        let policy = policy.expect("a policy");
        let digest = policy.digest();
        world.done(banger_proto::root::Verb::SetPolicy { policy });
        let found = world.survey().policy.expect("it is loaded");
        assert_eq!((found.digest, found.changed), (Some(digest), None));
        let listing = json("nft -j list set bridge banger cards");
        let cards = listing["nftables"][1]["set"]["elem"]
            .as_array()
            .map(Vec::len);
        assert_eq!(cards, Some(1001), "and the probe's");
    });
}
