//! A sandbox as one file: what is said beside it, which is the content of an answer, and of a request.

use serde::{Deserialize, Serialize};

/// `POST …/export`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ExportRequest {
    /// With its memory.
    pub memory: bool,
    /// Without its image.
    pub no_image: bool,
    /// Its disks as they are, with the secrets that make it itself: host keys, a seed. With its memory they are
    /// that always.
    pub with_secrets: bool,
}

/// `GET /v1/export-key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExportKey {
    /// An Ed25519 public key: 64 hexadecimal digits.
    pub key: String,
}
