//! The rules that other firewalls really load, and what a probe says of them. Each is what the tool's
//! own start has left in the kernel.

use crate::world::{World, alone, bridge, guest, ip_link, nft, policy, tool};
use banger_proto::root::{Answer, Forwarded, Outcome, PathKind, Verb, Verdict};

// Shared with the tests of `banger doctor`.
const DOCKER: &str = include_str!("../../../banger-testkit/src/firewalls/docker.nft");
const UFW: &str = include_str!("../../../banger-testkit/src/firewalls/ufw.nft");
const FIREWALLD: &str = include_str!("../../../banger-testkit/src/firewalls/firewalld.nft");
const PLAIN: &str = include_str!("../../../banger-testkit/src/firewalls/plain.nft");

/// A host with an uplink, on which one guest may go out.
fn on_a_host(rules: &str, test: impl FnOnce(&World) + Send) {
    alone(|world| {
        tool("ip link add up0 type veth peer name up1");
        tool("ip address add 192.0.2.2/24 dev up0");
        tool("ip -6 address add 2001:db8::2/64 dev up0 nodad");
        tool("ip link set up0 up");
        tool("ip link set up1 up");
        tool("ip route add default via 192.0.2.1");
        tool("ip -6 route add default via 2001:db8::1");
        world.done(bridge());
        world.done(policy(vec![guest(1, true)]));
        nft(rules);
        test(world);
        assert_eq!(ip_link("tap-fc-probe"), None, "the probe leaves no TAP");
        assert!(!tool("nft list tables").contains("probe"), "nor rules");
    });
}

fn verdict(world: &World, kind: PathKind) -> Verdict {
    match world.ask(Verb::ProbePath { kind }) {
        Outcome::Done(Answer::Path(report)) => report.verdict,
        other => panic!("{other:?}"),
    }
}

fn dropped(
    family: &str,
    table: &str,
    chain: &str,
    rule: Option<&str>,
    through: &[&str],
) -> Verdict {
    Verdict::Dropped {
        family: family.to_owned(),
        table: table.to_owned(),
        chain: chain.to_owned(),
        rule: rule.map(str::to_owned),
        through: through.iter().map(|chain| (*chain).to_owned()).collect(),
        rejected: rule.is_some_and(|rule| rule.starts_with("reject")),
    }
}

#[test]
fn a_host_without_a_firewall_lets_every_way_through() {
    on_a_host("", |world| {
        for kind in PathKind::ALL {
            assert_eq!(verdict(world, kind), Verdict::Passed {}, "{kind:?}");
        }
    });
}

#[test]
fn the_packet_of_a_probe_does_not_leave_the_host() {
    on_a_host("", |world| {
        nft("add table netdev watch
             add chain netdev watch out { type filter hook egress device up0 priority 0; }
             add rule netdev watch out ip daddr 1.1.1.1 counter");
        assert_eq!(verdict(world, PathKind::OutIpv4), Verdict::Passed {});
        let seen = tool("nft list table netdev watch");
        assert!(seen.contains("packets 0 bytes 0"), "{seen}");
    });
}

#[test]
fn dockers_policy_is_named() {
    on_a_host(DOCKER, |world| {
        assert_eq!(
            verdict(world, PathKind::OutIpv4),
            dropped(
                "ip",
                "filter",
                "FORWARD",
                None,
                &["DOCKER-USER", "DOCKER-ISOLATION-STAGE-1"]
            )
        );
        assert_eq!(verdict(world, PathKind::OutIpv6), Verdict::Passed {});
        assert_eq!(verdict(world, PathKind::HostIpv4), Verdict::Passed {});
        // As iptables -I: behind the `return` that is there it would never be asked.
        nft("insert rule ip filter DOCKER-USER iifname br-fc accept");
        assert_eq!(
            verdict(world, PathKind::OutIpv4),
            Verdict::Passed {},
            "the remedy helps"
        );
    });
}

#[test]
fn ufws_policies_are_named_both_ways() {
    on_a_host(UFW, |world| {
        let through = |names: &[&str], way: &str| {
            let chains = names.iter().map(|name| format!("ufw-{name}-{way}"));
            chains.collect::<Vec<_>>()
        };
        let all = |way: &str| {
            let names = ["before-logging", "before", "user"];
            let after = ["after", "after-logging", "reject", "track"];
            [through(&names, way), through(&after, way)].concat()
        };
        let Verdict::Dropped {
            through: forward, ..
        } = verdict(world, PathKind::OutIpv4)
        else {
            panic!("it is dropped");
        };
        assert_eq!(forward, all("forward"));
        let names: Vec<_> = forward.iter().map(String::as_str).collect();
        assert_eq!(
            verdict(world, PathKind::OutIpv4),
            dropped("ip", "filter", "FORWARD", None, &names)
        );
        let Verdict::Dropped {
            chain,
            rule: None,
            through: input,
            ..
        } = verdict(world, PathKind::HostIpv4)
        else {
            panic!("it is dropped by the policy");
        };
        assert_eq!(chain, "INPUT");
        let of_input = |chain: &String| chain.starts_with("ufw-") && chain.ends_with("-input");
        assert!(input.iter().any(of_input), "{input:?}");
    });
}

/// Where firewalld has rejected a packet.
fn rejected_by_firewalld(world: &World, kind: PathKind) -> String {
    match verdict(world, kind) {
        Verdict::Dropped {
            family,
            table,
            chain,
            rule: Some(rule),
            rejected: true,
            ..
        } => {
            assert_eq!((family.as_str(), table.as_str()), ("inet", "firewalld"));
            assert_eq!(rule, "reject with icmpx admin-prohibited");
            chain
        }
        other => panic!("{kind:?}: {other:?}"),
    }
}

#[test]
fn firewallds_reject_is_named_and_names_get_through() {
    on_a_host(FIREWALLD, |world| {
        for kind in [PathKind::OutIpv4, PathKind::OutIpv6] {
            assert_eq!(rejected_by_firewalld(world, kind), "filter_FWD_public");
        }
        // It takes what was redirected for what it was told to let in (`ct status dnat`).
        for kind in [PathKind::HostIpv4, PathKind::HostIpv6] {
            assert_eq!(verdict(world, kind), Verdict::Passed {}, "{kind:?}");
        }
        nft(
            "flush chain inet firewalld filter_INPUT; add rule inet firewalld filter_INPUT reject with icmpx admin-prohibited",
        );
        let chain = rejected_by_firewalld(world, PathKind::HostIpv4);
        assert_eq!(chain, "filter_INPUT");
    });
}

#[test]
fn a_rule_written_by_hand_is_named_with_its_comment() {
    on_a_host(PLAIN, |world| {
        let Verdict::Dropped {
            table,
            chain,
            rule: Some(rule),
            rejected: false,
            ..
        } = verdict(world, PathKind::OutIpv4)
        else {
            panic!("it is dropped");
        };
        assert_eq!((table.as_str(), chain.as_str()), ("my_filter", "forward"));
        assert!(rule.contains("only the LAN goes out"), "{rule}");
    });
}

#[test]
fn a_host_without_a_route_is_told_so() {
    on_a_host("", |world| {
        tool("ip route del default");
        assert_eq!(
            verdict(world, PathKind::OutIpv4),
            Verdict::NotForwarded(Forwarded::NoRoute)
        );
    });
}
