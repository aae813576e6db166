//! What crosses a socket, each contract with its age rule.
//!
//! - [`owner`]: command line ↔ daemon, HTTP and JSON. The daemon serves one older minor; unknown
//!   fields are ignored.
//! - [`guest`]: daemon ↔ agent, frames over one duplex byte stream. The new side adapts: a running
//!   guest keeps the agent that it was born with.
//! - [`root`]: daemon ↔ root helper, packets of JSON. Exactly the same version, or refused.
//! - [`carrier`]: daemon ↔ carrier, lines of JSON and frames. The daemon adapts: a carrier outlives the one
//!   that started it.
//! - [`fault`]: an error, as it crosses any of them.

#[cfg(feature = "carrier")]
pub mod carrier;
pub mod fault;
pub mod guest;
#[cfg(any(feature = "owner", feature = "root"))]
pub mod op;
#[cfg(feature = "owner")]
pub mod owner;
#[cfg(feature = "root")]
pub mod root;
