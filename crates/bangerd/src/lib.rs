//! The owner daemon: decides, remembers, drives.
//!
//! See `ARCHITECTURE.md` for
//! the map of these rooms and what each must not know.

pub mod config;
pub mod disks;
pub mod guest;
pub mod host;
pub mod images;
pub mod initramfs;
pub mod kernels;
pub mod layout;
pub mod operation;
pub mod progress;
pub mod record;
pub mod runtime_dir;
pub mod standalone;
pub mod store;
pub mod vmm;
