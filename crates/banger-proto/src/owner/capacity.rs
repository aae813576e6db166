//! How many more machines the host has room for.

use banger_model::{MemorySize, VcpuCount};
use serde::{Deserialize, Serialize};

/// `GET /v1/capacity`: of what kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[serde(default, deny_unknown_fields)]
pub struct CapacityQuery {
    /// Forks of this one: name, id or unique prefix of the id. New machines where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Virtual processors of a new machine, 1 to 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(value_type = Option<u32>))]
    pub vcpu: Option<VcpuCount>,
    /// Memory of a new machine in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(value_type = Option<u64>))]
    pub memory_mib: Option<MemorySize>,
}

/// How many fit, and why not more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Capacity {
    /// How many more fit now.
    pub machines: u64,
    /// What binds: `memory` or `disk`.
    pub limit: String,
    /// How many would fit if each of them used all of its memory.
    pub machines_when_full: u64,
    /// Memory.
    pub memory: Share,
    /// The file system of the sandboxes.
    pub disk: Share,
    /// Of how many running machines of this kind `memory.each_bytes` is the mean; 0: it is an estimate.
    pub measured: u64,
    /// Machines that have begun to start; what they will take is counted as taken.
    pub starting: u64,
}

/// One of the things that a machine takes, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Share {
    /// How many machines fit by it.
    pub machines: u64,
    /// What is there to be taken; 0 where that could not be found out, which limits nothing.
    pub available_bytes: u64,
    /// What of it is kept for others.
    pub kept_bytes: u64,
    /// What several share, and the first takes.
    pub once_bytes: u64,
    /// What each takes.
    pub each_bytes: u64,
}
