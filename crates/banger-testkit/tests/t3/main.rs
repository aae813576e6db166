//! T3: the real command line and daemon with real QEMU, kernel, image and agent. See
//! `docs/testing.md`. Run with `cargo xtask test T3`, which prepares kernel and image.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests say what is wrong by a panic"
)]

mod attempts;
mod bridge;
mod export;
mod full_disk;
mod grow;
mod guest;
mod machine;
mod pool;
mod resumed;
mod services;
mod snapshots;
mod stats;
mod systemd;
mod undo;
