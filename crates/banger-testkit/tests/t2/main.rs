//! T2: the real command line and daemon with a simulated QEMU, on file systems or in a
//! network of their own. See
//! `docs/testing.md`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests say what is wrong by a panic"
)]

mod doctor;
mod full_disk;
mod import;
mod prove;
mod snapshots;
