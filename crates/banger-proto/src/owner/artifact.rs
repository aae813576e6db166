//! Images and kernels.

use serde::{Deserialize, Serialize};

/// An image as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Image {
    /// Its name.
    pub name: String,
    /// SHA-256 of what it was made from, in hexadecimal.
    pub sha256: String,
    /// Where it came from, in words.
    pub origin: String,
    /// `x86_64`.
    pub architecture: String,
    /// Path of its init, or none.
    pub init: Option<String>,
    /// Bytes that the image disk takes on the host.
    pub disk_used: u64,
    /// Seconds since 1970.
    pub created_at: u64,
    /// Names of the sandboxes that use it.
    pub used_by: Vec<String>,
    /// Whether it is the default.
    pub default: bool,
}

/// A kernel as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Kernel {
    /// Its name.
    pub name: String,
    /// Its release, as `uname -r` shows it.
    pub version: String,
    /// SHA-256 of the uncompressed kernel.
    pub sha256: String,
    /// Where it came from, in words.
    pub origin: String,
    /// `x86_64`.
    pub architecture: String,
    /// Whether it has modules.
    pub modules: bool,
    /// Seconds since 1970.
    pub imported_at: u64,
    /// Names of the sandboxes that use it.
    pub used_by: Vec<String>,
    /// Whether it is the default.
    pub default: bool,
}

/// `POST /v1/kernels/{name}`: where a kernel comes from. Paths are absolute, and read by the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum KernelImport {
    /// A distribution's package file.
    Package {
        /// The file.
        path: String,
    },
    /// A directory with a kernel, and modules if it has them.
    Directory {
        /// The directory.
        path: String,
    },
    /// A kernel image without modules.
    File {
        /// The file.
        path: String,
    },
    /// A package by name, fetched by the host's package manager.
    DistributionPackage {
        /// Its name.
        name: String,
    },
    /// What the host's package manager offers for virtual machines.
    Default,
}
