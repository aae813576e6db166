//! The seam between the path map and the kinds of file systems that an image can be.

use super::{error::ImageError, spool::Spool, tree::Tree};
use std::path::Path;

/// What names one image, whatever is in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    /// The file system's UUID.
    pub(crate) uuid: [u8; 16],
    /// When it is made, in seconds since 1970.
    pub(crate) made: u64,
}

/// Makes a read-only file system of one kind.
pub(crate) trait ImageBuilder {
    /// Writes the file system to a path that is free; it is durable when this returns.
    fn build(
        &self,
        tree: &Tree,
        spool: &Spool,
        identity: Identity,
        path: &Path,
    ) -> Result<(), ImageError>;

    /// Has someone else's program look whether it is whole.
    fn check(&self, path: &Path) -> Result<(), ImageError>;
}
