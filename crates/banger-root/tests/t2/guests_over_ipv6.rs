//! The same policy over IPv6: what a guest can send, packet by packet, and that none of it is a way round.

use crate::guests::{
    bridge_card, came, ethernet, is_thrown_away, mac, receives, two_guests, until, watched_uplink,
};
use crate::world::{guest, policy, tool};
use banger_model::policy::{Guest, NetworkId};
use std::net::Ipv6Addr;

const GATEWAY: &str = "fd01:101:101::1";
const FIRST: &str = "fd01:101:101::2";
const SECOND: &str = "fd01:101:101::3";
const HOST: &str = "2001:db8::2";
const SERVER: &str = "2001:db8::9";

/// The Internet checksum (RFC 1071) of an even number of bytes.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!u16::try_from(sum).expect("16 bits")).to_be_bytes()
}

/// A frame of a guest's for the bridge with a packet whose checksum, which stands at byte `at` of the
/// message, holds (RFC 8200, section 8.1): the kernel tracks no other.
fn packet(number: u16, from: &str, to: &str, next: u8, mut message: Vec<u8>, at: usize) -> Vec<u8> {
    let octets = |text: &str| text.parse::<Ipv6Addr>().expect("an address").octets();
    let (from, to) = (octets(from), octets(to));
    let length = u16::try_from(message.len()).expect("short").to_be_bytes();
    let pseudo = [&from[..], &to, &[0, 0], &length, &[0, 0, 0, next], &message].concat();
    message[at..at + 2].copy_from_slice(&checksum(&pseudo));
    let head = [&[0x60, 0, 0, 0][..], &length, &[next, 255], &from, &to].concat();
    ethernet(
        bridge_card(),
        mac(number),
        0x86dd,
        &[head, message].concat(),
    )
}

/// An empty UDP datagram to port 9.
fn datagram(from: &str, to: &str) -> Vec<u8> {
    packet(1, from, to, 17, vec![0xf0, 0, 0, 9, 0, 8, 0, 0], 6)
}

/// The second guest's answer to whoever looks for its card (RFC 4861, section 4.4).
fn advertisement() -> Vec<u8> {
    let target = SECOND.parse::<Ipv6Addr>().expect("an address").octets();
    let message = [
        &[136, 0, 0, 0, 0x60, 0, 0, 0][..],
        &target,
        &[2, 1],
        &mac(2),
    ]
    .concat();
    packet(2, SECOND, GATEWAY, 58, message, 2)
}

fn uplink() {
    watched_uplink(HOST, SERVER);
    tool("ip -6 route add default via 2001:db8::1 dev up0");
}

#[test]
fn a_guest_goes_out_over_ipv6_as_the_host_if_it_has_a_way_out_and_not_at_all_if_not() {
    two_guests(vec![guest(1, true), guest(2, false)], |world, one, _| {
        uplink();
        until("the packet to come", || {
            one.send(&datagram(FIRST, SERVER)).expect("sent");
            came("as the host") + came("as itself") > 0
        });
        assert_eq!(came("as itself"), 0);
        world.done(policy(vec![guest(1, false), guest(2, true)]));
        let rule = "a guest without a way out";
        is_thrown_away(one, &datagram(FIRST, SERVER), "inet banger", rule);
        assert_eq!(came("as itself"), 0);
    });
}

#[test]
fn guests_reach_no_address_of_the_host_nor_metadata_nor_what_leads_there_in_disguise() {
    two_guests(vec![guest(1, true), guest(2, false)], |_, one, _| {
        uplink();
        let host = "guests reach nothing else of the host";
        for address in [GATEWAY, HOST] {
            is_thrown_away(one, &datagram(FIRST, address), "inet banger", host);
        }
        let closed = "link-local and metadata addresses, IPv6";
        // AWS's metadata; site-local; metadata and the host's loopback by NAT64 and by 6to4; likewise by an
        // IPv4-compatible address.
        for address in [
            "fd00:ec2::254",
            "fec0::1",
            "64:ff9b::169.254.169.254",
            "64:ff9b::127.0.0.1",
            "2002:a9fe:a9fe::1",
            "2002:7f00:1::1",
            "::169.254.169.254",
        ] {
            is_thrown_away(one, &datagram(FIRST, address), "inet banger", closed);
        }
        // Addresses that each interface gives itself, the probe's, the unspecified one.
        let foreign = "a guest with foreign addresses";
        for from in ["fe80::1", "fd01:101:101::fe", "::", SECOND, "2001:db8::7"] {
            for to in [GATEWAY, SERVER, SECOND] {
                is_thrown_away(one, &datagram(from, to), "bridge banger", foreign);
            }
        }
        assert_eq!((came("as the host"), came("as itself")), (0, 0));
    });
}

#[test]
fn guests_reach_each_other_over_ipv6_only_where_they_are_linked() {
    let linked = |number| Guest {
        networks: [NetworkId(7)].into(),
        ..guest(number, false)
    };
    let hello = || datagram(FIRST, SECOND);
    two_guests(vec![guest(1, true), guest(2, true)], |world, one, two| {
        let rule = "guests that share no network";
        is_thrown_away(one, &hello(), "inet banger", rule);
        world.done(policy(vec![linked(1), linked(2)]));
        one.send(&hello()).expect("sent");
        receives(two, "who looks for its card", |frame| {
            frame[12..14] == [0x86, 0xdd] && frame[20] == 58 && frame[54] == 135
        });
        two.send(&advertisement()).expect("sent");
        receives(two, "the datagram", |frame| {
            frame[12..14] == [0x86, 0xdd] && frame[20] == 17 && frame[6..12] == bridge_card()
        });
        // With a way out both, or IPv6 would not be forwarded at all.
        world.done(policy(vec![guest(1, true), guest(2, true)]));
        is_thrown_away(one, &hello(), "inet banger", rule);
    });
}
