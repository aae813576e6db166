//! What the helper answers.

use super::{PathKind, Survey};
use banger_model::host_names::TapSlot;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The answer to a request that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// To `ping`.
    Pong {},
    /// To `survey`.
    Survey(Box<Survey>),
    /// To every verb that changes something: what it did, object by object.
    Changes(Vec<Change>),
    /// To `probe_path`.
    Path(PathReport),
}

/// What was done to one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The object.
    pub object: Object,
    /// What was done to it.
    pub did: Did,
}

/// Something of the host that banger makes or changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// The bridge with its addresses.
    Bridge,
    /// A TAP.
    Tap(TapSlot),
    /// The rules.
    Policy,
    /// The host's forwarding.
    Forwarding,
    /// The entry at systemd-resolved.
    Resolver,
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge => f.write_str("bridge"),
            Self::Tap(slot) => f.write_str(&slot.interface()),
            Self::Policy => f.write_str("policy"),
            Self::Forwarding => f.write_str("forwarding"),
            Self::Resolver => f.write_str("resolver"),
        }
    }
}

/// What was done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Did {
    /// It is there now.
    Made,
    /// It was there and is as it was asked for now.
    Adjusted,
    /// It is gone now.
    Removed,
    /// Nothing was to be done.
    WasSo,
    /// The host cannot have it: `resolvectl` is not installed or does not answer.
    Unavailable,
}

/// What became of a probe's packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathReport {
    /// Which way it was sent.
    pub kind: PathKind,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a probe's packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verdict {
    /// The host's rules let it through.
    Passed {},
    /// A rule, or a chain's policy, ended it.
    Dropped {
        /// The table's family: `ip`, `ip6`, `inet`, `bridge`, `netdev`.
        family: String,
        /// The table.
        table: String,
        /// The chain.
        chain: String,
        /// The rule as nft writes it; none where it was the chain's policy.
        rule: Option<String>,
        /// The chains of that table that it was sent through before, in order, at most 16: they tell
        /// whose the table is.
        through: Vec<String>,
        /// Whether the sender was told.
        rejected: bool,
    },
    /// No rule ended it, but it did not arrive either: the routing or a switch of the kernel.
    NotForwarded(Forwarded),
}

/// What the kernel's own switches say, where no rule was to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forwarded {
    /// The host has no route to the outside in this family.
    NoRoute,
    /// Forwarding is off for the bridge.
    SwitchedOff,
    /// It is not known why.
    Unknown,
}
