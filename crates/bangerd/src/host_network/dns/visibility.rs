//! Who sees which names. The decision is the policy's; here it is data.

use banger_model::SandboxName;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The host itself: it sees everything.
    Host,
    /// Whoever has this address on the bridge. That no guest can use another's is the work of the
    /// anti-spoofing rules.
    Guest(IpAddr),
}

impl Asker {
    /// Who sent a packet from `peer` to our `local` address. The host is known by a loopback address,
    /// and by our own: a packet that comes from outside with one of these never gets past the
    /// kernel, which drops it as martian (ip-sysctl, `accept_local`, `route_localnet`).
    #[must_use]
    pub fn of(peer: SocketAddr, local: SocketAddr) -> Self {
        let peer = peer.ip().to_canonical();
        if peer.is_loopback() || peer == local.ip().to_canonical() {
            Self::Host
        } else {
            Self::Guest(peer)
        }
    }
}

/// For each guest's address the names that it sees beside its own.
///
/// A guest whose address has a record but is not in here sees itself only. An address that has
/// neither is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visibility(HashMap<IpAddr, HashSet<SandboxName>>);

impl Visibility {
    /// The names that an address sees; `None` when nothing is known of it.
    #[must_use]
    pub fn of(&self, asker: IpAddr) -> Option<&HashSet<SandboxName>> {
        self.0.get(&asker)
    }
}

/// An address that comes twice sees the names of both.
impl FromIterator<(IpAddr, HashSet<SandboxName>)> for Visibility {
    fn from_iter<I: IntoIterator<Item = (IpAddr, HashSet<SandboxName>)>>(pairs: I) -> Self {
        let mut all: HashMap<IpAddr, HashSet<SandboxName>> = HashMap::new();
        for (asker, names) in pairs {
            all.entry(asker.to_canonical()).or_default().extend(names);
        }
        Self(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(peer: &str, local: &str) -> Asker {
        Asker::of(peer.parse().expect(peer), local.parse().expect(local))
    }

    #[test]
    fn the_host_is_known_by_loopback_and_by_our_own_address() {
        assert_eq!(asker("127.0.0.1:9", "127.0.0.1:53"), Asker::Host);
        assert_eq!(asker("127.9.9.9:9", "127.0.0.1:53"), Asker::Host);
        assert_eq!(asker("[::ffff:127.0.0.1]:9", "[::1]:53"), Asker::Host);
        assert_eq!(asker("172.16.0.1:9", "172.16.0.1:53"), Asker::Host);
    }

    #[test]
    fn everybody_else_is_a_guest() {
        let guest = Asker::Guest(IpAddr::from([172, 16, 0, 2]));
        assert_eq!(asker("172.16.0.2:53", "172.16.0.1:53"), guest);
        assert_eq!(asker("[::ffff:172.16.0.2]:53", "172.16.0.1:53"), guest);
    }

    #[test]
    fn an_address_that_comes_twice_sees_the_names_of_both() {
        let names = |name: &str| HashSet::from([name.parse().expect(name)]);
        let address = IpAddr::from([10, 0, 0, 2]);
        let both: Visibility = [(address, names("a")), (address, names("b"))]
            .into_iter()
            .collect();
        assert_eq!(both.of(address).map(HashSet::len), Some(2));
        assert_eq!(both.of(IpAddr::from([10, 0, 0, 3])), None);
    }
}
