//! A part in pieces: what of a sparse file is no hole, each piece packed by itself, so that neither side keeps more
//! than one.
//!
//! ```text
//! place (8 bytes) ── length unpacked (4) ── length packed (4) ── zstd        all numbers with their highest byte first
//! ```

use super::ExportError;
use super::error::of_stream;
use super::form::{Form, PartForm};
use crate::blocks::{self, BLOCK};
use crate::disks::DiskError;
use crate::progress::Progress;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::fs::File;
use std::io::{Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of one piece, unpacked.
const PIECE: usize = 1 << 20;
/// The longest that packing makes of one.
const PACKED: usize = PIECE + (64 << 10);
/// The place of the piece that there is none of: the part has ended.
const END: u64 = u64::MAX;

/// How far an export or import is.
pub(super) struct Meter<'a> {
    progress: &'a Progress,
    done: u64,
    total: u64,
}

impl<'a> Meter<'a> {
    pub(super) fn of(progress: &'a Progress, form: &Form) -> Self {
        Self {
            progress,
            done: 0,
            total: form.data(),
        }
    }

    fn add(&mut self, bytes: u64) -> Result<(), ExportError> {
        self.done += bytes;
        self.progress.amount(self.done, self.total);
        Ok(self.progress.check()?)
    }
}

/// Writes a file of so many bytes, with zeros in the ranges that are to be blank.
pub(super) fn write(
    (file, blank): (&File, &[Range<u64>]),
    size: u64,
    into: &mut dyn Write,
    meter: &mut Meter<'_>,
) -> Result<(), ExportError> {
    let mut buffer = vec![0; PIECE];
    for extent in blocks::data(file, size) {
        let extent = extent.map_err(ExportError::Stream)?;
        let mut at = extent.start;
        while at < extent.end {
            let length = usize::try_from(extent.end - at).unwrap_or(PIECE).min(PIECE);
            let bytes = buffer.get_mut(..length).unwrap_or_default();
            file.read_exact_at(bytes, at).map_err(ExportError::Stream)?;
            blocks::blank(bytes, at, blank);
            if !blocks::is_zeros(bytes) {
                let packed = compress_to_vec(&*bytes, CompressionLevel::Fastest);
                head(into, at, length, packed.len())?;
                into.write_all(&packed).map_err(ExportError::Stream)?;
            }
            at += length as u64;
            meter.add(length as u64)?;
        }
    }
    head(into, END, 0, 0)
}

fn head(into: &mut dyn Write, at: u64, length: usize, packed: usize) -> Result<(), ExportError> {
    let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let head = [&at.to_be_bytes()[..], &number(length), &number(packed)].concat();
    into.write_all(&head).map_err(ExportError::Stream)
}

/// Reads into an empty file: in order, within its size, and no more bytes than it is said to have. `path` is for people.
pub(super) fn read(
    from: &mut dyn Read,
    (file, path): (&File, &Path),
    part: &PartForm,
    meter: &mut Meter<'_>,
) -> Result<(), ExportError> {
    let size = part.digest.size;
    file.set_len(size)
        .map_err(DiskError::io("set the size of", path))?;
    let (mut done, mut left) = (0, part.data);
    while let Some(head) = Head::read(from)? {
        let end = head.end(done, size, left).map_err(damaged)?;
        let mut packed = vec![0; head.packed];
        from.read_exact(&mut packed).map_err(of_stream)?;
        let bytes = unpack(&packed, head.length).ok_or("a piece cannot be unpacked");
        let bytes = bytes.map_err(damaged)?;
        for run in blocks::filled(&bytes, BLOCK) {
            let at = head.at + run.start as u64;
            let written = file.write_all_at(bytes.get(run).unwrap_or_default(), at);
            written.map_err(DiskError::io("write", path))?;
        }
        (done, left) = (end, left - head.length as u64);
        meter.add(head.length as u64)?;
    }
    Ok(())
}

fn damaged(why: &str) -> ExportError {
    ExportError::Damaged(why.to_owned())
}

/// What comes before a piece.
struct Head {
    at: u64,
    length: usize,
    packed: usize,
}

impl Head {
    /// Reads one; none at the end of the part.
    fn read(from: &mut dyn Read) -> Result<Option<Self>, ExportError> {
        let (mut at, mut length, mut packed) = ([0; 8], [0; 4], [0; 4]);
        for bytes in [at.as_mut_slice(), &mut length, &mut packed] {
            from.read_exact(bytes).map_err(of_stream)?;
        }
        let number = |bytes| usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX);
        let head = Self {
            at: u64::from_be_bytes(at),
            length: number(length),
            packed: number(packed),
        };
        Ok((head.at != END).then_some(head))
    }

    /// Where it ends, if it can come behind `done` in a part of this size that has so many bytes left.
    fn end(&self, done: u64, size: u64, left: u64) -> Result<u64, &'static str> {
        let end = self.at.checked_add(self.length as u64);
        let end = end.filter(|end| *end <= size);
        let end = end.ok_or("a piece lies beyond the end of its part")?;
        let can_be = (1..=PIECE).contains(&self.length) && self.packed <= PACKED;
        if self.at < done || !can_be || self.length as u64 > left {
            return Err("a piece has a place or length that cannot be");
        }
        Ok(end)
    }
}

/// The bytes of a piece, if it has as many as it says.
fn unpack(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    let decoder = StreamingDecoder::new_with_max_window_size(packed, PIECE as u64 * 2).ok()?;
    let mut bytes = Vec::with_capacity(length);
    let most = u64::try_from(length).ok()? + 1;
    decoder.take(most).read_to_end(&mut bytes).ok()?;
    (bytes.len() == length).then_some(bytes)
}
