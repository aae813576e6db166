//! Images: read-only file systems that sandboxes are laid over.
//!
//! Every source becomes one ordered stream of entries, the stream becomes a path map and a spool of
//! contents, and an [`builder::ImageBuilder`] makes a file system of these. Nothing is ever unpacked
//! on the host, and nothing is mounted. An image is published by rename, whole or not at all.

mod acl;
mod apt;
mod archive;
mod archive_error;
mod bootstrap;
mod builder;
mod contents;
mod elf;
mod entry;
mod error;
mod ext4;
mod filling;
mod geometry;
mod header;
mod holes;
mod import;
mod manifest;
mod metered;
mod packing;
mod path;
mod pax;
mod sparse;
mod spool;
mod store;
mod tree;

pub use archive_error::ArchiveError;
pub use error::ImageError;
pub use manifest::ImageManifest;
pub use path::BadPath;
pub use store::{Image, ImageStore};
pub use tree::TreeError;
