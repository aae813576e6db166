//! The guests' subnet: its addresses, and choosing one that collides with nothing of the host.

mod choice;
mod cidr;
mod host_part;

pub use choice::{Collision, Taken, TakenBy, candidates, choose, collision};
pub use cidr::{BadCidr, Cidr};
pub use host_part::{BadHostPart, HostPart, lowest_free};

use crate::host_names::Installation;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 network of a private range (RFC 1918) with a prefix of 16 to 29, and an IPv6 /64 of the
/// unique local range (RFC 4193).
///
/// Host part 1 is the bridge, guests begin with 2, the highest is the firewall probe's. A /30 has
/// no room for all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Subnet {
    v4: Ipv4Addr,
    prefix: u8,
    v6: Ipv6Addr,
}

/// Why a subnet was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSubnet {
    /// The prefix leaves no room, or more than host parts can number.
    #[error("the prefix of a subnet is 16 to 29, not {given}")]
    Prefix {
        /// What was given.
        given: u8,
    },
    /// Bits are set behind the prefix.
    #[error("{given} is not the first address of its subnet")]
    HostBits {
        /// What was given.
        given: IpAddr,
    },
    /// The range belongs to others.
    #[error("{given} is not in a private range (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16)")]
    Public {
        /// What was given.
        given: Ipv4Addr,
    },
    /// Not a /64 of `fd00::/8` with subnet id 0.
    #[error("{given} is not a unique local /64 with subnet id 0")]
    NotLocal {
        /// What was given.
        given: String,
    },
}

impl Subnet {
    /// Length of the IPv6 prefix.
    pub const PREFIX_V6: u8 = 64;

    /// The IPv4 network, and the IPv6 network that follows from the installation: `fd`, the first 40
    /// bits of its id as the global id, subnet id 0.
    ///
    /// # Errors
    /// `BadSubnet` for a prefix or a network that a subnet cannot have.
    pub fn new(v4: Ipv4Addr, prefix: u8, installation: &Installation) -> Result<Self, BadSubnet> {
        Self::checked(v4, prefix, unique_local(installation))
    }

    fn checked(v4: Ipv4Addr, prefix: u8, v6: Ipv6Addr) -> Result<Self, BadSubnet> {
        if !(16..=29).contains(&prefix) {
            return Err(BadSubnet::Prefix { given: prefix });
        }
        if v4.to_bits().trailing_zeros() < 32 - u32::from(prefix) {
            return Err(BadSubnet::HostBits { given: v4.into() });
        }
        if !v4.is_private() {
            return Err(BadSubnet::Public { given: v4 });
        }
        // `fd`, 40 bits, then 16 bits of subnet id and 64 of host, all zero.
        if v6.octets().first() != Some(&0xfd) || v6.to_bits().trailing_zeros() < 80 {
            return Err(BadSubnet::NotLocal {
                given: v6.to_string(),
            });
        }
        Ok(Self { v4, prefix, v6 })
    }

    /// Whether the IPv6 network is this installation's.
    #[must_use]
    pub fn belongs_to(&self, installation: &Installation) -> bool {
        self.v6 == unique_local(installation)
    }

    /// The IPv4 network.
    #[must_use]
    pub const fn v4(&self) -> Cidr {
        Cidr::new_unchecked(IpAddr::V4(self.v4), self.prefix)
    }

    /// The IPv6 network.
    #[must_use]
    pub const fn v6(&self) -> Cidr {
        Cidr::new_unchecked(IpAddr::V6(self.v6), Self::PREFIX_V6)
    }

    /// Length of the IPv4 prefix.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The bridge's IPv4 address, the guests' gateway.
    #[must_use]
    pub const fn gateway_v4(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.v4.to_bits() | 1)
    }

    /// The bridge's IPv6 address, the guests' gateway.
    #[must_use]
    pub const fn gateway_v6(&self) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.v6.to_bits() | 1)
    }

    /// A guest's IPv4 address.
    #[must_use]
    pub fn guest_v4(&self, part: HostPart) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.v4.to_bits() | u32::from(part.get()))
    }

    /// A guest's IPv6 address.
    #[must_use]
    pub fn guest_v6(&self, part: HostPart) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.v6.to_bits() | u128::from(part.get()))
    }

    /// The highest host part, which the firewall probe's throw-away guest has.
    #[must_use]
    pub const fn probe_part(&self) -> HostPart {
        HostPart::highest(self.prefix)
    }

    /// Whether a guest may have this host part: 2 up to the one below the probe's.
    #[must_use]
    pub fn has_room_for(&self, part: HostPart) -> bool {
        part < self.probe_part()
    }

    /// How many guests it can address.
    #[must_use]
    pub const fn guests(&self) -> u16 {
        self.probe_part().get() - 2
    }
}

/// `fd`, 40 bits of the installation's id, subnet id 0.
fn unique_local(installation: &Installation) -> Ipv6Addr {
    let [a, b, c, d, e, ..] = *installation.as_bytes();
    Ipv6Addr::from([0xfd, a, b, c, d, e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}", self.v4(), self.v6())
    }
}

/// How a subnet is written: `{"v4": "172.16.0.0/24", "v6": "fd00:1:2::/64"}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v4: Cidr,
    v6: Cidr,
}

impl TryFrom<Wire> for Subnet {
    type Error = BadSubnet;
    fn try_from(wire: Wire) -> Result<Self, BadSubnet> {
        match (wire.v4.address(), wire.v6.address()) {
            (IpAddr::V4(v4), IpAddr::V6(v6)) if wire.v6.prefix() == Self::PREFIX_V6 => {
                Self::checked(v4, wire.v4.prefix(), v6)
            }
            _ => Err(BadSubnet::NotLocal {
                given: format!("{} and {}", wire.v4, wire.v6),
            }),
        }
    }
}

impl From<Subnet> for Wire {
    fn from(subnet: Subnet) -> Self {
        Self {
            v4: subnet.v4(),
            v6: subnet.v6(),
        }
    }
}

#[cfg(test)]
mod tests;
