//! The bytes of a disk: read no further than is allowed, and as its journal says that they are.

use super::DiffError;
use mkext4::reader::ReadAt;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Bytes of a block: the only size that is read here, and that our disks have.
pub(super) const BLOCK: u64 = 4096;
/// Where the superblock is, and how long.
const SUPERBLOCK: u64 = 1024;
/// The most entries of directories that are looked at.
const MOST_ENTRIES: u64 = 20_000_000;

/// Why nothing is read any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopped {
    TooLong,
    Unwanted,
    TooMuch,
}

/// Limits on what reading may take.
#[derive(Debug)]
pub(super) struct Watch {
    limit: Duration,
    until: Instant,
    cancelled: CancellationToken,
    /// Bytes that may still be read for what goes on.
    allowed: Cell<u64>,
    entries: Cell<u64>,
    stopped: Cell<Option<Stopped>>,
}

impl Watch {
    /// From now on.
    pub(super) fn new(limit: Duration, cancelled: CancellationToken) -> Self {
        Self {
            limit,
            until: Instant::now() + limit,
            cancelled,
            allowed: Cell::new(0),
            entries: Cell::new(0),
            stopped: Cell::new(None),
        }
    }

    /// So many bytes may be read for what comes next.
    pub(super) fn allow(&self, bytes: u64) {
        self.allowed.set(bytes);
    }

    /// One more entry of a directory is looked at.
    pub(super) fn entry(&self, disk: &'static str) -> Result<(), DiffError> {
        self.entries.set(self.entries.get() + 1);
        if self.entries.get() > MOST_ENTRIES {
            let why = format!("{MOST_ENTRIES} files");
            return Err(DiffError::TooMuch { disk, why });
        }
        self.check(disk)
    }

    /// Whether it may go on.
    pub(super) fn check(&self, disk: &'static str) -> Result<(), DiffError> {
        self.stop(0)
            .map_or_else(|why| Err(self.error(why, disk)), Ok)
    }

    /// What a parser's error comes to.
    pub(super) fn judge(&self, disk: &'static str, at: &str, error: &mkext4::Error) -> DiffError {
        if let Some(stopped) = self.stopped.get() {
            return self.error(stopped, disk);
        }
        match error {
            mkext4::Error::Unsupported(what) => DiffError::Unsupported {
                disk,
                why: format!("{at}: {what}"),
            },
            mkext4::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                DiffError::Damaged {
                    disk,
                    why: format!("{at}: it leads beyond the end of the disk"),
                }
            }
            other => DiffError::Damaged {
                disk,
                why: format!("{at}: {other}"),
            },
        }
    }

    fn error(&self, stopped: Stopped, disk: &'static str) -> DiffError {
        match stopped {
            Stopped::TooLong => DiffError::TooLong { limit: self.limit },
            Stopped::Unwanted => DiffError::Unwanted,
            Stopped::TooMuch => DiffError::TooMuch {
                disk,
                why: "one file or directory leads to too many blocks".into(),
            },
        }
    }

    fn stop(&self, bytes: u64) -> Result<(), Stopped> {
        let left = self.allowed.get().checked_sub(bytes);
        let why = if self.cancelled.is_cancelled() {
            Stopped::Unwanted
        } else if Instant::now() > self.until {
            Stopped::TooLong
        } else if let Some(left) = left {
            self.allowed.set(left);
            return Ok(());
        } else {
            Stopped::TooMuch
        };
        self.stopped.set(Some(why));
        Err(why)
    }
}

/// What a journal has of a block: where, and whether its first four bytes were taken out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Logged {
    /// The block in which it lies.
    pub(super) block: u64,
    /// It begins with the mark that blocks of the journal itself have.
    pub(super) is_escaped: bool,
}

/// The bytes of a disk.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) file: Rc<File>,
    /// Takes the place of the one on the disk.
    pub(super) superblock: [u8; 1024],
    pub(super) journal: Rc<BTreeMap<u64, Logged>>,
    pub(super) watch: Rc<Watch>,
}

impl ReadAt for Source {
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let length = buffer.len() as u64;
        if (offset, length) == (SUPERBLOCK, self.superblock.len() as u64) {
            buffer.copy_from_slice(&self.superblock);
            return Ok(());
        }
        self.watch
            .stop(length)
            .map_err(|why| io::Error::other(format!("{why:?}")))?;
        let end = offset.checked_add(length);
        let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
        let blocks = offset / BLOCK..end.div_ceil(BLOCK);
        if self.journal.range(blocks).next().is_none() {
            return FileExt::read_exact_at(&*self.file, buffer, offset);
        }
        let mut at = offset;
        let mut rest = buffer;
        while !rest.is_empty() {
            let within = at % BLOCK;
            let length = (BLOCK - within).min(rest.len() as u64);
            let length = usize::try_from(length).map_err(io::Error::other)?;
            let (part, after) = rest.split_at_mut(length);
            self.part(at / BLOCK, within, part)?;
            rest = after;
            at += part.len() as u64;
        }
        Ok(())
    }
}

impl Source {
    /// Reads within one block.
    fn part(&self, block: u64, within: u64, part: &mut [u8]) -> io::Result<()> {
        let Some(logged) = self.journal.get(&block) else {
            return FileExt::read_exact_at(&*self.file, part, block * BLOCK + within);
        };
        FileExt::read_exact_at(&*self.file, part, logged.block * BLOCK + within)?;
        if logged.is_escaped {
            let mark = mkext4::spec::JBD2_MAGIC.to_be_bytes();
            let skipped = usize::try_from(within).unwrap_or(usize::MAX);
            let marked = mark.iter().skip(skipped);
            part.iter_mut()
                .zip(marked)
                .for_each(|(to, from)| *to = *from);
        }
        Ok(())
    }
}

#[cfg(test)]
mod t1 {
    use super::*;

    fn source(limit: Duration) -> Source {
        let file = tempfile::tempfile().expect("a file");
        for (number, letter) in [(0, b'a'), (1, b'b'), (2, b'c'), (3, b'd')] {
            let block = [letter; 4096];
            file.write_all_at(&block, number * BLOCK).expect("written");
        }
        let logged = |block, is_escaped| Logged { block, is_escaped };
        Source {
            file: Rc::new(file),
            superblock: [7; 1024],
            journal: Rc::new([(1, logged(3, false)), (2, logged(0, true))].into()),
            watch: Rc::new(Watch::new(limit, CancellationToken::new())),
        }
    }

    fn read(source: &Source, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        source.watch.allow(1 << 20);
        source.read_exact_at(at, &mut bytes).map(|()| bytes)
    }

    #[test]
    fn a_block_is_read_from_where_the_journal_has_it() {
        let source = source(Duration::from_secs(60));
        let all = read(&source, 4090, 8200).expect("read");
        assert_eq!(all[..8], *b"aaaaaadd");
        // The mark that was taken out is put back.
        assert_eq!(all[6 + 4096..][..6], [0xc0, 0x3b, 0x39, 0x98, b'a', b'a']);
        assert_eq!(read(&source, 2 * 4096 + 3, 2).expect("read"), [0x98, b'a']);
        assert_eq!(read(&source, 3 * 4096, 2).expect("read"), *b"dd");
        assert_eq!(read(&source, 1024, 1024).expect("read"), [7; 1024]);
    }

    #[test]
    fn reading_ends_with_what_is_allowed_with_the_time_and_with_the_wish() {
        let one = source(Duration::from_secs(60));
        one.watch.allow(10);
        one.read_exact_at(0, &mut [0; 6]).expect("allowed");
        one.read_exact_at(0, &mut [0; 6]).expect_err("too much");
        let judged = one
            .watch
            .judge("disk", "x", &mkext4::Error::Invalid(String::new()));
        assert!(matches!(judged, DiffError::TooMuch { .. }), "{judged}");
        let late = source(Duration::ZERO);
        read(&late, 0, 1).expect_err("too late");
        let error = late.watch.check("disk").expect_err("too late");
        assert!(matches!(error, DiffError::TooLong { .. }), "{error}");
        let unwanted = source(Duration::from_secs(60));
        unwanted.watch.cancelled.cancel();
        let error = unwanted.watch.entry("disk").expect_err("unwanted");
        assert!(matches!(error, DiffError::Unwanted), "{error}");
    }

    #[test]
    fn what_leads_beyond_the_disk_is_damage() {
        let source = source(Duration::from_secs(60));
        let error = read(&source, 4 * 4096 - 1, 2).expect_err("too short");
        let error = source.watch.judge("work disk", "inode 5", &error.into());
        assert!(
            error.to_string().contains("inode 5: it leads beyond"),
            "{error}"
        );
        read(&source, u64::MAX, 2).expect_err("no such place");
    }
}
