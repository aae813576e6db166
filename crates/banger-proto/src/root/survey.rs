//! What of ours exists on the host, and what of the host concerns us.

use banger_model::host_names::{Installation, TapSlot};
use banger_model::policy::Digest;
use banger_model::subnet::{Cidr, Taken};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU16;

/// Everything that a plan has to know of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Survey {
    /// The interface with the bridge's name.
    pub bridge: Option<BridgeState>,
    /// Interfaces with the names of TAPs, by slot.
    pub taps: Vec<TapState>,
    /// Interfaces that begin like a TAP and are none of a slot, at most 64: the rules take them for
    /// TAPs without a guest.
    pub strays: Vec<String>,
    /// Tables with our name.
    pub policy: Option<PolicyState>,
    /// The host's forwarding.
    pub forwarding: ForwardingState,
    /// The entry at systemd-resolved.
    pub resolver: ResolverState,
    /// Where the default route leads.
    pub uplink: Option<Uplink>,
    /// Addresses and routes of the host, those of the bridge left out.
    pub taken: Vec<Taken>,
    /// Whether `taken` was too long and has been cut.
    pub taken_cut: bool,
}

/// Whether an object with our name is ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// It carries our mark.
    Ours,
    /// It carries the mark of another installation, this one where it is known.
    Foreign(Option<Installation>),
}

impl Whose {
    /// Whether it is ours.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        matches!(self, Self::Ours)
    }
}

/// The bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeState {
    /// Whose it is.
    pub whose: Whose,
    /// Its addresses, link-local ones left out.
    pub addresses: Vec<Cidr>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Whether it is up.
    pub up: bool,
    /// How many ports it has, of 1024.
    pub ports: u16,
}

/// A TAP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TapState {
    /// Which.
    pub slot: TapSlot,
    /// Whose it is.
    pub whose: Whose,
    /// Whether it is a port of the bridge.
    pub on_bridge: bool,
    /// Whether it is up.
    pub up: bool,
    /// Whether a process holds it open.
    pub in_use: bool,
    /// The user who may open it.
    pub owner: Option<u32>,
}

impl TapState {
    /// Whether a VMM of this owner could open it now and be heard.
    #[must_use]
    pub fn is_ready_for(&self, owner: u32) -> bool {
        self.whose.is_ours()
            && self.on_bridge
            && self.up
            && !self.in_use
            && self.owner == Some(owner)
    }
}

/// The rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyState {
    /// Whose they are.
    pub whose: Whose,
    /// Of which policy; none where the mark cannot be read.
    pub digest: Option<Digest>,
    /// What was changed since they were loaded; none when they are whole.
    pub changed: Option<String>,
}

/// Whether the host forwards packets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardingState {
    /// `net.ipv4.ip_forward`.
    pub ipv4: bool,
    /// Whether banger switched it on.
    pub ipv4_by_us: bool,
    /// `net.ipv6.conf.all.forwarding`; none where the host has no IPv6.
    pub ipv6: Option<bool>,
    /// Whether banger switched it on.
    pub ipv6_by_us: bool,
}

/// What systemd-resolved knows of the bridge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolverState {
    /// It is not there, or does not answer.
    #[default]
    Unavailable,
    /// Nothing.
    Unset,
    /// The server of `vm`, by the port of `127.0.0.1`.
    Set(NonZeroU16),
    /// Something that we did not set.
    Other,
}

/// Where the default route leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uplink {
    /// The interface's name.
    pub name: String,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its addresses.
    pub addresses: Vec<Cidr>,
}
