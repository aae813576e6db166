//! Choosing a subnet that collides with nothing of the host.

use super::{Cidr, Subnet};
use crate::host_names::{BridgeName, Installation};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What takes a range of addresses on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakenBy {
    /// An interface's address, with the prefix of its network.
    Address,
    /// A route.
    Route,
}

/// A range of addresses that the host uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// The range.
    pub range: Cidr,
    /// What takes it.
    pub by: TakenBy,
    /// The interface's name; empty for a route without one (blackhole, unreachable).
    pub device: String,
}

impl Taken {
    /// Whether a subnet must keep off it. Routes for (half of) everything do not count, since
    /// they are where everything else goes: the default route, and its halves that VPN clients
    /// add. What is on the bridge itself is ours.
    fn counts(&self, bridge: &BridgeName) -> bool {
        let catches_all = self.by == TakenBy::Route && self.range.prefix() <= 1;
        !catches_all && self.device != bridge.as_str()
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.by {
            TakenBy::Address => "the address",
            TakenBy::Route => "the route",
        };
        if self.device.is_empty() {
            write!(f, "{what} {}", self.range)
        } else {
            write!(f, "{what} {} of {}", self.range, self.device)
        }
    }
}

/// A subnet collides with something of the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the subnet {subnet} collides with {with}")]
pub struct Collision {
    /// The subnet.
    pub subnet: Subnet,
    /// What it collides with.
    pub with: Taken,
}

/// What the subnet collides with, if anything.
#[must_use]
pub fn collision(subnet: &Subnet, taken: &[Taken], bridge: &BridgeName) -> Option<Collision> {
    let with = taken.iter().find(|taken| {
        taken.counts(bridge)
            && (taken.range.overlaps(&subnet.v4()) || taken.range.overlaps(&subnet.v6()))
    })?;
    Some(Collision {
        subnet: *subnet,
        with: with.clone(),
    })
}

/// The subnets that are tried when nothing was configured, in order: `172.16.0.0/24` to
/// `172.16.255.0/24`, `10.213.0.0/24` to `10.213.255.0/24`, `192.168.100.0/24` to
/// `192.168.254.0/24`. Docker's own choice begins at `172.17.0.0`.
pub fn candidates(installation: &Installation) -> impl Iterator<Item = Subnet> {
    let first = (0..=255).map(|x| [172, 16, x, 0]);
    let then = (0..=255).map(|x| [10, 213, x, 0]);
    let last = (100..=254).map(|x| [192, 168, x, 0]);
    let networks = first.chain(then).chain(last);
    networks.filter_map(|network| Subnet::new(network.into(), 24, installation).ok())
}

/// The first candidate that collides with nothing.
///
/// # Errors
/// The last candidate's collision when all of them collide, or none where there is no candidate.
pub fn choose(
    candidates: impl IntoIterator<Item = Subnet>,
    taken: &[Taken],
    bridge: &BridgeName,
) -> Result<Subnet, Option<Collision>> {
    let mut last = None;
    for candidate in candidates {
        match collision(&candidate, taken, bridge) {
            None => return Ok(candidate),
            found => last = found,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(range: &str, by: TakenBy, device: &str) -> Taken {
        Taken {
            range: range.parse().unwrap(),
            by,
            device: device.to_owned(),
        }
    }

    fn chosen(taken: &[Taken]) -> Result<String, Option<Collision>> {
        let installation = Installation::from_random([7; 8]);
        choose(candidates(&installation), taken, &BridgeName::default())
            .map(|subnet| subnet.v4().to_string())
    }

    #[test]
    fn the_default_is_taken_where_nothing_collides() {
        let host = [
            taken("0.0.0.0/0", TakenBy::Route, "eth0"),
            taken("::/0", TakenBy::Route, "eth0"),
            taken("128.0.0.0/1", TakenBy::Route, "tun0"),
            taken("192.168.1.7/24", TakenBy::Address, "eth0"),
            taken("172.16.0.1/24", TakenBy::Address, "br-fc"),
            taken("172.16.0.0/24", TakenBy::Route, "br-fc"),
        ];
        assert_eq!(chosen(&host).as_deref(), Ok("172.16.0.0/24"));
    }

    #[test]
    fn the_next_free_candidate_is_taken_where_something_collides() {
        let route = taken("172.16.0.0/23", TakenBy::Route, "eth0");
        assert_eq!(chosen(&[route]).as_deref(), Ok("172.16.2.0/24"));
        let vpn = taken("172.16.0.0/12", TakenBy::Route, "wg0");
        assert_eq!(
            chosen(std::slice::from_ref(&vpn)).as_deref(),
            Ok("10.213.0.0/24")
        );
        let office = taken("10.0.0.0/8", TakenBy::Route, "eth0");
        assert_eq!(chosen(&[vpn, office]).as_deref(), Ok("192.168.100.0/24"));
    }

    #[test]
    fn a_host_without_room_is_told_what_collides() {
        let host = [
            taken("172.16.0.0/12", TakenBy::Route, "wg0"),
            taken("10.0.0.0/8", TakenBy::Route, ""),
            taken("192.168.0.0/16", TakenBy::Address, "eth0"),
        ];
        let collision = chosen(&host).unwrap_err().unwrap();
        assert!(
            collision
                .to_string()
                .ends_with("collides with the address 192.168.0.0/16 of eth0")
        );
        assert_eq!(choose([], &host, &BridgeName::default()), Err(None));
    }

    #[test]
    fn a_second_bridge_on_the_same_subnet_collides_in_either_family() {
        let installation = Installation::from_random([7; 8]);
        let subnet = Subnet::new([172, 16, 0, 0].into(), 24, &installation).unwrap();
        for range in ["172.16.0.1/24", "fd07:707:707::1/64"] {
            let other = [taken(range, TakenBy::Address, "br-fc-2")];
            assert!(
                collision(&subnet, &other, &BridgeName::default()).is_some(),
                "{range}"
            );
        }
    }
}
