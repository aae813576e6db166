//! What is on its way to the host: frames in a row, filled fairly and written one after the other.

use super::wire::Wire;
use banger_proto::guest::data_frame::DataFrame;
use banger_proto::guest::frame::{self, Kind};
use rustix::io::Result;
use std::collections::VecDeque;
use std::sync::Arc;

/// How much is put in a row at once: large enough for few changes between reading and writing,
/// small enough that an answer behind it waits for less than a millisecond.
const FILL: usize = 256 * 1024;
/// Answers that a host lets lie unread before nothing more is read from it.
const CLOGGED: usize = 4 * 1024 * 1024;

/// A part of the row.
#[derive(Debug)]
enum Segment {
    /// Frames that were copied together.
    Bytes(Vec<u8>),
    /// A frame of bulk, where its channel keeps it.
    Frame(Arc<DataFrame>),
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Frame(frame) => frame.wire(),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    segments: VecDeque<Segment>,
    /// Bytes in `segments`.
    length: usize,
    /// Bytes of the first segment that were written.
    written: usize,
}

impl Outgoing {
    /// Forgets everything: another connection begins.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether there is room for more bulk.
    pub(super) const fn has_room(&self) -> bool {
        self.length - self.written < FILL
    }

    /// Whether the host reads so little that no more calls are taken from it.
    pub(super) const fn is_clogged(&self) -> bool {
        self.length - self.written > CLOGGED
    }

    /// Appends what `write` appends to the bytes that it is given.
    pub(super) fn append<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        if !matches!(self.segments.back(), Some(Segment::Bytes(_))) {
            self.segments.push_back(Segment::Bytes(Vec::new()));
        }
        let mut none = Vec::new();
        let bytes = match self.segments.back_mut() {
            Some(Segment::Bytes(bytes)) => bytes,
            _ => &mut none,
        };
        let before = bytes.len();
        let result = write(bytes);
        self.length += bytes.len() - before;
        result
    }

    /// Appends a message; one that is too long was bounded where it was made, and is left out.
    pub(super) fn message(&mut self, epoch: u32, stream: u32, kind: Kind, message: &[u8]) {
        self.append(|bytes| {
            let _ = frame::write_message(bytes, epoch, stream, kind, message);
        });
    }

    /// Appends a frame whose payload is the concatenation of `parts`, together no longer than a
    /// payload may be.
    pub(crate) fn frame(&mut self, epoch: u32, stream: u32, kind: Kind, parts: &[&[u8]]) {
        self.append(|bytes| {
            let _ = frame::write(bytes, epoch, stream, kind, parts);
        });
    }

    /// Appends a frame that was sealed.
    pub(crate) fn data_frame(&mut self, frame: Arc<DataFrame>) {
        self.length += frame.wire().len();
        self.segments.push_back(Segment::Frame(frame));
    }

    /// Writes as much as goes now; whether anything went.
    pub(super) fn flush(&mut self, wire: &mut Wire) -> Result<bool> {
        let mut moved = false;
        while let Some(first) = self.segments.front() {
            let whole = first.bytes().len();
            let rest = first.bytes().get(self.written..).unwrap_or_default();
            let count = wire.write(rest)?;
            moved |= count > 0;
            self.written += count;
            if self.written < whole {
                break;
            }
            self.segments.pop_front();
            self.length -= whole;
            self.written = 0;
        }
        Ok(moved)
    }

    /// Everything that is on its way, in a row.
    #[cfg(test)]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        self.segments
            .iter()
            .for_each(|segment| all.extend_from_slice(segment.bytes()));
        all
    }
}

#[cfg(test)]
mod t1;
