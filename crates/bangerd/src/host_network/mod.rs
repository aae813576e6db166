//! The daemon's side of the host's network.

pub mod dns;
pub mod wait;
