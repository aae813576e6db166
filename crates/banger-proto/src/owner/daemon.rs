//! The daemon itself.

use super::sandbox::Sourced;
use serde::{Deserialize, Serialize};

/// `GET /v1/version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Version {
    /// As `0.1.0`.
    pub version: String,
    /// Tells builds of one version apart: device, inode, size and modification time of the
    /// executable, as [`build_of`] makes it from a file.
    pub build: String,
    /// The newest path prefix that is served, as `v1`.
    pub api: String,
}

/// What tells one build's executable from another's: a client compares it with the file that it
/// would start. Cheap: one `stat`.
#[must_use]
pub fn build_of(executable: &std::fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!(
        "{:x}-{:x}-{:x}-{:x}.{:x}",
        executable.dev(),
        executable.ino(),
        executable.size(),
        executable.mtime(),
        executable.mtime_nsec()
    )
}

/// `GET /v1/daemon`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Status {
    /// Version and build.
    pub version: Version,
    /// Its process id.
    pub pid: u32,
    /// The user id that it runs as.
    pub uid: u32,
    /// Path of its socket.
    pub socket: String,
    /// Path of its log.
    pub log: String,
    /// Path of the state directory.
    pub state_directory: String,
    /// Seconds since 1970.
    pub started_at: u64,
    /// Sandboxes whose guest runs.
    pub running: u32,
    /// Sandboxes of the pool that may be had; those of the pool are not counted otherwise.
    #[serde(default)]
    pub pooled: u32,
    /// Sandboxes in all.
    pub sandboxes: u32,
    /// Long operations that go on.
    pub operations: u32,
    /// Exec sessions that are attached.
    pub sessions: u32,
    /// Resident memory in KiB.
    pub memory_kib: u64,
}

/// `POST /v1/daemon/stop`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct StopRequest {
    /// Refuse when a sandbox runs, an operation goes on or a session is attached.
    pub if_idle: bool,
}

/// `GET /v1/defaults`: what a request that leaves it open gets, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Defaults {
    /// Image name.
    pub image: Sourced<String>,
    /// Kernel name.
    pub kernel: Sourced<String>,
    /// Virtual processors.
    pub vcpu: Sourced<u32>,
    /// Memory in MiB.
    pub memory_mib: Sourced<u64>,
    /// Work disk in MiB.
    pub disk_mib: Sourced<u64>,
    /// System disk in MiB.
    pub system_disk_mib: Sourced<u64>,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// Works, but less well than it could.
    Warn,
    /// Something cannot work.
    Fail,
}

/// One check of `GET /v1/doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// How it came out.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remedy: Option<String>,
}
