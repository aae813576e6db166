//! Who may talk to whom, as data, and its rendering as nftables rules.
//!
//! A guest reaches the bridge's address for names and echo, and nothing else: no other address of
//! the host, no other guest, no link-local or metadata address. `nat` opens the way out; two guests
//! that share a network may talk to each other. Both sides of the wire can compute the rendering, so
//! that only the data crosses it.

mod digest;
mod guest;
pub mod membership;
mod rules;
mod ruleset;
mod skeleton;
mod switched;

pub use digest::Digest;
pub use guest::{Guest, NetworkId};
pub use ruleset::{Listed, Mark, Ruleset, removal};
pub use skeleton::{ChainSkeleton, Family, Hook, Skeleton};
pub use switched::Switched;

use crate::host_names::{BridgeName, Installation};
use crate::subnet::Subnet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::num::NonZeroU16;

/// Most guests of one policy: one for each TAP.
pub const GUESTS_MAX: usize = crate::host_names::TapSlot::MAX as usize;

/// Most memberships of guests in networks, over all guests. Together with [`GUESTS_MAX`] it keeps a
/// policy within one packet.
pub const MEMBERSHIPS_MAX: usize = 8000;

/// The whole policy of one installation. Its guests differ in id, hardware address, slot and address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Policy {
    wire: Wire,
}

/// What a policy consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    installation: Installation,
    bridge: BridgeName,
    subnet: Subnet,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dns_port: Option<NonZeroU16>,
    guests: Vec<Guest>,
}

/// Why a policy was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPolicy {
    /// More guests than there are TAPs.
    #[error("a policy has at most {GUESTS_MAX} guests, not {given}")]
    TooManyGuests {
        /// How many were given.
        given: usize,
    },
    /// More memberships than fit.
    #[error("guests belong to networks at most {MEMBERSHIPS_MAX} times, not {given}")]
    TooManyMemberships {
        /// How many were given.
        given: usize,
    },
    /// Two guests share what only one may have.
    #[error("two guests of a policy have the same {what}: {value}")]
    Shared {
        /// What they share.
        what: &'static str,
        /// Its value.
        value: String,
    },
    /// The address lies outside of the subnet, or is the probe's.
    #[error("host part {part} is not a guest's in {subnet}")]
    OutsideSubnet {
        /// The host part.
        part: u16,
        /// The subnet.
        subnet: Subnet,
    },
    /// The IPv6 network is of another installation.
    #[error("the IPv6 network of {subnet} does not belong to installation {installation}")]
    ForeignSubnet {
        /// The subnet.
        subnet: Subnet,
        /// The policy's installation.
        installation: Installation,
    },
}

impl Policy {
    /// A policy; the order of the guests does not matter.
    ///
    /// # Errors
    /// `BadPolicy` where guests are too many, share what they must not, or lie outside of the subnet.
    pub fn new(
        installation: Installation,
        bridge: BridgeName,
        subnet: Subnet,
        dns_port: Option<NonZeroU16>,
        guests: Vec<Guest>,
    ) -> Result<Self, BadPolicy> {
        Self::try_from(Wire {
            installation,
            bridge,
            subnet,
            dns_port,
            guests,
        })
    }

    /// Whose it is.
    #[must_use]
    pub const fn installation(&self) -> Installation {
        self.wire.installation
    }

    /// The bridge that it is for.
    #[must_use]
    pub const fn bridge(&self) -> &BridgeName {
        &self.wire.bridge
    }

    /// The guests' subnet.
    #[must_use]
    pub const fn subnet(&self) -> &Subnet {
        &self.wire.subnet
    }

    /// The port of the bridge's address at which names are served; none closes it.
    #[must_use]
    pub const fn dns_port(&self) -> Option<NonZeroU16> {
        self.wire.dns_port
    }

    /// The guests, by slot.
    #[must_use]
    pub fn guests(&self) -> &[Guest] {
        &self.wire.guests
    }

    /// Whether some guest may go out: the host has to forward IPv4 then.
    #[must_use]
    pub fn wants_nat(&self) -> bool {
        self.guests().iter().any(|guest| guest.nat)
    }

    /// Whether the host has to forward IPv6: for the way out, and between guests, because before
    /// Linux 6.17 IPv6 forwarding has no switch of the bridge alone.
    #[must_use]
    pub fn wants_ipv6_forwarding(&self) -> bool {
        self.wants_nat() || self.guests().iter().any(|guest| !guest.networks.is_empty())
    }

    /// What tells this policy from any other, whatever the host's state.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let rules = Ruleset::new(self, &Switched::default());
        rules.mark().policy(&rules.skeleton())
    }
}

impl TryFrom<Wire> for Policy {
    type Error = BadPolicy;

    fn try_from(mut wire: Wire) -> Result<Self, BadPolicy> {
        let guests = &mut wire.guests;
        if guests.len() > GUESTS_MAX {
            return Err(BadPolicy::TooManyGuests {
                given: guests.len(),
            });
        }
        let memberships = guests.iter().map(|guest| guest.networks.len()).sum();
        if memberships > MEMBERSHIPS_MAX {
            return Err(BadPolicy::TooManyMemberships { given: memberships });
        }
        if !wire.subnet.belongs_to(&wire.installation) {
            return Err(BadPolicy::ForeignSubnet {
                subnet: wire.subnet,
                installation: wire.installation,
            });
        }
        if let Some(guest) = guests
            .iter()
            .find(|guest| !wire.subnet.has_room_for(guest.host_part))
        {
            return Err(BadPolicy::OutsideSubnet {
                part: guest.host_part.get(),
                subnet: wire.subnet,
            });
        }
        // The hardware address follows from the id, but two ids may have the same.
        all_differ("hardware address", guests, Guest::mac)?;
        all_differ("TAP", guests, |guest| guest.slot)?;
        all_differ("host part", guests, |guest| guest.host_part)?;
        guests.sort_by_key(|guest| guest.slot);
        Ok(Self { wire })
    }
}

impl From<Policy> for Wire {
    fn from(policy: Policy) -> Self {
        policy.wire
    }
}

fn all_differ<T: Ord + Copy + std::fmt::Display>(
    what: &'static str,
    guests: &[Guest],
    of: impl Fn(&Guest) -> T,
) -> Result<(), BadPolicy> {
    let mut seen = BTreeSet::new();
    let repeated = guests.iter().map(of).find(|value| !seen.insert(*value));
    repeated.map_or(Ok(()), |value| {
        Err(BadPolicy::Shared {
            what,
            value: value.to_string(),
        })
    })
}

#[cfg(test)]
mod snapshot_tests;
#[cfg(test)]
mod tests;
