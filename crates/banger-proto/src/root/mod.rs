//! Daemon ↔ root helper: one request and one answer, each one packet of JSON.
//!
//! The socket is a Unix socket of type `SOCK_SEQPACKET`; a connection carries one request and one
//! answer. A packet of [`PACKET_MAX`] needs a send buffer of that size: set `SO_SNDBUF` to
//! [`SEND_BUFFER`] (the kernel doubles it; without, packets over 208 KiB are `EMSGSIZE`, socket(7)).
//!
//! *Age*: both sides have exactly the same version, or the helper refuses. Unknown fields are refused.
//! No request carries a name, a path or rule text: only ids, slots, addresses and policies, each
//! checked as it is read. *Every verb is idempotent* and answers what it changed.

mod answer;
mod frame;
mod refusal;
mod survey;
mod verb;

pub use crate::op::{BadOp, OpId};
pub use answer::{Answer, Change, Did, Forwarded, Object, PathReport, Verdict};
pub use frame::{BadFrame, Outcome, Reply, Request};
pub use refusal::Refusal;
pub use survey::{
    BridgeState, ForwardingState, PolicyState, ResolverState, Survey, TapState, Uplink, Whose,
};
pub use verb::{BadMtu, Mtu, PathKind, Slots, SlotsMax, Verb};

/// Longest packet in bytes, in either direction: the policy of 1000 guests fits.
pub const PACKET_MAX: usize = 256 * 1024;

/// What to set `SO_SNDBUF` to before sending: the most that an unprivileged process gets by default
/// (`net.core.wmem_max`), which the kernel doubles.
pub const SEND_BUFFER: usize = 212_992;

/// Most TAPs that are made or deleted by one request.
pub const BATCH_MAX: usize = 64;

/// Most ranges of addresses in a survey; a host with more says that it has cut the list.
pub const TAKEN_MAX: usize = 512;

#[cfg(test)]
mod t5;
#[cfg(test)]
mod tests;
