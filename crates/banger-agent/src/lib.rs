//! The guest's agent: `/init` of the initramfs, then the daemon's hands in the guest.
//!
//! ```text
//!   host ══ port ══ link ──▶ calls ──▶ session (exec)   a child, its pipes or terminal
//!                    ▲                 files            put, get, stat, list
//!                    │                 ports, health, usage
//!                    │                 dial              a connection to a port
//!                    └── channels ◀──┘ world ──▶ Machine (guest: mounts, identity, resume, init, power)
//! ```
//!
//! One thread runs everything ([`Agent::serve`]); only what may wait for a disk goes to a blocking
//! thread. A connection owns its *streams*; the agent owns the *sessions*, which outlive it. What
//! needs the rights of a guest's root is behind [`Machine`], so that tests serve the same agent to
//! an ordinary user.

mod account;
mod agent;
mod calls;
mod channels;
mod dial;
mod fault;
mod files;
#[cfg(target_os = "linux")]
pub mod guest;
mod health;
mod link;
mod ports;
mod root;
mod session;
mod sys;
mod usage;
mod world;

pub use agent::{Agent, AtEnd, Beginning, serve_beside, serve_on};
pub use root::Root;
pub use world::{Machine, World};

#[cfg(test)]
mod t1;
