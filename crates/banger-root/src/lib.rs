//! The root helper: what the owner's daemon asks of the host's network is judged here, done, and
//! forgotten.
//!
//! A request's way is: a connection of a known user ([`judge::admit`]), one bounded packet,
//! [`judge::judge`], which alone makes a [`judge::Granted`], [`act::act`], which takes nothing else, one
//! answer. The helper keeps nothing between requests: what exists is read from the kernel each time,
//! and what is ours carries our mark.

pub mod act;
pub mod judge;
pub mod kernel;
#[cfg(any(test, feature = "simulated"))]
pub mod simulated;

mod flags;
pub mod listing;
mod log;
mod probe;
mod real;
mod run;
mod serve;

pub use run::run;

/// The exact version: both sides of the socket have the same, or the request is refused.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
