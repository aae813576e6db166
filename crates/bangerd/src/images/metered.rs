//! A stream that is counted, and whose digest is known at its end.

use crate::progress::Progress;
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Tells how many bytes were read and takes their digest.
pub(crate) struct Metered<'a> {
    stream: &'a mut dyn Read,
    hasher: Sha256,
    count: u64,
    progress: &'a Progress,
}

impl<'a> Metered<'a> {
    pub(crate) fn new(stream: &'a mut dyn Read, progress: &'a Progress) -> Self {
        Self {
            stream,
            hasher: Sha256::new(),
            count: 0,
            progress,
        }
    }

    /// SHA-256 of all that was read.
    pub(crate) fn digest(self) -> [u8; 32] {
        self.hasher.finalize().into()
    }
}

impl Read for Metered<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.progress.check().map_err(io::Error::other)?;
        let read = self.stream.read(into)?;
        self.hasher.update(into.get(..read).unwrap_or_default());
        self.count += read as u64;
        self.progress.amount(self.count, 0);
        Ok(read)
    }
}
