//! The owner daemon: decides, remembers, drives.
//!
//! `main` calls [`run`]; everything that can be tested lives behind it. See `ARCHITECTURE.md` for
//! the map of these rooms and what each must not know.

pub mod accelerators;
pub mod api;
pub mod audit;
mod blocks;
pub mod checkpoints;
pub mod config;
pub mod diff;
pub mod disks;
pub mod doctor;
pub mod events;
pub mod export;
pub mod fault_points;
pub mod guest;
pub mod host;
pub mod host_network;
pub mod images;
pub mod initramfs;
pub mod kernels;
pub mod last_use;
pub mod layout;
mod lines;
pub mod making;
pub mod operation;
pub mod progress;
pub mod publish;
pub mod record;
pub mod registry;
mod run;
pub mod runtime_dir;
pub mod sandbox;
pub mod serve;
pub mod services;
pub mod snapshots;
pub mod standalone;
pub mod stats;
pub mod store;
pub mod strays;
pub mod supervise;
pub mod vmm;
pub mod wait;

pub use run::run;
