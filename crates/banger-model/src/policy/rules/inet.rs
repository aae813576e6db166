//! The table of family `inet`: what guests reach. It concerns packets that come from the bridge or
//! go to it; the rest of the host passes.
//!
//! The way of a connection's own packets is checked for each of them, not only for the first: what
//! the policy no longer allows ends at once.

use super::super::ruleset::{Chain, Rule, Set, Table};
use super::super::{Guest, NetworkId, Policy};
use super::statement::{ANSWERS, REJECT, asked, hooked, rule};
use std::collections::BTreeMap;

/// `NF_IP_PRI_FILTER` (linux/netfilter_ipv4.h).
const FILTER: i32 = 0;
/// `NF_IP_PRI_NAT_DST`.
const NAT_DESTINATION: i32 = -100;
/// `NF_IP_PRI_NAT_SRC`.
const NAT_SOURCE: i32 = 100;

/// IPv4 that no guest gets out to: this network and host (RFC 1122), link-local with the metadata
/// services of clouds (RFC 3927), multicast (RFC 5771), reserved and broadcast (RFC 1112).
const CLOSED_V4: &str = "0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/4, 240.0.0.0/4";
/// IPv6 likewise: unspecified, loopback and IPv4-compatible, IPv4-mapped (RFC 4291), link-local,
/// site-local, multicast, and AWS's metadata service; and what a translator or a tunnel would make
/// closed IPv4 of again: NAT64 (RFC 6052) and 6to4 (RFC 3056).
const CLOSED_V6: &str = "::/96, ::ffff:0.0.0.0/96, fd00:ec2::/32, fe80::/10, fec0::/10, ff00::/8, \
    64:ff9b::/104, 64:ff9b::7f00:0/104, 64:ff9b::a9fe:0/112, 64:ff9b::e000:0/100, \
    64:ff9b::f000:0/100, 2002::/24, 2002:7f00::/24, 2002:a9fe::/32, 2002:e000::/20, 2002:f000::/20";
/// A UDP datagram or TCP segment. Their ports stand at the same place.
const TRANSPORT: &str = "meta l4proto { tcp, udp } th dport";

pub(in super::super) fn inet(policy: &Policy) -> Table {
    let networks = Networks::of(policy.guests());
    let mut sets = way_out(policy);
    sets.extend(networks.sets(policy));
    let from_bridge = format!("iifname \"{}\"", policy.bridge());
    let to_bridge = format!("oifname \"{}\"", policy.bridge());
    Table {
        sets,
        chains: vec![
            asked("between_guests", networks.rules()),
            asked("to_outside", to_outside()),
            asked("from_guest", from_guest(&to_bridge)),
            asked("to_guest", to_guest()),
            asked("to_host", to_host(policy)),
            hooked(
                "forward",
                "filter",
                FILTER,
                vec![
                    rule("from guests", format!("{from_bridge} goto from_guest")),
                    rule("to guests", format!("{to_bridge} goto to_guest")),
                ],
            ),
            hooked(
                "input",
                "filter",
                FILTER,
                vec![rule(
                    "from guests to the host",
                    format!("{from_bridge} goto to_host"),
                )],
            ),
            output(&to_bridge),
            hooked(
                "prerouting",
                "nat",
                NAT_DESTINATION,
                names(policy, &from_bridge),
            ),
            hooked("postrouting", "nat", NAT_SOURCE, masquerade(policy)),
        ],
    }
}

/// The addresses of guests that may go out, and of the probe.
fn way_out(policy: &Policy) -> Vec<Set> {
    let mut nat4 = Set::new("nat4", "type ipv4_addr");
    let mut nat6 = Set::new("nat6", "type ipv6_addr");
    let subnet = policy.subnet();
    let guests = policy.guests().iter().filter(|guest| guest.nat);
    let parts = guests.map(|guest| guest.host_part);
    for part in parts.chain([subnet.probe_part()]) {
        nat4.add([subnet.guest_v4(part).to_string()]);
        nat6.add([subnet.guest_v6(part).to_string()]);
    }
    vec![nat4, nat6]
}

fn from_guest(to_bridge: &str) -> Vec<Rule> {
    vec![
        rule(
            "to another guest",
            format!("{to_bridge} goto between_guests"),
        ),
        rule("to the outside over IPv4", "ip saddr @nat4 goto to_outside"),
        rule(
            "to the outside over IPv6",
            "ip6 saddr @nat6 goto to_outside",
        ),
        rule("a guest without a way out", REJECT),
    ]
}

fn to_outside() -> Vec<Rule> {
    vec![
        rule(
            "link-local and metadata addresses, IPv4",
            format!("ip daddr {{ {CLOSED_V4} }} {REJECT}"),
        ),
        rule(
            "link-local and metadata addresses, IPv6",
            format!("ip6 daddr {{ {CLOSED_V6} }} {REJECT}"),
        ),
        rule("a guest with a way out", "accept"),
    ]
}

fn to_guest() -> Vec<Rule> {
    vec![
        rule(
            "answers to a guest with a way out, IPv4",
            format!("{ANSWERS} ip daddr @nat4 accept"),
        ),
        rule(
            "answers to a guest with a way out, IPv6",
            format!("{ANSWERS} ip6 daddr @nat6 accept"),
        ),
        rule("nobody reaches a guest from outside", "counter drop"),
    ]
}

/// What guests reach of the host: answers to what the host began, its echo, its neighbour
/// discovery, names. Everything at the bridge's own address.
fn to_host(policy: &Policy) -> Vec<Rule> {
    let subnet = policy.subnet();
    let v4 = format!("ip daddr {}", subnet.gateway_v4());
    let v6 = format!("ip6 daddr {}", subnet.gateway_v6());
    let mut rules = vec![
        rule("answers to the host", format!("{ANSWERS} accept")),
        rule(
            "echo at the bridge, IPv4",
            format!("{v4} icmp type echo-request accept"),
        ),
        rule(
            "echo at the bridge, IPv6",
            format!("{v6} icmpv6 type echo-request accept"),
        ),
        rule(
            "neighbour discovery",
            "ip6 hoplimit 255 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
        ),
    ];
    if let Some(port) = policy.dns_port() {
        for (comment, address) in [("names, IPv4", v4), ("names, IPv6", v6)] {
            rules.push(rule(
                comment,
                format!("{address} {TRANSPORT} {port} accept"),
            ));
        }
    }
    rules.push(rule("guests reach nothing else of the host", REJECT));
    rules
}

/// The host must not tell guests to go another way: there is none, the bridge keeps them apart.
fn output(to_bridge: &str) -> Chain {
    hooked(
        "output",
        "filter",
        FILTER,
        vec![
            rule(
                "no redirects to guests, IPv4",
                format!("{to_bridge} icmp type redirect drop"),
            ),
            rule(
                "no redirects to guests, IPv6",
                format!("{to_bridge} icmpv6 type nd-redirect drop"),
            ),
        ],
    )
}

/// Port 53 of the bridge's address is the port where names are served.
fn names(policy: &Policy, from_bridge: &str) -> Vec<Rule> {
    let Some(port) = policy.dns_port().filter(|port| port.get() != 53) else {
        return Vec::new();
    };
    let subnet = policy.subnet();
    let redirected =
        |address: String| format!("{from_bridge} {address} {TRANSPORT} 53 redirect to :{port}");
    vec![
        rule(
            "names at their usual port, IPv4",
            redirected(format!("ip daddr {}", subnet.gateway_v4())),
        ),
        rule(
            "names at their usual port, IPv6",
            redirected(format!("ip6 daddr {}", subnet.gateway_v6())),
        ),
    ]
}

fn masquerade(policy: &Policy) -> Vec<Rule> {
    let masked = |from: &str| format!("{from} oifname != \"{}\" masquerade", policy.bridge());
    vec![
        rule("guests go out as the host, IPv4", masked("ip saddr @nat4")),
        rule("guests go out as the host, IPv6", masked("ip6 saddr @nat6")),
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
        let mut pairs4 = Set::new("pairs4", "type ipv4_addr . ipv4_addr");
        let mut pairs6 = Set::new("pairs6", "type ipv6_addr . ipv6_addr");
        for members in self.0.values() {
            if let [a, b] = members.as_slice() {
                for (one, other) in [(a, b), (b, a)] {
                    pairs4.add([v4(one), v4(other)]);
                    pairs6.add([v6(one), v6(other)]);
                }
            }
        }
        let mut sets = vec![pairs4, pairs6];
        for (id, members) in self.larger() {
            let mut set4 = Set::new(format!("network{id}_v4"), "type ipv4_addr");
            let mut set6 = Set::new(format!("network{id}_v6"), "type ipv6_addr");
            for guest in members {
                set4.add([v4(guest)]);
                set6.add([v6(guest)]);
            }
            sets.extend([set4, set6]);
        }
        sets
    }

    fn rules(&self) -> Vec<Rule> {
        let mut rules = vec![
            rule(
                "two linked guests, IPv4",
                "ip saddr . ip daddr @pairs4 accept",
            ),
            rule(
                "two linked guests, IPv6",
                "ip6 saddr . ip6 daddr @pairs6 accept",
            ),
        ];
        for (id, _) in self.larger() {
            for (version, suffix) in [("ip", "v4"), ("ip6", "v6")] {
                let set = format!("@network{id}_{suffix}");
                rules.push(rule(
                    format!("network {id}, {suffix}"),
                    format!("{version} saddr {set} {version} daddr {set} accept"),
                ));
            }
        }
        rules.push(rule("guests that share no network", REJECT));
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subnet::Cidr;
    use std::net::{IpAddr, Ipv6Addr};

    #[test]
    fn what_is_closed_over_ipv4_is_closed_in_each_disguise_that_ipv6_has_for_it() {
        let closed: Vec<&str> = CLOSED_V6.split(", ").collect();
        for network in CLOSED_V4.split(", ").map(|text| text.parse::<Cidr>()) {
            let network = network.expect("a network");
            let IpAddr::V4(v4) = network.address() else {
                panic!("{network}");
            };
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let nat64 = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low);
            let six_to_four = Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 0);
            for (address, before) in [(nat64, 96), (six_to_four, 16)] {
                let wanted = format!("{address}/{}", before + network.prefix());
                assert!(closed.contains(&wanted.as_str()), "{network}: {wanted}");
            }
        }
        let elsewhere: Cidr = "64:ff9b::cb00:7109/128".parse().expect("a network");
        for network in closed.iter().map(|text| text.parse::<Cidr>()) {
            let network = network.expect("a network");
            assert!(
                !network.overlaps(&elsewhere),
                "NAT64 is a way out: {network}"
            );
        }
    }
}
