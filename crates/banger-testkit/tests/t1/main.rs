//! T1: the real command line and daemon with a simulated QEMU. See `docs/testing.md`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests say what is wrong by a panic"
)]

mod asleep;
mod attempts;
mod audit;
mod bridge;
mod capacity;
mod daemon;
mod diff;
mod doctor;
mod ends;
mod events;
mod export;
mod faults;
mod health;
mod hostile;
mod labels;
mod logs;
mod machine;
mod operations;
mod pool;
mod publish;
mod reconcile;
mod records;
mod refusal;
mod rename;
mod repair;
mod resolver;
mod restarts;
mod saving;
mod set;
mod snapshots;
mod soak;
mod stats;
mod together;
mod top;
mod undo;
mod unused;
