//! What a sandbox is, and what should happen next.
//!
//! This room is pure: no IO, no clock, no randomness, no async. Everything here can be tested
//! without a process, a socket or a temporary directory.

pub mod admission;
pub mod capacity;
pub mod defaults;
pub mod filter;
pub mod host_names;
pub mod id;
pub mod label;
pub mod name;
pub mod plan;
pub mod policy;
pub mod publish;
pub mod reference;
pub mod resize;
pub mod size;
pub mod snapshot;
pub mod spec;
pub mod state;
pub mod subnet;

pub use id::SandboxId;
pub use name::{ArtifactName, SandboxName};
pub use size::{DiskSize, MemorySize, VcpuCount};
pub use spec::{Init, Spec, Wait};
pub use state::SandboxState;
