//! The staging file that holds the contents of all files until the image is laid out: an image's
//! builder must know every size before the first content is written.

use super::error::ImageError;
use crate::disks::{DiskError, space};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// How often the room is looked at, in bytes written.
const LOOK_EVERY: u64 = 64 << 20;

/// Bytes copied at once.
const PIECE: usize = 256 << 10;

/// Contents, one after another.
#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    path: PathBuf,
    length: u64,
    most: u64,
    next_look: u64,
    piece: Vec<u8>,
}

impl Spool {
    /// An empty one in a directory, for at most so many bytes.
    pub(crate) fn new(directory: &Path, most: u64) -> Result<Self, DiskError> {
        let path = directory.join("contents");
        space::require(directory, LOOK_EVERY)?;
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(DiskError::io("create", &path))?;
        Ok(Self {
            file,
            path,
            length: 0,
            most,
            next_look: LOOK_EVERY,
            piece: vec![0; PIECE],
        })
    }

    /// Bytes held.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Copies a content to the end and gives its length: less than the stream promised when the
    /// stream ended early.
    pub(crate) fn append(&mut self, content: &mut impl Read) -> Result<u64, ImageError> {
        let began = self.length;
        loop {
            let read = match content.read(&mut self.piece) {
                Ok(0) => return Ok(self.length - began),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ImageError::Archive(error.into())),
            };
            self.length += read as u64;
            if self.length > self.most {
                return Err(ImageError::TooLarge { most: self.most });
            }
            self.look()?;
            let written = self
                .file
                .write_all(self.piece.get(..read).unwrap_or_default());
            written.map_err(DiskError::io("write", &self.path))?;
        }
    }

    /// All that was spooled is needed once more for the image: a disk that cannot hold it is told
    /// while there is still room.
    fn look(&mut self) -> Result<(), DiskError> {
        if self.length < self.next_look {
            return Ok(());
        }
        self.next_look = self.length + LOOK_EVERY;
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        space::require(directory, self.length + LOOK_EVERY)
    }

    /// Reads a part again.
    pub(crate) fn read(&self, at: u64, length: u64) -> Part<'_> {
        Part {
            file: &self.file,
            at,
            end: at.saturating_add(length).min(self.length),
        }
    }
}

/// A part of a [`Spool`] that is being read.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = left.min(into.len());
        let read = self
            .file
            .read_at(into.get_mut(..wanted).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
