//! Sparse files in a tar: old GNU, and GNU's formats 0.0, 0.1 and 1.0 in pax headers (tar(5), and
//! "Storing Sparse Files" in GNU tar's manual).

use super::{
    archive::{Archive, BLOCK},
    archive_error::ArchiveError,
    entry::{Extent, Kind},
    pax::{self, Records},
};
use std::io::Read;
use tar::{EntryType, Header};

impl<R: Read> Archive<R> {
    /// What the header of a file says of it, `stored` bytes of content following.
    pub(super) fn file(
        &mut self,
        header: &Header,
        stored: u64,
        records: &Records,
    ) -> Result<Kind, ArchiveError> {
        self.begin_content(stored);
        let real = records
            .number("GNU.sparse.realsize")
            .or_else(|| records.number("GNU.sparse.size"));
        let (size, map) = if header.entry_type() == EntryType::GNUSparse {
            self.old_sparse_map(header)?
        } else if records.number("GNU.sparse.major") == Some(1) {
            (real.unwrap_or(0), self.leading_sparse_map()?)
        } else if let (Some(real), Some(map)) = (real, records.sparse_map()) {
            (real, map)
        } else {
            return Ok(Kind::File {
                size: stored,
                data: None,
            });
        };
        let data: Vec<Extent> = map.into_iter().filter(|extent| extent.length > 0).collect();
        if !fits(&data, size, self.unread) {
            return Err(self.damaged("a map of a sparse file that does not fit the file"));
        }
        Ok(Kind::File {
            size,
            data: Some(data),
        })
    }

    /// Old GNU format: four parts in the header, more in the blocks after it.
    fn old_sparse_map(&mut self, header: &Header) -> Result<(u64, Vec<Extent>), ArchiveError> {
        let bad = "a map of a sparse file that is malformed";
        let gnu = header.as_gnu().ok_or_else(|| self.damaged(bad))?;
        let size = gnu.real_size().map_err(|_| self.damaged(bad))?;
        let mut map = Vec::new();
        gather(&gnu.sparse, &mut map).ok_or_else(|| self.damaged(bad))?;
        let mut more = gnu.is_extended();
        while more {
            if map.len() > pax::MOST_EXTENTS {
                return Err(self.damaged("a map of a sparse file that is too long"));
            }
            let mut extension = tar::GnuExtSparseHeader::new();
            let block = self.block()?.ok_or_else(|| self.truncated())?;
            extension.as_mut_bytes().copy_from_slice(&block);
            gather(extension.sparse(), &mut map).ok_or_else(|| self.damaged(bad))?;
            more = extension.is_extended();
        }
        Ok((size, map))
    }

    /// GNU format 1.0: the map stands in front of the data as decimal lines, filled up to a block.
    fn leading_sparse_map(&mut self) -> Result<Vec<Extent>, ArchiveError> {
        let bad = "a map of a sparse file that is malformed";
        let mut numbers: Vec<u64> = Vec::new();
        let mut digits = 0_usize;
        let mut number = 0_u64;
        loop {
            let mut block = [0; BLOCK];
            let taken = self.content().read_exact(&mut block);
            taken.map_err(|_| self.damaged(bad))?;
            for byte in block {
                match byte {
                    b'0'..=b'9' if digits < 19 => {
                        digits += 1;
                        number = number
                            .saturating_mul(10)
                            .saturating_add(u64::from(byte - b'0'));
                    }
                    b'\n' if digits > 0 => {
                        numbers.push(number);
                        (digits, number) = (0, 0);
                    }
                    _ => return Err(self.damaged(bad)),
                }
                let count = numbers.first().copied().unwrap_or(u64::MAX);
                if count > pax::MOST_EXTENTS as u64 && count != u64::MAX {
                    return Err(self.damaged("a map of a sparse file that is too long"));
                }
                if numbers.len() as u64 == count.saturating_mul(2).saturating_add(1) {
                    let map = numbers.get(1..).unwrap_or_default();
                    return if map.is_empty() {
                        Ok(Vec::new())
                    } else {
                        pax::extents(map).ok_or_else(|| self.damaged(bad))
                    };
                }
            }
        }
    }
}

fn gather(parts: &[tar::GnuSparseHeader], map: &mut Vec<Extent>) -> Option<()> {
    for part in parts.iter().filter(|part| !part.is_empty()) {
        map.push(Extent {
            offset: part.offset().ok()?,
            length: part.length().ok()?,
        });
    }
    Some(())
}

/// Whether parts are in order, apart, inside of the file, and make up what is stored.
fn fits(data: &[Extent], size: u64, stored: u64) -> bool {
    let mut end = 0_u64;
    let mut total = 0_u64;
    for extent in data {
        if extent.offset < end {
            return false;
        }
        let Some(after) = extent.offset.checked_add(extent.length) else {
            return false;
        };
        (end, total) = (after, total + extent.length);
    }
    end <= size && total == stored
}
