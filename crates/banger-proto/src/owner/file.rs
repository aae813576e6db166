//! Files of a guest.
//!
//! - `POST /v1/sandboxes/{ref}/files/stat`, `…/list`, `…/directory`, `…/symlink`: JSON both ways.
//! - `POST …/files/get` with a [`PathRequest`]: the answer's header [`FILE_HEADER`] has the
//!   [`FileStat`], its body the bytes.
//! - `PUT …/files` with a [`PutRequest`] in the header [`FILE_HEADER`]: the body has the bytes; the
//!   file appears whole or not at all.

use super::ByteText;
use serde::{Deserialize, Serialize};

/// Header with JSON about the file whose bytes are in the body.
pub const FILE_HEADER: &str = "banger-file";

/// A path in the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PathRequest {
    /// Absolute, or relative to `/root`.
    pub path: ByteText,
}

/// A directory to list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListRequest {
    /// The directory.
    pub path: ByteText,
    /// Only entries whose names come behind this one.
    #[serde(default)]
    pub after: ByteText,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PutRequest {
    /// The file.
    pub path: ByteText,
    /// Its permission bits.
    pub mode: u32,
    /// Its modification time in seconds since 1970.
    #[serde(default)]
    pub modified: Option<i64>,
}

/// A directory to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DirectoryRequest {
    /// The directory.
    pub path: ByteText,
    /// Its permission bits.
    pub mode: u32,
}

/// A symbolic link to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SymlinkRequest {
    /// Where the link is.
    pub path: ByteText,
    /// What it says.
    pub target: ByteText,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileStat {
    /// `regular`, `directory`, `symlink` or `other`.
    pub file_type: String,
    /// Permission bits.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub modified: i64,
    /// What a symbolic link says.
    #[serde(default)]
    pub target: ByteText,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entry {
    /// Its name; the daemon has checked that it is one component of a path.
    pub name: ByteText,
    /// What it is.
    pub stat: FileStat,
}

/// A part of a directory's entries, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entries {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Whether there are more behind the last.
    pub more: bool,
}
