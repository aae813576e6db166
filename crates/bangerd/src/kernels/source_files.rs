//! The files that an import is made from, wherever they lie: a kernel image and its modules.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
};

/// Most files of one module tree; a distribution's largest kernel has about 7,000.
pub(super) const MOST_FILES: usize = 50_000;

/// Most bytes of one module tree, or of one unpacked package.
pub(super) const MOST_BYTES: u64 = 4 << 30;

/// One file's bytes, read when they are needed.
#[derive(Debug, Clone)]
pub(super) struct Content {
    /// Its length in bytes.
    pub(super) size: u64,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Memory(Vec<u8>),
    File { path: PathBuf, offset: u64 },
}

impl Content {
    /// Bytes that are here.
    pub(super) fn memory(bytes: Vec<u8>) -> Self {
        Self {
            size: bytes.len() as u64,
            place: Place::Memory(bytes),
        }
    }

    /// A part of a file.
    pub(super) fn part(path: PathBuf, offset: u64, size: u64) -> Self {
        Self {
            size,
            place: Place::File { path, offset },
        }
    }

    /// The bytes, as many as `size` says at most.
    pub(super) fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match &self.place {
            Place::Memory(bytes) => Box::new(bytes.as_slice()),
            Place::File { path, offset } => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(*offset))?;
                Box::new(file.take(self.size))
            }
        })
    }

    /// All bytes, of which there must be no more than `limit`.
    pub(super) fn read(&self, limit: u64) -> io::Result<Vec<u8>> {
        if self.size > limit {
            let words = format!("it has {} bytes, at most {limit} are allowed", self.size);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, words));
        }
        let mut bytes = Vec::new();
        self.open()?.read_to_end(&mut bytes)?;
        if bytes.len() as u64 != self.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }
}

/// What an import is made from.
#[derive(Debug)]
pub(super) struct SourceFiles {
    /// The kernel image: a bzImage or an ELF.
    pub(super) image: Content,
    /// Where it was found, for messages.
    pub(super) image_name: String,
    /// The module tree by path below `lib/modules/<version>/`; empty when there is none.
    pub(super) modules: BTreeMap<String, Content>,
    /// The version that the module tree's directory is named for, if it is.
    pub(super) modules_version: Option<String>,
}

/// Whether a file at the top of a module tree belongs to it: links and directories of sources, and
/// the kernel itself, do not.
pub(super) fn belongs_to_modules(path: &str) -> bool {
    let top = path.split('/').next().unwrap_or_default();
    let is_kernel = top.starts_with("vmlinu") || top == "System.map" || top.starts_with(".vmlinu");
    !(is_kernel || matches!(top, "build" | "source" | "config"))
}
