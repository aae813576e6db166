//! The one vocabulary of all sources of files: an ordered stream of entries.

/// Owner, mode, time and extended attributes of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Permission bits, set-id and sticky bits included (`0o7777`).
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds since 1970 and nanoseconds.
    pub(crate) mtime: (i64, u32),
    /// Full names with their values, in the form of `getxattr(2)`.
    pub(crate) xattrs: Vec<(String, Vec<u8>)>,
}

impl Meta {
    /// Root's, with nothing special.
    pub(crate) fn plain(mode: u16) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            mtime: (0, 0),
            xattrs: Vec::new(),
        }
    }
}

/// A part of a file that has data; the rest reads as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Where in the file, in bytes.
    pub(crate) offset: u64,
    /// Bytes, never 0.
    pub(crate) length: u64,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file of `size` bytes; when sparse, only `data` is in the stream, in order.
    File {
        size: u64,
        data: Option<Vec<Extent>>,
    },
    Directory,
    Symlink(Vec<u8>),
    /// Another name of an entry that came before.
    Hardlink(Vec<u8>),
    Char {
        major: u32,
        minor: u32,
    },
    Block {
        major: u32,
        minor: u32,
    },
    Fifo,
}

/// One entry; the content of a file follows it in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As it stood in the source: not yet judged.
    pub(crate) path: Vec<u8>,
    pub(crate) meta: Meta,
    pub(crate) kind: Kind,
}
