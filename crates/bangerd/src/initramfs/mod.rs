//! The initramfs of a guest: the agent as `/init`, and the modules that a guest loads before it
//! sees a disk. Made once for each pair of agent and kernel, and kept.
//!
//! Must not know: sandboxes, VMMs, images.

mod agent;
mod archive;
mod cache;
mod error;

pub use agent::check_agent;
pub use cache::ensure;
pub use error::InitramfsError;
