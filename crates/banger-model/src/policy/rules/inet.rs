//! The table of family `inet`: what guests reach. It concerns packets that come from the bridge or
//! go to it; the rest of the host passes.
//!
//! The way of a connection's own packets is checked for each of them, not only for the first: what
//! the policy no longer allows ends at once.

use super::super::json::{Json, object};
use super::super::ruleset::{Chain, Rule, Set, Table};
use super::super::{Guest, NetworkId, Policy};
use super::statement::{
    accept, answers, any_of, asked, counter, drop, field, goto, hooked, is, is_not, joined, meta,
    network, reject, rule,
};
use std::collections::BTreeMap;
use std::num::NonZeroU16;

/// `NF_IP_PRI_FILTER` (linux/netfilter_ipv4.h).
const FILTER: i32 = 0;
/// `NF_IP_PRI_NAT_DST`.
const NAT_DESTINATION: i32 = -100;
/// `NF_IP_PRI_NAT_SRC`.
const NAT_SOURCE: i32 = 100;

/// IPv4 that no guest gets out to: this network and host (RFC 1122), link-local with the metadata
/// services of clouds (RFC 3927), multicast (RFC 5771), reserved and broadcast (RFC 1112).
const CLOSED_V4: [(&str, i32); 5] = [
    ("0.0.0.0", 8),
    ("127.0.0.0", 8),
    ("169.254.0.0", 16),
    ("224.0.0.0", 4),
    ("240.0.0.0", 4),
];
/// IPv6 likewise: unspecified and loopback, IPv4-mapped (RFC 4291), link-local, site-local,
/// multicast, and AWS's metadata service.
const CLOSED_V6: [(&str, i32); 6] = [
    ("::", 127),
    ("::ffff:0.0.0.0", 96),
    ("fe80::", 10),
    ("fec0::", 10),
    ("ff00::", 8),
    ("fd00:ec2::", 32),
];

pub(in super::super) fn inet(policy: &Policy) -> Table {
    let networks = Networks::of(policy.guests());
    let mut sets = way_out(policy);
    sets.extend(networks.sets(policy));
    Table {
        sets,
        chains: vec![
            asked("between_guests", networks.rules()),
            asked("to_outside", to_outside()),
            asked("from_guest", from_guest(policy)),
            asked("to_guest", to_guest()),
            asked("to_host", to_host(policy)),
            forward(policy),
            hooked(
                "input",
                "filter",
                FILTER,
                vec![from_bridge(
                    policy,
                    "from guests to the host",
                    goto("to_host"),
                )],
            ),
            output(policy),
            hooked("prerouting", "nat", NAT_DESTINATION, names(policy)),
            hooked("postrouting", "nat", NAT_SOURCE, masquerade(policy)),
        ],
    }
}

fn from_bridge(policy: &Policy, comment: &str, then: Json) -> Rule {
    rule(
        comment,
        vec![is(meta("iifname"), policy.bridge().as_str()), then],
    )
}

fn to_bridge(policy: &Policy) -> Json {
    is(meta("oifname"), policy.bridge().as_str())
}

/// The addresses of guests that may go out, and of the probe.
fn way_out(policy: &Policy) -> Vec<Set> {
    let (mut nat4, mut nat6) = (
        Set::new("nat4", &["ipv4_addr"]),
        Set::new("nat6", &["ipv6_addr"]),
    );
    let subnet = policy.subnet();
    let guests = policy
        .guests()
        .iter()
        .filter(|guest| guest.nat)
        .map(|guest| guest.host_part);
    for part in guests.chain([subnet.probe_part()]) {
        nat4.elements
            .insert(vec![subnet.guest_v4(part).to_string()]);
        nat6.elements
            .insert(vec![subnet.guest_v6(part).to_string()]);
    }
    vec![nat4, nat6]
}

fn forward(policy: &Policy) -> Chain {
    hooked(
        "forward",
        "filter",
        FILTER,
        vec![
            from_bridge(policy, "from guests", goto("from_guest")),
            rule("to guests", vec![to_bridge(policy), goto("to_guest")]),
        ],
    )
}

fn from_guest(policy: &Policy) -> Vec<Rule> {
    vec![
        rule(
            "to another guest",
            vec![to_bridge(policy), goto("between_guests")],
        ),
        rule(
            "to the outside over IPv4",
            vec![is(field("ip", "saddr"), "@nat4"), goto("to_outside")],
        ),
        rule(
            "to the outside over IPv6",
            vec![is(field("ip6", "saddr"), "@nat6"), goto("to_outside")],
        ),
        rule("a guest without a way out", vec![counter(), reject()]),
    ]
}

fn to_outside() -> Vec<Rule> {
    let closed = |version: &str, networks: &[(&str, i32)]| {
        let networks = networks
            .iter()
            .map(|(address, prefix)| network(address, *prefix));
        vec![
            is(field(version, "daddr"), any_of(networks.collect())),
            counter(),
            reject(),
        ]
    };
    vec![
        rule(
            "link-local and metadata addresses, IPv4",
            closed("ip", &CLOSED_V4),
        ),
        rule(
            "link-local and metadata addresses, IPv6",
            closed("ip6", &CLOSED_V6),
        ),
        rule("a guest with a way out", vec![accept()]),
    ]
}

fn to_guest() -> Vec<Rule> {
    let answer = |version: &str, set: &str| {
        let mut statements = answers();
        statements.extend([is(field(version, "daddr"), set), accept()]);
        statements
    };
    vec![
        rule(
            "answers to a guest with a way out, IPv4",
            answer("ip", "@nat4"),
        ),
        rule(
            "answers to a guest with a way out, IPv6",
            answer("ip6", "@nat6"),
        ),
        rule(
            "nobody reaches a guest from outside",
            vec![counter(), drop()],
        ),
    ]
}

/// What guests reach of the host: answers to what the host began, its echo, its neighbour
/// discovery, names. Everything at the bridge's own address.
fn to_host(policy: &Policy) -> Vec<Rule> {
    let subnet = policy.subnet();
    let v4 = || is(field("ip", "daddr"), subnet.gateway_v4().to_string());
    let v6 = || is(field("ip6", "daddr"), subnet.gateway_v6().to_string());
    let echo = |protocol: &str| is(field(protocol, "type"), "echo-request");
    let discovery = is(
        field("icmpv6", "type"),
        any_of(vec!["nd-neighbor-advert", "nd-neighbor-solicit"]),
    );
    let mut answered = answers();
    answered.push(accept());
    let mut rules = vec![
        rule("answers to the host", answered),
        rule(
            "echo at the bridge, IPv4",
            vec![v4(), echo("icmp"), accept()],
        ),
        rule(
            "echo at the bridge, IPv6",
            vec![v6(), echo("icmpv6"), accept()],
        ),
        rule(
            "neighbour discovery",
            vec![is(field("ip6", "hoplimit"), 255), discovery, accept()],
        ),
    ];
    if let Some(port) = policy.dns_port() {
        let [protocol, number] = to_port(port.get());
        for (comment, address) in [("names, IPv4", v4()), ("names, IPv6", v6())] {
            rules.push(rule(
                comment,
                vec![address, protocol.clone(), number.clone(), accept()],
            ));
        }
    }
    rules.push(rule(
        "guests reach nothing else of the host",
        vec![counter(), reject()],
    ));
    rules
}

/// The host must not tell guests to go another way: there is none, the bridge keeps them apart.
fn output(policy: &Policy) -> Chain {
    let redirect = |protocol: &str, kind: &str| {
        vec![to_bridge(policy), is(field(protocol, "type"), kind), drop()]
    };
    hooked(
        "output",
        "filter",
        FILTER,
        vec![
            rule("no redirects to guests, IPv4", redirect("icmp", "redirect")),
            rule(
                "no redirects to guests, IPv6",
                redirect("icmpv6", "nd-redirect"),
            ),
        ],
    )
}

/// Port 53 of the bridge's address is the port where names are served.
fn names(policy: &Policy) -> Vec<Rule> {
    let Some(port) = policy.dns_port().filter(|port| port.get() != 53) else {
        return Vec::new();
    };
    let subnet = policy.subnet();
    let redirected = |version: &str, address: String| {
        let [protocol, number] = to_port(53);
        let from = is(meta("iifname"), policy.bridge().as_str());
        vec![
            from,
            is(field(version, "daddr"), address),
            protocol,
            number,
            redirect(port),
        ]
    };
    vec![
        rule(
            "names at their usual port, IPv4",
            redirected("ip", subnet.gateway_v4().to_string()),
        ),
        rule(
            "names at their usual port, IPv6",
            redirected("ip6", subnet.gateway_v6().to_string()),
        ),
    ]
}

fn redirect(port: NonZeroU16) -> Json {
    object("redirect", object("port", i32::from(port.get())))
}

/// A UDP datagram or TCP segment to this port. Their ports stand at the same place.
fn to_port(port: u16) -> [Json; 2] {
    let protocols = any_of(vec!["tcp", "udp"]);
    [
        is(meta("l4proto"), protocols),
        is(field("th", "dport"), i32::from(port)),
    ]
}

fn masquerade(policy: &Policy) -> Vec<Rule> {
    let masked = |version: &str, set: &str| {
        vec![
            is(field(version, "saddr"), set),
            is_not(meta("oifname"), policy.bridge().as_str()),
            object("masquerade", Json::Null),
        ]
    };
    vec![
        rule("guests go out as the host, IPv4", masked("ip", "@nat4")),
        rule("guests go out as the host, IPv6", masked("ip6", "@nat6")),
    ]
}

/// Private networks by their members. A pair is two elements of a set that all pairs share; a larger
/// network has sets and rules of its own, since its pairs would be the square of its members.
struct Networks<'a>(BTreeMap<NetworkId, Vec<&'a Guest>>);

impl<'a> Networks<'a> {
    fn of(guests: &'a [Guest]) -> Self {
        let mut networks: BTreeMap<NetworkId, Vec<&Guest>> = BTreeMap::new();
        for guest in guests {
            for id in &guest.networks {
                networks.entry(*id).or_default().push(guest);
            }
        }
        networks.retain(|_, members| members.len() > 1);
        Self(networks)
    }

    fn larger(&self) -> impl Iterator<Item = (&NetworkId, &Vec<&'a Guest>)> {
        self.0.iter().filter(|(_, members)| members.len() > 2)
    }

    fn sets(&self, policy: &Policy) -> Vec<Set> {
        let subnet = policy.subnet();
        let v4 = |guest: &Guest| subnet.guest_v4(guest.host_part).to_string();
        let v6 = |guest: &Guest| subnet.guest_v6(guest.host_part).to_string();
        let mut pairs4 = Set::new("pairs4", &["ipv4_addr", "ipv4_addr"]);
        let mut pairs6 = Set::new("pairs6", &["ipv6_addr", "ipv6_addr"]);
        for members in self.0.values() {
            if let [a, b] = members.as_slice() {
                pairs4
                    .elements
                    .extend([vec![v4(a), v4(b)], vec![v4(b), v4(a)]]);
                pairs6
                    .elements
                    .extend([vec![v6(a), v6(b)], vec![v6(b), v6(a)]]);
            }
        }
        let mut sets = vec![pairs4, pairs6];
        for (id, members) in self.larger() {
            let mut set4 = Set::new(format!("network{id}_v4"), &["ipv4_addr"]);
            set4.elements
                .extend(members.iter().map(|guest| vec![v4(guest)]));
            let mut set6 = Set::new(format!("network{id}_v6"), &["ipv6_addr"]);
            set6.elements
                .extend(members.iter().map(|guest| vec![v6(guest)]));
            sets.extend([set4, set6]);
        }
        sets
    }

    fn rules(&self) -> Vec<Rule> {
        let both = |version: &str| joined(vec![field(version, "saddr"), field(version, "daddr")]);
        let mut rules = vec![
            rule(
                "two linked guests, IPv4",
                vec![is(both("ip"), "@pairs4"), accept()],
            ),
            rule(
                "two linked guests, IPv6",
                vec![is(both("ip6"), "@pairs6"), accept()],
            ),
        ];
        for (id, _) in self.larger() {
            for (version, suffix) in [("ip", "v4"), ("ip6", "v6")] {
                let set = format!("@network{id}_{suffix}");
                let members = ["saddr", "daddr"].map(|end| is(field(version, end), set.as_str()));
                let statements = members.into_iter().chain([accept()]).collect();
                rules.push(rule(format!("network {id}, {suffix}"), statements));
            }
        }
        rules.push(rule(
            "guests that share no network",
            vec![counter(), reject()],
        ));
        rules
    }
}
