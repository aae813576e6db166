//! Why the helper refused, before anything was done.

use super::PACKET_MAX;
use banger_model::host_names::{BridgeName, Installation};
use serde::{Deserialize, Serialize};

/// A refusal: nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Refusal {
    /// The peer is neither root nor the owner.
    #[error("user {uid} may not use this helper: it serves user {owner} and root")]
    Peer {
        /// The peer's user id.
        uid: u32,
        /// The owner's user id.
        owner: u32,
    },
    /// The packet is longer than any request.
    #[error("the request is longer than {PACKET_MAX} bytes")]
    TooLong {},
    /// The packet is not a request.
    #[error("the request cannot be read: {why}")]
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
    /// The two sides are of different versions.
    #[error(
        "the helper is version {helper}, the request is of {request}: restart the older of the two"
    )]
    Version {
        /// The helper's version.
        helper: String,
        /// The request's.
        request: String,
    },
    /// The request is for another installation's objects.
    #[error("this helper serves installation {helper}, not {request}")]
    Installation {
        /// The helper's installation.
        helper: Installation,
        /// The request's.
        request: Installation,
    },
    /// The request is for another bridge.
    #[error("this helper serves the bridge {helper}, not {request}")]
    Bridge {
        /// The helper's bridge.
        helper: BridgeName,
        /// The request's.
        request: BridgeName,
    },
    /// The IPv6 network is not the installation's.
    #[error("the subnet's IPv6 network does not belong to installation {helper}")]
    Subnet {
        /// The helper's installation.
        helper: Installation,
    },
    /// The request names nothing to act on.
    #[error("the request names no TAP")]
    Nothing {},
    /// An ordinary user's port is asked for with a number that only root may bind.
    #[error("names cannot be served at port {port}: give 1024 or more")]
    Port {
        /// What was given.
        port: u16,
    },
}
