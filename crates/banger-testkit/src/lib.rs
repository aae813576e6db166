//! What tests of the whole program share: a [`World`] of a test's own, waiting for conditions, and a
//! QEMU that is simulated ([`simulated_qemu`]) while everything around it is real.
//!
//! ```text
//! T1   real banger ─▶ real bangerd ─▶ simulated QEMU ─▶ real agent, its commands on the host
//! T3   real banger ─▶ real bangerd ─▶ real QEMU ─▶ real kernel, image and agent
//! ```

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by a panic"
)]

pub mod api;
pub mod bench;
pub mod checks;
pub mod fixtures;
pub mod mounts;
pub mod namespaces;
mod records;
pub mod run;
mod scripted_agent;
mod simulated_disks;
pub mod simulated_qemu;
pub mod soak;
pub mod wait;
pub mod world;

pub use run::Ran;
pub use wait::eventually;
pub use world::World;
