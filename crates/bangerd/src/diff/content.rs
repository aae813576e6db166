//! Whether two files have the same bytes.

use super::DiffError;
use super::layer::{File, Layer};
use super::source::BLOCK;
use mkext4::reader::FileExtent;
use std::ops::Range;

/// Bytes that are compared at a time: whole blocks.
const PIECE: u64 = 64 * BLOCK;

/// One file's content.
pub(super) struct Content<'a> {
    layer: &'a Layer,
    extents: Vec<FileExtent>,
}

impl<'a> Content<'a> {
    pub(super) fn of(layer: &'a Layer, file: &File) -> Result<Self, DiffError> {
        let mut extents = layer.extents(file)?;
        extents.retain(|extent| !extent.unwritten);
        Ok(Self { layer, extents })
    }

    /// Where it has data: bytes, in order.
    fn data(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.extents.iter().map(range)
    }

    /// Its bytes at a place; a hole is zeros.
    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), DiffError> {
        into.fill(0);
        let wanted = at..at + into.len() as u64;
        let first = self.extents.partition_point(|one| range(one).end <= at);
        for extent in self.extents.iter().skip(first) {
            let has = range(extent);
            let (start, end) = (has.start.max(wanted.start), has.end.min(wanted.end));
            if has.start >= wanted.end {
                break;
            }
            let place = usize::try_from(start - at)
                .ok()
                .zip(usize::try_from(end - at).ok())
                .and_then(|(from, to)| into.get_mut(from..to));
            self.layer
                .read(extent, start - has.start, place.unwrap_or_default())?;
        }
        Ok(())
    }
}

fn range(extent: &FileExtent) -> Range<u64> {
    let start = u64::from(extent.logical) * BLOCK;
    start..start + u64::from(extent.len) * BLOCK
}

/// Compares so many bytes; what is a hole in both is not looked at.
pub(super) fn same(one: &Content<'_>, other: &Content<'_>, size: u64) -> Result<bool, DiffError> {
    let mut parts: Vec<_> = one.data().chain(other.data()).collect();
    parts.sort_by_key(|part| part.start);
    let mut buffers = [vec![], vec![]];
    let mut done = 0;
    for part in parts {
        let end = part.end.min(size);
        let mut at = part.start.max(done);
        while at < end {
            let length = usize::try_from((end - at).min(PIECE)).unwrap_or(0);
            let [first, second] = &mut buffers;
            first.resize(length, 0);
            second.resize(length, 0);
            one.read(at, first)?;
            other.read(at, second)?;
            if first != second {
                return Ok(false);
            }
            at += length as u64;
        }
        done = done.max(end);
    }
    Ok(true)
}
