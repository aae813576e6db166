//! Kernel objects of the host network, for whoever may change them: links, addresses, routes, TAPs,
//! nftables, sysctls, the helper's socket, and giving up privileges.
//!
//! It knows nothing of sandboxes: names, marks and rules come from its caller. What it promises is
//! that nothing without the caller's mark is changed ([`links::Marked`]), that every wait has a
//! limit, and that an error says what was asked and what the kernel said.
//!
//! Everything here blocks. Netlink, nft and `/proc/sys/net` mean the network namespace of the
//! calling thread.

pub mod addresses;
pub mod confine;
pub mod links;
pub mod memory;
pub mod names;
pub mod namespaces;
pub mod netlink;
pub mod nftables;
pub mod programs;
pub mod routes;
pub mod seqpacket;
pub mod sysctl;
pub mod taps;

mod forks;
mod sys;
mod wait;

/// What an idempotent step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not so, and now it is.
    Made,
    /// It was so already; nothing was changed.
    WasSoAlready,
}
