//! The owner daemon: decides, remembers, drives.
//!
//! `main` calls [`run`]; everything that can be tested lives behind it. See `ARCHITECTURE.md` for
//! the map of these rooms and what each must not know.

pub mod disks;
pub mod images;
pub mod initramfs;
pub mod kernels;
pub mod layout;
pub mod progress;
pub mod vmm;
