//! The table of family `bridge`: a guest is who it says it is, or it is not heard.
//!
//! It matches TAPs by the form of their name, not the bridge's: `meta ibrname` needs a kernel module
//! that not every kernel has, and a TAP without a guest must be as silent as one with a wrong guest.

use super::super::json::Json;
use super::super::ruleset::{Rule, Set, Table};
use super::super::{Guest, Policy};
use super::statement::{
    accept, any_of, asked, counter, drop, field, hooked, is, is_not, joined, jump, meta, network,
    rule, transport_bits,
};
use crate::host_names::{Mac, PROBE_TAP};
use crate::subnet::{HostPart, Subnet};
use std::collections::BTreeSet;

/// Before everything else (`NF_BR_PRI_NAT_DST_BRIDGED` is -300, linux/netfilter_bridge.h).
const FIRST: i32 = -300;
/// `NF_BR_PRI_FILTER_BRIDGED`.
const FILTER: i32 = -200;
/// A name in a rule matches by its beginning when it ends with an asterisk.
const ANY_TAP: &str = "tap-fc-*";

/// One source that may speak.
struct Speaker {
    interface: String,
    mac: Mac,
    part: HostPart,
}

pub(in super::super) fn bridge(policy: &Policy) -> Table {
    let speakers: Vec<_> = policy
        .guests()
        .iter()
        .map(Speaker::from)
        .chain([Speaker::probe(policy.subnet())])
        .collect();
    Table {
        sets: sets(&speakers, policy.subnet()),
        chains: vec![
            asked("neighbours", neighbours(&speakers, policy.subnet())),
            hooked(
                "prerouting",
                "filter",
                FIRST,
                vec![
                    rule(
                        "what comes from no guest",
                        vec![is_not(meta("iifname"), ANY_TAP), accept()],
                    ),
                    wrong_card(),
                    rule(
                        "ARP with a guest's own addresses",
                        vec![
                            lookup("arp", "saddr ether", "arp", "saddr ip", "@guests4"),
                            accept(),
                        ],
                    ),
                    rule(
                        "IPv4 with a guest's own addresses",
                        vec![
                            lookup("ether", "saddr", "ip", "saddr", "@guests4"),
                            accept(),
                        ],
                    ),
                    rule(
                        "a guest advertises its own address only",
                        vec![icmpv6(&["nd-neighbor-advert"]), jump("neighbours")],
                    ),
                    rule(
                        "a guest is no router",
                        vec![
                            icmpv6(&["nd-neighbor-advert", "nd-router-advert", "nd-redirect"]),
                            counter(),
                            drop(),
                        ],
                    ),
                    rule(
                        "IPv6 with a guest's own addresses",
                        vec![
                            lookup("ether", "saddr", "ip6", "saddr", "@guests6"),
                            accept(),
                        ],
                    ),
                    rule(
                        "link-local IPv6 finds neighbours only",
                        vec![
                            is(
                                field("ip6", "saddr"),
                                any_of(vec![network("fe80::", 10), network("::", 128)]),
                            ),
                            icmpv6(&[
                                "nd-router-solicit",
                                "nd-neighbor-solicit",
                                "mld2-listener-report",
                            ]),
                            accept(),
                        ],
                    ),
                    rule("a guest with foreign addresses", vec![counter(), drop()]),
                ],
            ),
            hooked(
                "input",
                "filter",
                FILTER,
                vec![
                    rule(
                        "what comes from no guest",
                        vec![is_not(meta("iifname"), ANY_TAP), accept()],
                    ),
                    wrong_card(),
                ],
            ),
            hooked(
                "forward",
                "filter",
                FILTER,
                vec![
                    rule(
                        "guests are no neighbours: from one",
                        vec![is(meta("iifname"), ANY_TAP), counter(), drop()],
                    ),
                    rule(
                        "guests are no neighbours: to one",
                        vec![is(meta("oifname"), ANY_TAP), counter(), drop()],
                    ),
                ],
            ),
        ],
    }
}

impl Speaker {
    /// The throw-away guest of a probe: its TAP exists, and is root's, while a probe runs.
    fn probe(subnet: &Subnet) -> Self {
        Self {
            interface: PROBE_TAP.to_owned(),
            mac: Mac::PROBE,
            part: subnet.probe_part(),
        }
    }
}

impl From<&Guest> for Speaker {
    fn from(guest: &Guest) -> Self {
        Self {
            interface: guest.slot.interface(),
            mac: guest.mac(),
            part: guest.host_part,
        }
    }
}

fn sets(speakers: &[Speaker], subnet: &Subnet) -> Vec<Set> {
    let mut cards = Set::new("cards", &["ifname", "ether_addr"]);
    let mut guests4 = Set::new("guests4", &["ifname", "ether_addr", "ipv4_addr"]);
    let mut guests6 = Set::new("guests6", &["ifname", "ether_addr", "ipv6_addr"]);
    for speaker in speakers {
        let card = vec![speaker.interface.clone(), speaker.mac.to_string()];
        let with = |address: String| [card.as_slice(), &[address]].concat();
        guests4
            .elements
            .insert(with(subnet.guest_v4(speaker.part).to_string()));
        guests6
            .elements
            .insert(with(subnet.guest_v6(speaker.part).to_string()));
        cards.elements.insert(card);
    }
    vec![cards, guests4, guests6]
}

/// Frames to a link-local group (`01:80:c2:00:00:0x`) pass no `prerouting`, and the bridge learns
/// from them: this rule stands in `input` too.
fn wrong_card() -> Rule {
    let card = joined(vec![meta("iifname"), field("ether", "saddr")]);
    rule(
        "a guest with a foreign hardware address",
        vec![is_not(card, "@cards"), counter(), drop()],
    )
}

/// What a guest advertises is in the packet's body: 128 bits after the first 64 of the ICMPv6
/// header (RFC 4861, 4.4). Counted from the transport header, since headers may stand in between.
/// nft 1.0.6 cannot have such bits in a set, hence one rule for each guest; few packets come here.
fn neighbours(speakers: &[Speaker], subnet: &Subnet) -> Vec<Rule> {
    let tap = |speaker: &Speaker| speaker.interface.clone();
    let rules = speakers.iter().map(|speaker| {
        let address = subnet.guest_v6(speaker.part);
        rule(
            format!("{} is {address}", tap(speaker)),
            vec![
                is(meta("iifname"), tap(speaker)),
                is(
                    transport_bits(64, 128),
                    format!("0x{:032x}", address.to_bits()),
                ),
                accept(),
            ],
        )
    });
    rules.collect()
}

/// The interface with two addresses of a frame, in one of the sets of guests.
fn lookup(first: &str, card: &str, second: &str, address: &str, set: &str) -> Json {
    is(
        joined(vec![
            meta("iifname"),
            field(first, card),
            field(second, address),
        ]),
        set,
    )
}

fn icmpv6(types: &[&str]) -> Json {
    let types: BTreeSet<&str> = types.iter().copied().collect();
    match types.first() {
        Some(only) if types.len() == 1 => is(field("icmpv6", "type"), *only),
        _ => is(field("icmpv6", "type"), any_of(types.into_iter().collect())),
    }
}
