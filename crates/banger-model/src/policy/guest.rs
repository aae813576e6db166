//! One guest of a policy.

use crate::SandboxId;
use crate::host_names::{Mac, TapSlot};
use crate::subnet::HostPart;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The number of a private network. Its name is known to the daemon only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkId(pub u32);

impl fmt::Display for NetworkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A running guest: where it is, and what it may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guest {
    /// The sandbox, from which the guest's hardware address follows.
    pub id: SandboxId,
    /// The TAP that it sits at.
    pub slot: TapSlot,
    /// Its address in the subnet.
    pub host_part: HostPart,
    /// Whether it may reach what the host reaches.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nat: bool,
    /// The networks that it belongs to: two guests may talk if they share one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub networks: BTreeSet<NetworkId>,
}

impl Guest {
    /// Its hardware address.
    #[must_use]
    pub const fn mac(&self) -> Mac {
        Mac::of(&self.id)
    }
}
