//! What a guest can send, frame by frame, through a TAP of its own: the rules of the policy against a
//! guest that lies.

use crate::world::{OWNER, World, alone, bridge, guest, make, policy, tool};
use banger_linux::links;
use banger_linux::names::{InterfaceName, Mark};
use banger_linux::netlink::Netlink;
use banger_linux::taps::{self, OpenTap};
use banger_model::host_names::Mac;
use banger_model::policy::{Guest, NetworkId};
use std::time::{Duration, Instant};

const BROADCAST: [u8; 6] = [0xff; 6];
const GATEWAY: [u8; 4] = [172, 16, 0, 1];

pub(crate) fn mac(number: u16) -> [u8; 6] {
    *Mac::of(&guest(number, false).id).as_bytes()
}

fn address(number: u8) -> [u8; 4] {
    [172, 16, 0, number + 1]
}

/// The guest's end of a TAP.
fn open(number: u16) -> OpenTap {
    let netlink = Netlink::open().expect("a connection");
    let name = InterfaceName::parse(&format!("tap-fc-{number}")).expect("a name");
    let mark = Mark::parse("banger:0101010101010101").expect("a mark");
    let tap = links::claim(&netlink, &name, &mark)
        .expect("ours")
        .expect("there");
    taps::open(&netlink, &tap).expect("opened")
}

/// A host with two guests, and the guests' ends.
pub(crate) fn two_guests(guests: Vec<Guest>, test: impl FnOnce(&World, &OpenTap, &OpenTap) + Send) {
    assert_ne!(OWNER, 0);
    alone(|world| {
        world.done(bridge());
        world.done(make([1, 2]));
        world.done(policy(guests));
        let (one, two) = (open(1), open(2));
        // A port forwards when the kernel has noticed that somebody holds it.
        until("both ports forward", || {
            tool("bridge link show").matches("state forwarding").count() == 2
        });
        test(world, &one, &two);
    });
}

pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{what}: not in time"
        );
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

pub(crate) fn ethernet(to: [u8; 6], from: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &kind.to_be_bytes(), payload].concat()
}

fn arp(card: [u8; 6], from_card: [u8; 6], from: [u8; 4], whose: [u8; 4]) -> Vec<u8> {
    let body = [
        &[0, 1, 8, 0, 6, 4, 0, 1][..],
        &from_card,
        &from,
        &[0; 6],
        &whose,
    ]
    .concat();
    ethernet(BROADCAST, card, 0x0806, &body)
}

/// An empty UDP datagram without a checksum, to port 9.
fn datagram(to_card: [u8; 6], card: [u8; 6], from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
    let head = |sum: [u8; 2]| {
        [
            &[0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 17],
            &sum[..],
            &from,
            &to,
        ]
        .concat()
    };
    let words = head([0, 0]);
    let sum: u32 = words
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).expect("16 bits");
    let packet = [
        &head((!folded).to_be_bytes())[..],
        &[0xf0, 0, 0, 9, 0, 8, 0, 0],
    ]
    .concat();
    ethernet(to_card, card, 0x0800, &packet)
}

pub(crate) fn bridge_card() -> [u8; 6] {
    [0x0a, 1, 1, 1, 1, 1]
}

/// How many packets a rule has thrown away, by its comment: one that counts them and lets them pass has
/// none.
fn thrown_away(table: &str, comment: &str) -> u64 {
    let rules = tool(&format!("nft list table {table}"));
    let lines = rules
        .lines()
        .filter(|line| line.contains(&format!("comment \"{comment}\"")));
    let counts = lines.filter_map(|line| {
        // `counter packets 1 bytes 42 drop comment "…"`
        let mut words = line.split("packets ").nth(1)?.split(' ');
        let count = words.next()?.parse::<u64>().ok()?;
        let verdict = words.nth(2)?;
        ["drop", "reject"].contains(&verdict).then_some(count)
    });
    counts.sum()
}

pub(crate) fn is_thrown_away(tap: &OpenTap, frame: &[u8], table: &str, comment: &str) {
    let before = thrown_away(table, comment);
    tap.send(frame).expect("sent");
    until(comment, || thrown_away(table, comment) == before + 1);
}

/// The next frame for the guest that `wanted` takes.
pub(crate) fn receives(tap: &OpenTap, what: &str, wanted: impl Fn(&[u8]) -> bool) {
    let mut buffer = [0; 2048];
    until(what, || {
        let frame = tap.receive(&mut buffer).expect("received");
        frame.is_some_and(|length| wanted(&buffer[..length]))
    });
}

#[test]
fn a_guest_that_tells_the_truth_is_answered() {
    two_guests(vec![guest(1, false), guest(2, false)], |_, one, _| {
        one.send(&arp(mac(1), mac(1), address(1), GATEWAY))
            .expect("sent");
        receives(one, "the bridge's ARP answer", |frame| {
            frame[12..14] == [8, 6] && frame[20..22] == [0, 2] && frame[28..32] == GATEWAY
        });
    });
}

#[test]
fn a_guest_with_a_foreign_card_is_not_heard_nor_learned() {
    two_guests(vec![guest(1, false), guest(2, false)], |_, one, _| {
        let rule = "a guest with a foreign hardware address";
        is_thrown_away(
            one,
            &arp(mac(2), mac(2), address(2), GATEWAY),
            "bridge banger",
            rule,
        );
        // Frames to link-local groups pass no prerouting hook, and those to the last of them (LLDP) none at
        // all; a bridge learns from them unless it is told not to.
        let group = |last| [0x01, 0x80, 0xc2, 0, 0, last];
        one.send(&ethernet(group(0x0e), mac(2), 0x88cc, &[0; 46]))
            .expect("sent");
        is_thrown_away(
            one,
            &ethernet(group(0x02), mac(2), 0x8809, &[0; 46]),
            "bridge banger",
            rule,
        );
        let learned = tool("bridge fdb show br br-fc");
        let card: Vec<_> = mac(2).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!learned.contains(&card.join(":")), "{learned}");
    });
}

#[test]
fn a_guest_with_foreign_addresses_is_not_heard() {
    two_guests(vec![guest(1, false), guest(2, false)], |_, one, _| {
        let rule = "a guest with foreign addresses";
        let lies = [
            arp(mac(1), mac(1), address(2), GATEWAY),
            arp(mac(1), mac(2), address(1), GATEWAY),
            arp(mac(1), mac(1), GATEWAY, GATEWAY),
            datagram(bridge_card(), mac(1), address(2), GATEWAY),
            datagram(bridge_card(), mac(1), [172, 16, 0, 254], GATEWAY),
            ethernet(bridge_card(), mac(1), 0x8100, &[0; 46]),
            ethernet(bridge_card(), mac(1), 0x88cc, &[0; 46]),
        ];
        for lie in lies {
            is_thrown_away(one, &lie, "bridge banger", rule);
        }
    });
}

/// An ICMPv6 message with the hop limit that neighbour discovery asks for, behind a header of
/// destination options where asked: rules must find what is behind it.
fn neighbour(kind: u8, from: &str, target: &str, with_options: bool) -> Vec<u8> {
    let octets = |text: &str| {
        text.parse::<std::net::Ipv6Addr>()
            .expect("an address")
            .octets()
    };
    let message = [&[kind, 0, 0, 0, 0x20, 0, 0, 0][..], &octets(target)].concat();
    let (next, options) = if with_options {
        (60, vec![58, 0, 1, 4, 0, 0, 0, 0])
    } else {
        (58, vec![])
    };
    let length = u8::try_from(options.len() + message.len()).expect("short");
    let head = [
        &[0x60, 0, 0, 0, 0, length, next, 255][..],
        &octets(from),
        &octets("fd01:101:101::1"),
    ]
    .concat();
    ethernet(
        bridge_card(),
        mac(1),
        0x86dd,
        &[head, options, message].concat(),
    )
}

#[test]
fn a_guest_advertises_no_other_address_over_ipv6() {
    two_guests(vec![guest(1, false), guest(2, false)], |_, one, _| {
        let (own, other, rule) = ("fd01:101:101::2", "fd01:101:101::3", "a guest is no router");
        for with_options in [false, true] {
            is_thrown_away(
                one,
                &neighbour(136, own, other, with_options),
                "bridge banger",
                rule,
            );
        }
        for kind in [134, 137] {
            is_thrown_away(
                one,
                &neighbour(kind, own, own, false),
                "bridge banger",
                rule,
            );
        }
        is_thrown_away(
            one,
            &neighbour(135, other, own, false),
            "bridge banger",
            "a guest with foreign addresses",
        );
    });
}

#[test]
fn a_guest_s_own_advertisement_is_heard_also_behind_options() {
    two_guests(vec![guest(1, false), guest(2, false)], |_, one, _| {
        let (own, rule) = ("fd01:101:101::2", "a guest is no router");
        let before = thrown_away("bridge banger", rule);
        for with_options in [false, true] {
            one.send(&neighbour(136, own, own, with_options))
                .expect("sent");
        }
        // Frames of one TAP come one after the other.
        is_thrown_away(
            one,
            &neighbour(135, "fd01:101:101::3", own, false),
            "bridge banger",
            "a guest with foreign addresses",
        );
        assert_eq!(thrown_away("bridge banger", rule), before);
    });
}

/// A host whose uplink ends in the same namespace, where what comes for a server is counted before anything
/// is done with it.
pub(crate) fn watched_uplink(host: &str, server: &str) {
    tool("ip link add up0 type veth peer name up1");
    let (family, prefix, nodad) = match host.contains(':') {
        true => ("ip6", 64, "nodad"),
        false => ("ip", 24, ""),
    };
    tool(&format!("ip address add {host}/{prefix} dev up0 {nodad}"));
    tool("ip link set up0 up");
    tool("ip link set up1 up");
    let links = crate::world::json("ip -j link show up1");
    let card = links[0]["address"].as_str().expect("a card").to_owned();
    tool(&format!("ip neigh add {server} lladdr {card} dev up0"));
    crate::world::nft(&format!(
        "add table inet watch
         add chain inet watch came {{ type filter hook prerouting priority -500 ; }}
         add rule inet watch came iifname up1 {family} daddr {server} {family} saddr {host} counter comment \"as the host\"
         add rule inet watch came iifname up1 {family} daddr {server} {family} saddr != {host} counter comment \"as itself\"
        "
    ));
}

pub(crate) fn came(as_whom: &str) -> u64 {
    let table = tool("nft list table inet watch");
    let line = table.lines().find(|line| line.contains(as_whom));
    let count = line.and_then(|line| line.split("packets ").nth(1)?.split(' ').next());
    count.expect("a counter").parse().expect("a number")
}

#[test]
fn a_guest_with_a_way_out_goes_out_as_the_host() {
    two_guests(vec![guest(1, true), guest(2, false)], |_, one, _| {
        let server = [192, 0, 2, 9];
        watched_uplink("192.0.2.2", "192.0.2.9");
        let out = datagram(bridge_card(), mac(1), address(1), server);
        one.send(&out).expect("sent");
        until("the packet to come", || {
            came("as the host") == 1 || came("as itself") > 0
        });
        assert_eq!(came("as itself"), 0);
    });
}

#[test]
fn guests_reach_each_other_only_where_they_are_linked() {
    let linked = |number| Guest {
        networks: [NetworkId(7)].into(),
        ..guest(number, false)
    };
    let hello = || datagram(bridge_card(), mac(1), address(1), address(2));
    let strangers = vec![guest(1, true), guest(2, true)];
    two_guests(strangers, |world, one, two| {
        is_thrown_away(one, &hello(), "inet banger", "guests that share no network");
        // ARP too: where bridged packets pass the rules for routed ones as well, IP is held up twice.
        for beside in [
            datagram(mac(2), mac(1), address(1), address(2)),
            arp(mac(1), mac(1), address(1), address(2)),
        ] {
            let rule = "guests are no neighbours: from one";
            is_thrown_away(one, &beside, "bridge banger", rule);
        }
        world.done(policy(vec![linked(1), linked(2)]));
        until("the other guest is asked for its card", || {
            one.send(&hello()).expect("sent");
            let mut buffer = [0; 2048];
            let Some(length) = two.receive(&mut buffer).expect("received") else {
                return false;
            };
            assert_ne!(
                buffer[6..12],
                mac(1),
                "no frame comes from the other guest itself"
            );
            buffer[..length][12..14] == [8, 6]
        });
        two.send(&answer_to_gateway()).expect("sent");
        receives(two, "the datagram", |frame| {
            frame[12..14] == [8, 0] && frame[26..30] == address(1)
        });
        world.done(policy(vec![guest(1, false), guest(2, false)]));
        is_thrown_away(one, &hello(), "inet banger", "guests that share no network");
    });
}

/// The second guest's ARP answer to the bridge.
fn answer_to_gateway() -> Vec<u8> {
    let body = [
        &[0, 1, 8, 0, 6, 4, 0, 2][..],
        &mac(2),
        &address(2),
        &bridge_card(),
        &GATEWAY,
    ]
    .concat();
    ethernet(bridge_card(), mac(2), 0x0806, &body)
}

#[test]
fn guests_reach_no_address_of_the_host_nor_metadata() {
    two_guests(vec![guest(1, true), guest(2, false)], |_, one, two| {
        tool("ip link add up0 type veth peer name up1");
        tool("ip address add 192.0.2.2/24 dev up0");
        tool("ip link set up0 up");
        tool("ip link set up1 up");
        tool("ip route add default via 192.0.2.1");
        let to = |to| datagram(bridge_card(), mac(1), address(1), to);
        let host = "guests reach nothing else of the host";
        is_thrown_away(one, &to(GATEWAY), "inet banger", host);
        is_thrown_away(one, &to([192, 0, 2, 2]), "inet banger", host);
        let closed = "link-local and metadata addresses, IPv4";
        is_thrown_away(one, &to([169, 254, 169, 254]), "inet banger", closed);
        let out = datagram(bridge_card(), mac(2), address(2), [192, 0, 2, 9]);
        is_thrown_away(two, &out, "inet banger", "a guest without a way out");
    });
}

#[test]
fn what_guests_do_changes_no_rule() {
    two_guests(vec![guest(1, true), guest(2, false)], |world, one, _| {
        let lie = arp(mac(1), mac(2), address(1), GATEWAY);
        is_thrown_away(one, &lie, "bridge banger", "a guest with foreign addresses");
        assert_eq!(world.survey().policy.expect("there").changed, None);
    });
}
