//! The table of family `bridge`: a guest is who it says it is, or it is not heard.
//!
//! It matches TAPs by the form of their name, not the bridge's: `meta ibrname` needs a kernel module
//! that not every kernel has, and a TAP without a guest must be as silent as one with a wrong guest.

use super::super::ruleset::{Rule, Set, Table};
use super::super::{Guest, Policy};
use super::statement::{hooked, rule};
use crate::host_names::{Mac, PROBE_TAP};
use crate::subnet::{HostPart, Subnet};

/// Before everything else (`NF_BR_PRI_NAT_DST_BRIDGED` is -300, linux/netfilter_bridge.h).
const FIRST: i32 = -300;
/// `NF_BR_PRI_FILTER_BRIDGED`.
const FILTER: i32 = -200;

/// One source that may speak.
struct Speaker {
    interface: String,
    mac: Mac,
    part: HostPart,
}

pub(in super::super) fn bridge(policy: &Policy) -> Table {
    Table {
        sets: sets(policy),
        chains: vec![
            hooked("prerouting", "filter", FIRST, prerouting()),
            hooked("input", "filter", FILTER, vec![from_nobody(), wrong_card()]),
            hooked(
                "forward",
                "filter",
                FILTER,
                vec![
                    rule(
                        "guests are no neighbours: from one",
                        r#"iifname "tap-fc-*" counter drop"#,
                    ),
                    rule(
                        "guests are no neighbours: to one",
                        r#"oifname "tap-fc-*" counter drop"#,
                    ),
                ],
            ),
        ],
    }
}

fn prerouting() -> Vec<Rule> {
    vec![
        from_nobody(),
        wrong_card(),
        rule(
            "ARP with a guest's own addresses",
            "iifname . arp saddr ether . arp saddr ip @guests4 accept",
        ),
        rule(
            "IPv4 with a guest's own addresses",
            "iifname . ether saddr . ip saddr @guests4 accept",
        ),
        // What a guest advertises is in the packet's body: 128 bits after the first 64 of the ICMPv6
        // header (RFC 4861, 4.4). Counted from the transport header, since headers may stand in between.
        rule(
            "a guest advertises its own address only",
            "icmpv6 type nd-neighbor-advert iifname . @th,64,128 @neighbours accept",
        ),
        rule(
            "a guest is no router",
            "icmpv6 type { nd-router-advert, nd-neighbor-advert, nd-redirect } counter drop",
        ),
        rule(
            "IPv6 with a guest's own addresses",
            "iifname . ether saddr . ip6 saddr @guests6 accept",
        ),
        rule(
            "link-local IPv6 finds neighbours only",
            "ip6 saddr { ::/128, fe80::/10 } \
             icmpv6 type { nd-router-solicit, nd-neighbor-solicit, mld2-listener-report } accept",
        ),
        rule("a guest with foreign addresses", "counter drop"),
    ]
}

/// A name in a rule matches by its beginning when it ends with an asterisk.
fn from_nobody() -> Rule {
    rule(
        "what comes from no guest",
        r#"iifname != "tap-fc-*" accept"#,
    )
}

/// Frames to a link-local group (`01:80:c2:00:00:0x`) pass no `prerouting`, and the bridge learns
/// from them: this rule stands in `input` too.
fn wrong_card() -> Rule {
    rule(
        "a guest with a foreign hardware address",
        "iifname . ether saddr != @cards counter drop",
    )
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

fn sets(policy: &Policy) -> Vec<Set> {
    let subnet = policy.subnet();
    let mut cards = Set::new("cards", "type ifname . ether_addr");
    let mut guests4 = Set::new("guests4", "type ifname . ether_addr . ipv4_addr");
    let mut guests6 = Set::new("guests6", "type ifname . ether_addr . ipv6_addr");
    let mut neighbours = Set::new("neighbours", "typeof iifname . @th,64,128");
    let speakers = policy.guests().iter().map(Speaker::from);
    for speaker in speakers.chain([Speaker::probe(subnet)]) {
        let (interface, mac) = (speaker.interface, speaker.mac.to_string());
        let (v4, v6) = (subnet.guest_v4(speaker.part), subnet.guest_v6(speaker.part));
        guests4.add([interface.clone(), mac.clone(), v4.to_string()]);
        guests6.add([interface.clone(), mac.clone(), v6.to_string()]);
        neighbours.add([interface.clone(), format!("0x{:032x}", v6.to_bits())]);
        cards.add([interface, mac]);
    }
    vec![cards, guests4, guests6, neighbours]
}
