//! The rendering of a policy against nft itself.

use crate::world::{guest, in_namespace, installation, json, policy_of};
use banger_model::host_names::{BridgeName, TapSlot};
use banger_model::policy::{Guest, NetworkId, Policy, Ruleset, Switched, removal};
use banger_model::subnet::{HostPart, Subnet};
use banger_proto::root::Verb;
use std::io::Write;
use std::process::{Command, Stdio};

fn load(text: &str) {
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
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
                load(&Ruleset::new(&policy, state).transaction());
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
        load(&Ruleset::new(&policy, &Switched::default()).transaction());
        let saved = crate::world::tool("nft list ruleset");
        crate::world::tool("nft flush ruleset");
        load(&saved);
        assert_eq!(crate::world::tool("nft list ruleset"), saved);
    });
}

/// Guests that fill a bridge, all but so many.
fn full_bridge(but: usize) -> Policy {
    let subnet = Subnet::new([172, 16, 0, 0].into(), 16, &installation()).expect("a subnet");
    let guests = TapSlot::all().skip(but).map(|slot| Guest {
        slot,
        host_part: HostPart::try_from(slot.get() + 1).expect("a host part"),
        networks: [NetworkId(u32::from(slot.get() / 2))].into(),
        ..guest(slot.get(), true)
    });
    let (bridge, guests) = (BridgeName::default(), guests.collect());
    Policy::new(installation(), bridge, subnet, None, guests).expect("a policy")
}

#[test]
fn a_thousand_guests_load_and_are_read_back() {
    crate::world::alone(|world| {
        let policy = full_bridge(0);
        let digest = policy.digest();
        world.done(Verb::SetPolicy { policy });
        let found = world.survey().policy.expect("it is loaded");
        assert_eq!((found.digest, found.changed), (Some(digest), None));
        let listing = json("nft -j list set bridge banger cards");
        let cards = listing["nftables"][1]["set"]["elem"]
            .as_array()
            .map(Vec::len);
        assert_eq!(cards, Some(1001), "and the probe's");
    });
}

/// Each worker takes its turn; what one kept would add up.
#[test]
fn the_helper_keeps_no_memory_of_a_thousand_guests() {
    crate::world::alone(|world| {
        let policy = policy_of(vec![]);
        world.done(Verb::SetPolicy { policy });
        let before = world.status("RssAnon");
        for but in [0, 1, 0, 1] {
            let policy = full_bridge(but);
            world.done(Verb::SetPolicy { policy });
        }
        // It gives back what it can behind the answer.
        let begun = std::time::Instant::now();
        loop {
            let kept = world.status("RssAnon").saturating_sub(before);
            if kept < 384 {
                return;
            }
            assert!(
                begun.elapsed() < crate::world::PATIENCE,
                "it keeps {kept} KiB"
            );
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
    });
}

/// The table's number and those of its rules: whatever is made anew gets others.
fn handles(table: &str) -> Vec<u64> {
    let listing = json(&format!("nft -j list table {table}"));
    let entries = listing["nftables"].as_array().expect("a list").iter();
    let objects = entries.filter_map(|entry| entry.get("table").or(entry.get("rule")));
    let handles = objects.map(|object| object["handle"].as_u64().expect("a number"));
    handles.collect()
}

#[test]
fn a_guest_that_comes_or_goes_leaves_the_rules_as_they_are() {
    crate::world::alone(|world| {
        let tables = ["bridge banger", "inet banger"];
        world.done(crate::world::policy(vec![guest(1, false)]));
        let before = tables.map(handles);
        for guests in [
            vec![guest(1, false), guest(2, true)],
            vec![guest(2, false), guest(3, true)],
            vec![],
        ] {
            let policy = policy_of(guests);
            let digest = policy.digest();
            world.done(Verb::SetPolicy { policy });
            assert_eq!(tables.map(handles), before);
            let found = world.survey().policy.expect("it is loaded");
            assert_eq!((found.digest, found.changed), (Some(digest), None));
        }
        world.done(Verb::SetPolicy {
            policy: all_kinds(),
        });
        assert_ne!(
            tables.map(handles),
            before,
            "a network has rules of its own"
        );
    });
}

/// The handle of a rule, by its comment.
fn handle(table: &str, comment: &str) -> u64 {
    let listing = json(&format!("nft -j list table {table}"));
    let entries = listing["nftables"].as_array().expect("a list").iter();
    let mut rules = entries.filter_map(|entry| entry.get("rule"));
    let rule = rules.find(|rule| rule["comment"] == comment);
    rule.expect(comment)["handle"].as_u64().expect("a number")
}

#[test]
fn a_rule_that_another_edits_under_its_comment_is_noticed_and_replaced() {
    crate::world::alone(|world| {
        let comment = "guests reach nothing else of the host";
        let policy = || crate::world::policy(vec![guest(1, true)]);
        world.done(policy());
        let whole = crate::world::tool("nft list ruleset");
        let changed = |world: &crate::world::World| world.survey().policy.expect("there").changed;
        let edit = |table: &str, chain: &str, comment: &str, to: &str| {
            let handle = handle(table, comment);
            crate::world::nft(&format!(
                "replace rule {table} {chain} handle {handle} {to} comment \"{comment}\""
            ));
        };
        let edits = [
            ("inet banger", "to_host", comment, "accept"),
            (
                "inet banger",
                "postrouting",
                "guests go out as the host, IPv4",
                "ip saddr @nat4 accept",
            ),
            (
                "bridge banger",
                "prerouting",
                "a guest is no router",
                "icmpv6 type nd-redirect counter drop",
            ),
        ];
        for (table, chain, comment, to) in edits {
            edit(table, chain, comment, to);
            let seen = changed(world).expect(comment);
            assert!(seen.ends_with(table), "{seen}");
            world.done(policy());
            assert_eq!(changed(world), None);
            assert_eq!(
                without_counts(&crate::world::tool("nft list ruleset")),
                without_counts(&whole)
            );
        }
        // An edited file that is loaded whole, as a host's saved rules are.
        let edited = whole.replacen(
            "counter packets 0 bytes 0 drop comment \"a guest is no router\"",
            "accept comment \"a guest is no router\"",
            1,
        );
        assert_ne!(edited, whole);
        crate::world::tool("nft flush ruleset");
        load(&whole);
        assert_eq!(changed(world), None, "as it was");
        crate::world::tool("nft flush ruleset");
        load(&edited);
        assert!(changed(world).is_some());
    });
}

fn without_counts(ruleset: &str) -> String {
    let words = ruleset.split_whitespace();
    let words: Vec<_> = words.filter(|word| word.parse::<u64>().is_err()).collect();
    words.join(" ")
}
