//! Why a stream of entries cannot be read.

use std::io;

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// No byte, or an archive without entries.
    #[error("the archive is empty")]
    Empty,
    /// Something else than a tar.
    #[error("this is not a tar archive: it looks like {looks_like}")]
    NotATar {
        /// What it looks like, with its article.
        looks_like: &'static str,
    },
    /// The stream ends too early.
    #[error("the archive is truncated: it ends after {entries} entries without its closing block")]
    Truncated {
        /// Entries that were read.
        entries: u64,
    },
    /// A header cannot be understood.
    #[error("the archive is damaged: after {entries} entries there is {why}")]
    Damaged {
        /// Entries that were read.
        entries: u64,
        /// What was found.
        why: &'static str,
    },
    /// An entry of a kind that no file system has.
    #[error("after {entries} entries the archive has one of the unknown kind {:?}", char::from(*.kind))]
    UnknownKind {
        /// The kind's code in the header.
        kind: u8,
        /// Entries that were read.
        entries: u64,
    },
    /// Reading or unpacking the stream failed.
    #[error("cannot read the archive")]
    Io(#[source] io::Error),
}

impl ArchiveError {
    /// Whether the stream just stopped, so that its writer may know why.
    pub(crate) fn is_early_end(&self) -> bool {
        matches!(self, Self::Empty | Self::Truncated { .. })
    }
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a stream that is no tar looks like, by its beginning.
pub(crate) fn guess(head: &[u8]) -> &'static str {
    match head {
        [b'P', b'K', 3 | 5, ..] => "a zip archive",
        [0x7f, b'E', b'L', b'F', ..] => "a program (ELF)",
        [b'Q', b'F', b'I', 0xfb, ..] => "a qcow2 disk",
        [b'h', b's', b'q', b's', ..] => "a squashfs file system",
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => "a package or library (ar)",
        [0xed, 0xab, 0xee, 0xdb, ..] => "an RPM package",
        [b'0', b'7', b'0', b'7', b'0', ..] => "a cpio archive",
        [b'#', b'!', ..] => "a script",
        [b'<', ..] => "a web page or XML",
        [b'{' | b'[', ..] => "JSON",
        _ if is_disk(head) => "a disk with a partition table",
        _ if head
            .iter()
            .all(|b| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e)) =>
        {
            "text"
        }
        _ => "unknown binary data",
    }
}

fn is_disk(head: &[u8]) -> bool {
    head.get(510..512) == Some(&[0x55, 0xaa])
}
