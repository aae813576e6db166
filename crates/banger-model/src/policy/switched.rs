//! What of the host's forwarding banger switched on, as it is kept in the rules.

use super::ruleset::Set;
use super::skeleton::{Family, Skeleton};
use std::collections::BTreeSet;

/// What of the host's forwarding banger switched on, to be switched off again. It is kept in the
/// table itself, as elements of sets: whoever finds the rules finds it, whatever crashed in between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Switched {
    /// `net.ipv4.ip_forward` was 0.
    pub ipv4: bool,
    /// `net.ipv6.conf.all.forwarding` was 0.
    pub ipv6: bool,
    /// Interfaces whose `accept_ra` was 1 and is 2 now: with 1, a host that forwards stops
    /// listening to its own router (ip-sysctl, `accept_ra`). Names that nft does not take as they are
    /// are left out, see [`Self::can_name`].
    pub accept_ra: BTreeSet<String>,
}

impl Switched {
    const FORWARDING: &'static str = "forwarding_was_off";
    const ACCEPT_RA: &'static str = "accept_ra_was_1";
    /// The sets that it is kept in.
    pub(super) const SETS: [&'static str; 2] = [Self::FORWARDING, Self::ACCEPT_RA];
    const IPV4: &'static str = "ipv4";
    const IPV6: &'static str = "ipv6";

    /// Whether an interface's name stands in a set as it is: the kernel takes any byte but a few, nft
    /// takes a quote for the name's end and an asterisk for any name that begins so.
    #[must_use]
    pub fn can_name(interface: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@+=%~".contains(&byte);
        !interface.is_empty() && interface.bytes().all(plain)
    }

    /// What the skeleton of the loaded rules says of it.
    #[must_use]
    pub fn of(skeleton: &Skeleton) -> Self {
        let elements = |name| {
            let set = skeleton.elements(Family::Inet, name);
            set.into_iter().flatten().flatten()
        };
        let was_off = |version| elements(Self::FORWARDING).any(|found| found == version);
        Self {
            ipv4: was_off(Self::IPV4),
            ipv6: was_off(Self::IPV6),
            accept_ra: elements(Self::ACCEPT_RA).cloned().collect(),
        }
    }

    pub(super) fn sets(&self) -> [Set; 2] {
        let mut forwarding = Set::new(Self::FORWARDING, "type ifname");
        for (version, was_off) in [(Self::IPV4, self.ipv4), (Self::IPV6, self.ipv6)] {
            if was_off {
                forwarding.add([version.to_owned()]);
            }
        }
        let mut accept_ra = Set::new(Self::ACCEPT_RA, "type ifname");
        for name in self.accept_ra.iter().filter(|name| Self::can_name(name)) {
            accept_ra.add([name.clone()]);
        }
        [forwarding, accept_ra]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_end_a_text_or_match_others_are_not_kept() {
        for name in ["eth0", "wlp2s0.100", "br-lan", "veth@x", "a_b"] {
            assert!(Switched::can_name(name), "{name}");
        }
        for name in [
            "", "a\"b", "eth*", "a;b", "a\\b", "ü", "a b", "a\nb", "{x}", "$x", "#a",
        ] {
            assert!(!Switched::can_name(name), "{name}");
        }
        let odd = Switched {
            accept_ra: ["eth*".to_owned(), "eth0".to_owned()].into(),
            ..Switched::default()
        };
        let [_, kept] = odd.sets();
        assert_eq!(kept.elements(), &[vec!["eth0".to_owned()]].into());
    }
}
