//! What the helper can be asked for: twelve verbs, each with its inverse.

use super::BATCH_MAX;
use banger_model::host_names::TapSlot;
use banger_model::policy::Policy;
use banger_model::subnet::Subnet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::num::NonZeroU16;

/// A request's verb, with everything that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verb {
    /// Answers, and does nothing: who is there, of which version.
    Ping {},
    /// What of ours exists, and what of the host concerns us.
    Survey {},
    /// Removes what is ours and is not named here. A TAP that a VMM holds open is removed too: who
    /// is in `live` is the caller's to know.
    Sweep {
        /// The TAPs that stay.
        live: Slots<{ TapSlot::MAX as usize }>,
        /// Whether the bridge stays.
        bridge: bool,
        /// Whether policy and resolver stay.
        policy: bool,
    },
    /// Makes the bridge, or makes ours as it is asked for. Inverse: `remove_bridge`.
    EnsureBridge {
        /// Its subnet: the bridge has the first address of each family.
        subnet: Subnet,
        /// Its MTU.
        mtu: Mtu,
    },
    /// Removes the bridge; refused while it has ports.
    RemoveBridge {},
    /// Makes TAPs on the bridge. Inverse: `delete_taps`.
    MakeTaps {
        /// Which.
        slots: Slots<BATCH_MAX>,
    },
    /// Deletes TAPs, in use or not.
    DeleteTaps {
        /// Which.
        slots: Slots<BATCH_MAX>,
    },
    /// Replaces all rules by those of this policy. Inverse: `clear_policy`.
    SetPolicy {
        /// The whole policy.
        policy: Policy,
    },
    /// Removes all rules, and switches off the forwarding that was switched on for them.
    ClearPolicy {},
    /// Asks systemd-resolved to resolve `vm` at the daemon. Inverse: `clear_resolver`.
    SetResolver {
        /// The port of `127.0.0.1` at which the daemon serves names.
        dns_port: NonZeroU16,
    },
    /// Takes that back.
    ClearResolver {},
    /// Sends a packet as a guest through the host's rules, and says what becomes of it.
    ProbePath {
        /// Which way.
        kind: PathKind,
    },
}

impl Verb {
    /// Its name, as it is written in a request and in the log.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ping {} => "ping",
            Self::Survey {} => "survey",
            Self::Sweep { .. } => "sweep",
            Self::EnsureBridge { .. } => "ensure_bridge",
            Self::RemoveBridge {} => "remove_bridge",
            Self::MakeTaps { .. } => "make_taps",
            Self::DeleteTaps { .. } => "delete_taps",
            Self::SetPolicy { .. } => "set_policy",
            Self::ClearPolicy {} => "clear_policy",
            Self::SetResolver { .. } => "set_resolver",
            Self::ClearResolver {} => "clear_resolver",
            Self::ProbePath { .. } => "probe_path",
        }
    }
}

/// The way of a probe's packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathKind {
    /// From a guest to the outside, IPv4.
    OutIpv4,
    /// From a guest to the outside, IPv6.
    OutIpv6,
    /// From a guest to the bridge's address, where names are served, IPv4.
    HostIpv4,
    /// The same for IPv6.
    HostIpv6,
}

impl PathKind {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::OutIpv4, Self::OutIpv6, Self::HostIpv4, Self::HostIpv6];

    /// Whether it leads through the host.
    #[must_use]
    pub const fn is_out(self) -> bool {
        matches!(self, Self::OutIpv4 | Self::OutIpv6)
    }
}

/// Largest number of bytes of a packet on the bridge: 1280 (the least that IPv6 allows, RFC 8200) to
/// 65535 (`ETH_MAX_MTU`, linux/if_ether.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Mtu(u16);

/// The number is not 1280 to 65535.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an MTU is 1280 to 65535, not {given}")]
pub struct BadMtu {
    /// What was given.
    given: u16,
}

impl Mtu {
    /// The least that IPv6 allows.
    pub const LEAST: Self = Self(1280);

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Mtu {
    type Error = BadMtu;
    fn try_from(given: u16) -> Result<Self, BadMtu> {
        if given < 1280 {
            return Err(BadMtu { given });
        }
        Ok(Self(given))
    }
}

impl From<Mtu> for u16 {
    fn from(mtu: Mtu) -> Self {
        mtu.0
    }
}

/// Slots, each once, at most `MAX` of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeSet<TapSlot>", into = "BTreeSet<TapSlot>")]
pub struct Slots<const MAX: usize>(BTreeSet<TapSlot>);

/// More slots than a request may name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given} TAPs are too many for one request, {most} are allowed")]
pub struct SlotsMax {
    given: usize,
    most: usize,
}

impl<const MAX: usize> Slots<MAX> {
    /// The slots, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = TapSlot> + '_ {
        self.0.iter().copied()
    }

    /// Whether the slot is among them.
    #[must_use]
    pub fn contains(&self, slot: TapSlot) -> bool {
        self.0.contains(&slot)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<const MAX: usize> TryFrom<BTreeSet<TapSlot>> for Slots<MAX> {
    type Error = SlotsMax;
    fn try_from(slots: BTreeSet<TapSlot>) -> Result<Self, SlotsMax> {
        if slots.len() > MAX {
            return Err(SlotsMax {
                given: slots.len(),
                most: MAX,
            });
        }
        Ok(Self(slots))
    }
}

impl<const MAX: usize> From<Slots<MAX>> for BTreeSet<TapSlot> {
    fn from(slots: Slots<MAX>) -> Self {
        slots.0
    }
}
