//! Each verb, checked with `ip` and `nft`.

use crate::world::{
    OWNER, alone, bridge, guest, ip_link, json, make, nft, policy, slots, sweep, tool,
};
use banger_proto::root::{Answer, Did, Outcome, Verb};

fn forwarding() -> [String; 2] {
    let read = |path: &str| tool(&format!("cat /proc/sys/net/{path}")).trim().to_owned();
    [read("ipv4/ip_forward"), read("ipv4/conf/br-fc/forwarding")]
}

#[test]
fn a_bridge_is_made_with_its_addresses_and_removed() {
    alone(|world| {
        world.done(bridge());
        let link = ip_link("br-fc").expect("it is there");
        assert_eq!(
            (&link["mtu"], &link["ifalias"]),
            (&1400.into(), &"banger:0101010101010101".into())
        );
        let addresses = tool("ip -br address show br-fc");
        assert!(
            addresses.contains("172.16.0.1/24") && addresses.contains("fd01:101:101::1/64"),
            "{addresses}"
        );
        assert_eq!(forwarding(), ["0", "1"]);
        assert_eq!(world.done(bridge())[0].did, Did::WasSo);
        world.done(Verb::RemoveBridge {});
        assert_eq!(ip_link("br-fc"), None);
    });
}

/// ip(8) shows a user by its name where it has one.
fn owner(shown: &serde_json::Value) -> String {
    match shown.as_str() {
        Some(name) => tool(&format!("id -u {name}")).trim().to_owned(),
        None => shown.to_string(),
    }
}

#[test]
fn taps_are_the_owners_to_open_and_ports_of_the_bridge() {
    alone(|world| {
        world.done(bridge());
        world.done(make([1, 64, 1000]));
        for name in ["tap-fc-1", "tap-fc-64", "tap-fc-1000"] {
            let link = ip_link(name).expect(name);
            assert_eq!(
                (&link["master"], &link["ifalias"]),
                (&"br-fc".into(), &"banger:0101010101010101".into())
            );
            let details = &link["linkinfo"]["info_data"];
            assert_eq!(
                (&details["type"], &details["persist"], &details["vnet_hdr"]),
                (&"tap".into(), &true.into(), &true.into())
            );
            assert_eq!(owner(&details["user"]), OWNER.to_string());
        }
        assert!(
            world
                .survey()
                .taps
                .iter()
                .all(|tap| tap.is_ready_for(OWNER))
        );
        world.done(Verb::DeleteTaps {
            slots: slots([1, 64]),
        });
        assert!(ip_link("tap-fc-1").is_none() && ip_link("tap-fc-1000").is_some());
    });
}

#[test]
fn a_policy_switches_forwarding_on_and_off_again() {
    alone(|world| {
        world.done(bridge());
        world.done(policy(vec![guest(1, true)]));
        assert_eq!(forwarding(), ["1", "1"]);
        assert!(tool("nft list set inet banger forwarding_was_off").contains("ipv4"));
        assert!(tool("nft list set inet banger nat4").contains("172.16.0.2"));
        assert_eq!(world.done(policy(vec![guest(1, true)]))[0].did, Did::WasSo);
        world.done(policy(vec![guest(1, false)]));
        assert_eq!(forwarding(), ["0", "1"], "the bridge itself goes on");
        world.done(Verb::ClearPolicy {});
        assert_eq!(tool("nft list tables"), "");
    });
}

#[test]
fn rules_changed_by_another_are_seen_and_loaded_again() {
    alone(|world| {
        world.done(bridge());
        for change in [
            "add rule inet banger to_host accept",
            "flush chain bridge banger input",
            "add chain inet banger more",
            "add table inet banger { flags dormant; }",
        ] {
            world.done(policy(vec![guest(1, false)]));
            assert_eq!(
                world.survey().policy.expect("it is loaded").changed,
                None,
                "{change}"
            );
            nft(change);
            assert!(
                world
                    .survey()
                    .policy
                    .expect("it is loaded")
                    .changed
                    .is_some(),
                "{change}"
            );
        }
        assert_eq!(
            world.done(policy(vec![guest(1, false)]))[0].did,
            Did::Adjusted
        );
        let whole = world.survey().policy.expect("it is loaded");
        assert_eq!(whole.changed, None);
        // Elements are those of the policy, or it is another.
        for change in [
            "add element inet banger nat4 { 172.16.0.9 }",
            "flush set bridge banger cards",
        ] {
            nft(change);
            assert_ne!(world.survey().policy.expect("there").digest, whole.digest);
            let did = world.done(policy(vec![guest(1, false)]))[0].did;
            assert_eq!(did, Did::Adjusted);
            assert_eq!(world.survey().policy.expect("there"), whole);
        }
    });
}

#[test]
fn what_is_foreign_stays() {
    alone(|world| {
        tool("ip link add tap-fc-7 type veth peer name other");
        // A TAP of nobody, and one of another installation.
        tool("ip tuntap add dev tap-fc-8 mode tap");
        tool("ip tuntap add dev tap-fc-9 mode tap");
        tool("ip link set dev tap-fc-9 alias banger:0202020202020202");
        nft(
            "add table inet other; add chain inet other forward { type filter hook forward priority 0; policy drop; }",
        );
        world.done(bridge());
        world.done(make([1]));
        for slot in [7, 8, 9] {
            let refused = format!("tap-fc-{slot} is not banger's");
            assert!(world.failed(make([slot])).contains(&refused));
            let delete = Verb::DeleteTaps {
                slots: slots([slot]),
            };
            assert!(world.failed(delete).contains(&refused));
        }
        world.done(sweep([], false, false));
        let names: Vec<_> = json("ip -j link show")
            .as_array()
            .expect("a list")
            .iter()
            .map(|link| link["ifname"].clone())
            .collect();
        assert_eq!(names, ["lo", "other", "tap-fc-7", "tap-fc-8", "tap-fc-9"]);
        assert_eq!(tool("nft list tables"), "table inet other\n");
    });
}

#[test]
fn foreign_tables_and_a_foreign_bridge_stay() {
    alone(|world| {
        tool("ip link add br-fc type bridge");
        nft("add table inet banger; add chain inet banger mine");
        for verb in [bridge(), Verb::RemoveBridge {}, make([1])] {
            assert!(world.failed(verb).contains("br-fc is not banger's"));
        }
        for verb in [policy(vec![]), Verb::ClearPolicy {}] {
            assert!(world.failed(verb).contains("do not carry banger's mark"));
        }
        assert!(matches!(
            world.ask(sweep([], false, false)),
            Outcome::Failed(_)
        ));
        assert!(ip_link("br-fc").is_some());
        assert!(tool("nft list table inet banger").contains("chain mine"));
    });
}

#[test]
fn a_subnet_that_another_link_has_is_refused_with_its_name() {
    alone(|world| {
        tool("ip link add br-other type bridge");
        tool("ip address add 172.16.0.1/24 dev br-other");
        tool("ip link set br-other up");
        let why = world.failed(bridge());
        assert!(
            why.contains("collides with the") && why.contains("172.16.0.0/24 of br-other"),
            "{why}"
        );
        assert_eq!(ip_link("br-fc"), None);
    });
}

#[test]
fn without_resolved_the_resolver_is_unavailable() {
    alone(|world| {
        world.done(bridge());
        let dns_port = 42069.try_into().expect("a port");
        assert_eq!(
            world.done(Verb::SetResolver { dns_port })[0].did,
            Did::Unavailable
        );
        assert_eq!(world.done(Verb::ClearResolver {})[0].did, Did::Unavailable);
        assert_eq!(world.ask(Verb::Ping {}), Outcome::Done(Answer::Pong {}));
    });
}
