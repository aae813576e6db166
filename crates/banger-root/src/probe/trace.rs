//! Reading nft's trace: one line for each thing that happened to a packet.
//!
//! `trace id 5b6c9d0e inet filter FORWARD rule counter drop (verdict drop)`, and `… policy drop` for a
//! chain that ended without a verdict (nft(8), `monitor`).

use super::Ends;
use banger_proto::root::Verdict;
use std::collections::BTreeSet;

/// The chain where a packet to the outside ends that nothing has held up.
pub(super) const OUT: &str = "arrived_out";
/// The chain where a packet to the host ends likewise.
pub(super) const IN: &str = "arrived_in";
/// What follows a rule that ended the packet.
const DROPPED: &str = "(verdict drop)";
/// What follows a rule that sent the packet to another chain, before that chain's name.
const JUMPS: [&str; 2] = ["(verdict jump ", "(verdict goto "];
/// Most chains that are told.
const THROUGH_MAX: usize = 16;
/// Longest text of a rule that is told.
const RULE_MAX: usize = 300;

/// What the trace has said so far of the probe's packet.
#[derive(Debug)]
pub(crate) struct Trace {
    table: String,
    /// How nft writes that a packet is the probe's: `saddr 172.16.0.254 `.
    source: String,
    /// The numbers that the trace has given to our packet: another at every hook.
    ids: BTreeSet<String>,
    /// Family, table and name of each chain that it was sent through.
    through: Vec<[String; 3]>,
    end: Option<Verdict>,
}

impl Trace {
    /// A trace of which nothing is known, with the name of the probe's own table.
    pub(crate) fn new(table: String, ends: &Ends) -> Self {
        Self {
            table,
            source: format!(" saddr {} ", ends.guest()),
            ids: BTreeSet::new(),
            through: Vec::new(),
            end: None,
        }
    }

    /// Takes a line; true when it says how the packet ended.
    pub(crate) fn take(&mut self, line: &str) -> bool {
        let Some(event) = Event::parse(line) else {
            return false;
        };
        if event.rest.starts_with("packet: ") && event.rest.contains(&self.source) {
            self.ids.insert(event.id.to_owned());
        }
        // Others trace too.
        if !self.ids.contains(event.id) {
            return false;
        }
        if !event.ends_packet() {
            self.through.extend(event.jump());
            return false;
        }
        let arrived = event.table == self.table && matches!(event.chain, OUT | IN);
        self.end = Some(if arrived {
            Verdict::Passed {}
        } else {
            event.dropped(&self.through)
        });
        true
    }

    /// How the packet ended; none when the trace did not say.
    pub(crate) fn end(self) -> Option<Verdict> {
        self.end
    }
}

struct Event<'l> {
    id: &'l str,
    family: &'l str,
    table: &'l str,
    chain: &'l str,
    /// `rule …`, `verdict …`, `policy …`, `packet: …`.
    rest: &'l str,
}

impl<'l> Event<'l> {
    fn parse(line: &'l str) -> Option<Self> {
        let mut words = line.trim().strip_prefix("trace id ")?.splitn(5, ' ');
        Some(Self {
            id: words.next()?,
            family: words.next()?,
            table: words.next()?,
            chain: words.next()?,
            rest: words.next()?,
        })
    }

    fn ends_packet(&self) -> bool {
        self.rule().is_some_and(|rule| rule.ends_with(DROPPED))
            || self.rest.starts_with("policy drop")
    }

    /// The rule that the packet came to; one that was loaded after the trace began is a number only.
    fn rule(&self) -> Option<&str> {
        let known = self.rest.strip_prefix("rule ");
        known.or_else(|| self.rest.strip_prefix("unknown "))
    }

    /// The chain that the packet is sent to.
    fn jump(&self) -> Option<[String; 3]> {
        let rule = self.rule()?.strip_suffix(')')?;
        let (_, chain) = JUMPS.iter().find_map(|jump| rule.rsplit_once(jump))?;
        Some([self.family, self.table, chain].map(|name| name.chars().take(RULE_MAX).collect()))
    }

    fn dropped(&self, through: &[[String; 3]]) -> Verdict {
        let of_table = through
            .iter()
            .filter(|[family, table, _]| family == self.family && table == self.table);
        let through = of_table.map(|[_, _, chain]| chain.clone());
        let rule = self
            .rule()
            .map(|rule| rule.trim_end_matches(DROPPED).trim());
        Verdict::Dropped {
            family: self.family.to_owned(),
            table: self.table.to_owned(),
            chain: self.chain.to_owned(),
            rule: rule.map(|rule| rule.chars().take(RULE_MAX).collect()),
            through: through.take(THROUGH_MAX).collect(),
            rejected: rule.is_some_and(|rule| rule.contains("reject")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_model::host_names::Installation;
    use banger_model::subnet::Subnet;
    use banger_proto::root::PathKind;

    fn end(lines: &[&str]) -> Option<Verdict> {
        let installation = Installation::from_random([1; 8]);
        let subnet = Subnet::new([172, 16, 0, 0].into(), 24, &installation).unwrap();
        let ends = Ends::of(PathKind::OutIpv4, &subnet);
        let mut trace = Trace::new("banger_probe_x".to_owned(), &ends);
        let _ended = lines.iter().any(|line| trace.take(line));
        trace.end()
    }

    const SENT: &str = "trace id 1 inet banger_probe_x sent packet: iif \"br-fc\" ip saddr 172.16.0.254 ip daddr 1.1.1.1 tcp dport 443";
    const MARKED: &str = "trace id 1 inet banger_probe_x sent rule ip saddr 172.16.0.254 meta nftrace set 1 (verdict continue)";
    /// At another hook the packet has another number.
    const FORWARDED: &str = "trace id 2 ip filter FORWARD packet: iif \"br-fc\" oif \"eth0\" ip saddr 172.16.0.254 ip daddr 1.1.1.1";

    #[test]
    fn a_packet_that_came_to_the_last_chain_has_passed() {
        for rule in ["rule ip saddr 172.16.0.254 drop", "unknown rule handle 5"] {
            let arrived =
                format!("trace id 2 inet banger_probe_x arrived_out {rule} (verdict drop)");
            assert_eq!(
                end(&[SENT, MARKED, FORWARDED, &arrived]),
                Some(Verdict::Passed {})
            );
        }
    }

    #[test]
    fn the_rule_that_ended_it_is_named() {
        let rule = "trace id 2 inet firewalld filter_FORWARD rule reject with icmpx admin-prohibited (verdict drop)";
        let dropped = Verdict::Dropped {
            family: "inet".to_owned(),
            table: "firewalld".to_owned(),
            chain: "filter_FORWARD".to_owned(),
            rule: Some("reject with icmpx admin-prohibited".to_owned()),
            through: vec![],
            rejected: true,
        };
        assert_eq!(end(&[SENT, FORWARDED, rule]), Some(dropped));
    }

    #[test]
    fn the_policy_that_ended_it_is_named() {
        let dropped = Verdict::Dropped {
            family: "ip".to_owned(),
            table: "filter".to_owned(),
            chain: "FORWARD".to_owned(),
            rule: None,
            through: vec!["DOCKER-USER".to_owned(), "mine".to_owned()],
            rejected: false,
        };
        let lines = [
            SENT,
            FORWARDED,
            "trace id 2 inet other forward rule jump theirs (verdict jump theirs)",
            "trace id 2 ip filter FORWARD rule counter jump DOCKER-USER (verdict jump DOCKER-USER)",
            "trace id 9 ip filter FORWARD rule counter jump others (verdict jump others)",
            "trace id 2 ip filter DOCKER-USER rule goto mine (verdict goto mine)",
            "trace id 2 ip filter FORWARD policy drop ",
        ];
        assert_eq!(end(&lines), Some(dropped));
    }

    #[test]
    fn other_packets_and_other_lines_decide_nothing() {
        let lines = [
            "trace id 3 ip filter FORWARD policy drop",
            "trace id 3 ip filter FORWARD packet: iif \"br-fc\" ip saddr 172.16.0.25 ip daddr 1.1.1.1",
            SENT,
            "trace id 3 ip filter FORWARD policy drop",
            FORWARDED,
            "trace id 2 ip filter FORWARD verdict continue",
            "trace id 2 ip filter FORWARD policy accept",
            "trace id 2 ip filter FORWARD rule counter jump DOCKER-USER (verdict jump DOCKER-USER)",
            "",
            "trace",
            "trace id",
            "trace id 2 ip filter",
        ];
        assert_eq!(end(&lines), None);
    }

    #[test]
    fn a_long_rule_is_cut() {
        let rule = format!(
            "trace id 2 ip filter FORWARD rule {} (verdict drop)",
            "x".repeat(5000)
        );
        let Some(Verdict::Dropped {
            rule: Some(rule), ..
        }) = end(&[FORWARDED, &rule])
        else {
            panic!("it ended there");
        };
        assert_eq!(rule.len(), RULE_MAX);
    }
}
