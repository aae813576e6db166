//! Reading a tar stream, entry by entry.
//!
//! Headers are decoded by the `tar` crate; the walk over them is our own, because an archive is
//! hostile: extended headers are bounded, and values of extended attributes may contain newlines.

use super::{
    archive_error::{ArchiveError, guess},
    entry::{Entry, Kind},
    header::{checksum, meta},
    path::LONGEST_PATH,
    pax::Records,
};
use std::io::{self, Read};
use tar::{EntryType, Header};

/// The unit of a tar, in bytes.
pub(super) const BLOCK: usize = 512;
/// Longest extended header, in bytes: generous for extended attributes (64 KiB each in Linux).
const LONGEST_EXTENSION: u64 = 1 << 20;

/// A tar that is being read.
pub(crate) struct Archive<R: Read> {
    stream: R,
    /// Content of the present entry that was not read yet, and its padding.
    pub(super) unread: u64,
    padding: u64,
    /// Entries given so far.
    entries: u64,
    /// Headers that hold for all following entries.
    global: Records,
}

/// What headers before the present one said about it.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Records,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self {
            stream,
            unread: 0,
            padding: 0,
            entries: 0,
            global: Records::default(),
        }
    }

    /// The next entry; `None` after the zero block that ends the archive. What was left unread of
    /// the content before is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, ArchiveError> {
        self.skip_rest()?;
        let mut extensions = Extensions {
            records: self.global.clone(),
            ..Extensions::default()
        };
        loop {
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let kind = header.entry_type();
            let size = header
                .entry_size()
                .map_err(|_| self.damaged("a size that is no number"))?;
            match kind {
                EntryType::GNULongName => extensions.name = Some(self.long_name(size)?),
                EntryType::GNULongLink => extensions.link = Some(self.long_name(size)?),
                EntryType::XHeader => {
                    extensions.records = self.records(size)?.after(&self.global);
                }
                EntryType::XGlobalHeader => {
                    self.global = self.records(size)?.after(&self.global);
                    extensions.records = self.global.clone();
                }
                _ => {
                    let entry = self.entry(&header, size, extensions)?;
                    self.entries += 1;
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// The content of the present entry.
    pub(crate) fn content(&mut self) -> Content<'_, R> {
        Content(self)
    }

    /// How many entries were given.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// The stream, behind the block that ended the archive.
    pub(crate) fn into_stream(self) -> R {
        self.stream
    }

    pub(super) fn damaged(&self, why: &'static str) -> ArchiveError {
        ArchiveError::Damaged {
            entries: self.entries,
            why,
        }
    }

    fn skip_rest(&mut self) -> Result<(), ArchiveError> {
        let rest = self.unread.saturating_add(self.padding);
        let skipped = io::copy(&mut self.stream.by_ref().take(rest), &mut io::sink())?;
        (self.unread, self.padding) = (0, 0);
        if skipped < rest {
            return Err(self.truncated());
        }
        Ok(())
    }

    pub(super) fn truncated(&self) -> ArchiveError {
        ArchiveError::Truncated {
            entries: self.entries,
        }
    }

    /// One block; `None` at the end of the stream.
    pub(super) fn block(&mut self) -> Result<Option<[u8; BLOCK]>, ArchiveError> {
        let mut block = Vec::with_capacity(BLOCK);
        self.stream
            .by_ref()
            .take(BLOCK as u64)
            .read_to_end(&mut block)?;
        match block.try_into() {
            Ok(block) => Ok(Some(block)),
            Err(short) if short.is_empty() => Ok(None),
            Err(short) if self.entries == 0 => Err(ArchiveError::NotATar {
                looks_like: guess(&short),
            }),
            Err(_) => Err(self.truncated()),
        }
    }

    /// The next header; `None` at the closing zero block.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let Some(block) = self.block()? else {
            return Err(if self.entries == 0 {
                ArchiveError::Empty
            } else {
                self.truncated()
            });
        };
        if block.iter().all(|byte| *byte == 0) {
            return if self.entries == 0 {
                self.judge_zeros()
            } else {
                Ok(None)
            };
        }
        let header = Header::from_byte_slice(&block).clone();
        if header.cksum().ok() == Some(checksum(&block)) {
            return Ok(Some(header));
        }
        Err(if self.entries == 0 {
            ArchiveError::NotATar {
                looks_like: guess(&block),
            }
        } else {
            self.damaged("a header whose checksum is wrong")
        })
    }

    /// A stream that begins with zeros: an empty tar, unless the superblock of a file system follows.
    fn judge_zeros(&mut self) -> Result<Option<Header>, ArchiveError> {
        let (_, third) = (self.block()?, self.block()?);
        let looks_like = third.and_then(|block| {
            (block.get(56..58) == Some(&[0x53, 0xef])).then_some("an ext4 file system")
        });
        Err(match looks_like {
            Some(looks_like) => ArchiveError::NotATar { looks_like },
            None => ArchiveError::Empty,
        })
    }

    fn extension(&mut self, size: u64, longest: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > longest {
            return Err(self.damaged("an extended header that is too long"));
        }
        self.begin_content(size);
        let mut bytes = Vec::new();
        self.content().read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < size {
            return Err(self.truncated());
        }
        self.skip_rest()?;
        Ok(bytes)
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        let mut name = self.extension(size, LONGEST_PATH as u64 + 1)?;
        if name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    fn records(&mut self, size: u64) -> Result<Records, ArchiveError> {
        let bytes = self.extension(size, LONGEST_EXTENSION)?;
        Records::parse(&bytes).ok_or_else(|| self.damaged("an extended header that is malformed"))
    }

    pub(super) fn begin_content(&mut self, size: u64) {
        self.unread = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    fn entry(
        &mut self,
        header: &Header,
        size: u64,
        extensions: Extensions,
    ) -> Result<Entry, ArchiveError> {
        let Extensions {
            name,
            link,
            records,
        } = extensions;
        let record = |key| records.get(key).map(<[u8]>::to_vec);
        let path = name
            .or_else(|| record("GNU.sparse.name"))
            .or_else(|| record("path"))
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let link = link
            .or_else(|| record("linkpath"))
            .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
            .unwrap_or_default();
        let meta = meta(header, &records).map_err(|why| self.damaged(why))?;
        let device = || Some((header.device_major().ok()??, header.device_minor().ok()??));
        let numbers = || device().ok_or_else(|| self.damaged("a device without numbers"));
        let kind = match header.entry_type() {
            // Very old writers marked a directory by its name alone.
            EntryType::Regular if path.ends_with(b"/") && header.as_ustar().is_none() => {
                Kind::Directory
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let stored = records.number("size").unwrap_or(size);
                return Ok(Entry {
                    path,
                    meta,
                    kind: self.file(header, stored, &records)?,
                });
            }
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink(link),
            EntryType::Link => Kind::Hardlink(link),
            EntryType::Char => numbers().map(|(major, minor)| Kind::Char { major, minor })?,
            EntryType::Block => numbers().map(|(major, minor)| Kind::Block { major, minor })?,
            EntryType::Fifo => Kind::Fifo,
            other => {
                return Err(ArchiveError::UnknownKind {
                    kind: other.as_byte(),
                    entries: self.entries,
                });
            }
        };
        // Some writers give links and directories a size, but no content: only after the header of
        // a file does anything follow.
        Ok(Entry { path, meta, kind })
    }
}

/// The content of one entry, as far as it was not read yet.
pub(crate) struct Content<'a, R: Read>(&'a mut Archive<R>);

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.stream.by_ref().take(self.0.unread).read(into)?;
        self.0.unread -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
