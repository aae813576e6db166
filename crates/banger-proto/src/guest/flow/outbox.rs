//! The sending side of a channel: what was produced and is not acknowledged.
//!
//! It is kept in pieces. Small amounts are gathered in a [`Bytes`](Piece::Bytes) and copied into a
//! frame when they are sent. Large ones come as a [`DataFrame`] that their producer has filled: it
//! is sent and kept as it is, so that bulk is not copied here at all. A frame is sent whole, once;
//! where only a part of it may be sent, it becomes bytes first.

use super::{BadOffset, WINDOW};
use crate::guest::data_frame::DataFrame;
use std::collections::VecDeque;
use std::sync::Arc;

/// Frames that are kept to be filled again: those of a whole window.
const SPARE: usize = WINDOW / DataFrame::CAPACITY + 1;

/// The sending side of a channel. See the module.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Offset of the first byte that is kept.
    base: u64,
    pieces: VecDeque<Piece>,
    /// Bytes in `pieces`.
    kept: usize,
    /// Offset of the next byte to send in the present connection.
    sent: u64,
    /// What the receiver takes.
    limit: u64,
    ended: bool,
    end_sent: bool,
    spare: Vec<DataFrame>,
}

#[derive(Debug)]
enum Piece {
    Bytes(VecDeque<u8>),
    Frame {
        frame: Arc<DataFrame>,
        /// How many of its first bytes were acknowledged.
        acked: usize,
    },
}

impl Piece {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Frame { frame, acked } => frame.bytes().len() - acked,
        }
    }

    /// Its bytes, if it is a frame; otherwise nothing changes.
    fn become_bytes(&mut self) {
        if let Self::Frame { frame, acked } = self {
            let bytes = frame.bytes().get(*acked..).unwrap_or_default();
            *self = Self::Bytes(bytes.iter().copied().collect());
        }
    }
}

/// The next bytes to send.
#[derive(Debug)]
pub enum Taken<'a> {
    /// They lie in two halves, of which the second may be empty.
    Bytes([&'a [u8]; 2]),
    /// They lie in a frame, which is to be sealed.
    Frame(&'a mut Arc<DataFrame>),
}

impl Outbox {
    /// How many bytes may be produced now; the producer waits while it is 0.
    #[must_use]
    pub fn room(&self) -> usize {
        if self.ended {
            0
        } else {
            WINDOW.saturating_sub(self.kept)
        }
    }

    /// Takes what was produced: at most [`Self::room`] bytes; returns how many it took.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.get(..self.room()).unwrap_or(bytes);
        if taken.is_empty() {
            return 0;
        }
        self.kept += taken.len();
        match self.pieces.back_mut() {
            Some(Piece::Bytes(last)) => last.extend(taken),
            _ => self
                .pieces
                .push_back(Piece::Bytes(taken.iter().copied().collect())),
        }
        taken.len()
    }

    /// Takes a frame that was filled with what was produced, as it is; one that has more than
    /// [`Self::room`] bytes is taken as by [`Self::push`].
    pub fn push_frame(&mut self, frame: DataFrame) {
        if frame.bytes().is_empty() || frame.bytes().len() > self.room() {
            self.push(frame.bytes());
            self.give_back(frame);
            return;
        }
        self.kept += frame.bytes().len();
        let frame = Arc::new(frame);
        self.pieces.push_back(Piece::Frame { frame, acked: 0 });
    }

    /// A frame to fill.
    #[must_use]
    pub fn frame(&mut self) -> DataFrame {
        self.spare.pop().unwrap_or_default()
    }

    /// A frame that was not needed, or is needed no more.
    pub fn give_back(&mut self, frame: DataFrame) {
        if self.spare.len() < SPARE && !self.ended {
            self.spare.push(frame);
        }
    }

    /// Nothing more will be produced.
    pub fn end(&mut self) {
        self.ended = true;
        self.spare.clear();
    }

    /// Whether everything was produced, sent and acknowledged.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.ended && self.kept == 0
    }

    /// Whether [`Self::end`] was called.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// As [`Self::next`], copied.
    pub fn take(&mut self, most: usize) -> Option<Vec<u8>> {
        self.next(most).map(|taken| match taken {
            Taken::Bytes(halves) => halves.concat(),
            Taken::Frame(frame) => frame.bytes().to_vec(),
        })
    }

    /// The next bytes to send, at most `most`; they count as sent.
    pub fn next(&mut self, most: usize) -> Option<Taken<'_>> {
        let allowed = usize::try_from(self.limit.saturating_sub(self.sent)).unwrap_or(usize::MAX);
        let allowed = allowed.min(most);
        if allowed == 0 {
            return None;
        }
        let mut from = usize::try_from(self.sent - self.base).unwrap_or(usize::MAX);
        let piece = self.pieces.iter_mut().find(|piece| {
            let is_before = piece.len() <= from;
            from -= if is_before { piece.len() } else { 0 };
            !is_before
        })?;
        let count = (piece.len() - from).min(allowed);
        if count < piece.len() {
            piece.become_bytes();
        }
        self.sent += count as u64;
        Some(match piece {
            Piece::Bytes(bytes) => Taken::Bytes(slices(bytes, from, count)),
            Piece::Frame { frame, .. } => Taken::Frame(frame),
        })
    }

    /// Whether the end is to be sent now: once per connection, after the last byte.
    pub fn take_end(&mut self) -> bool {
        let now = self.ended && !self.end_sent && self.unsent() == 0;
        self.end_sent |= now;
        now
    }

    /// The receiver's credit: forgets what it has.
    ///
    /// # Errors
    /// When it acknowledges what was never sent; nothing changes then.
    pub fn credit(&mut self, acked: u64, limit: u64) -> Result<(), BadOffset> {
        if acked > self.sent {
            return Err(BadOffset {
                offset: acked,
                from: self.base,
                to: self.sent,
            });
        }
        self.forget(usize::try_from(acked.saturating_sub(self.base)).unwrap_or(usize::MAX));
        self.limit = self.limit.max(limit);
        Ok(())
    }

    /// Forgets so many of the first bytes.
    fn forget(&mut self, mut count: usize) {
        while let Some(first) = self.pieces.front_mut().filter(|_| count > 0) {
            let gone = first.len().min(count);
            count -= gone;
            self.kept -= gone;
            self.base += gone as u64;
            match first {
                Piece::Bytes(bytes) => drop(bytes.drain(..gone)),
                Piece::Frame { acked, .. } => *acked += gone,
            }
            if first.len() > 0 {
                return;
            }
            if let Some(Piece::Frame { frame, .. }) = self.pieces.pop_front()
                && let Ok(frame) = Arc::try_unwrap(frame)
            {
                self.give_back(frame);
            }
        }
    }

    /// A receiver (re)connects and continues from `from`, with no credit yet.
    ///
    /// # Errors
    /// When what it asks for was forgotten or never produced; nothing changes then.
    pub fn resume(&mut self, from: u64) -> Result<(), BadOffset> {
        let produced = self.produced();
        if !(self.base..=produced).contains(&from) {
            return Err(BadOffset {
                offset: from,
                from: self.base,
                to: produced,
            });
        }
        // A frame is sealed for one connection.
        self.pieces.iter_mut().for_each(Piece::become_bytes);
        self.sent = from;
        self.limit = from;
        self.end_sent = false;
        // Whoever asks for what comes after has what comes before.
        self.credit(from, from)
    }

    /// Bytes that were produced and not yet sent in the present connection.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        self.produced().saturating_sub(self.sent)
    }

    /// All bytes that were ever produced.
    #[must_use]
    pub fn produced(&self) -> u64 {
        self.base + self.kept as u64
    }

    /// Forgets everything that is kept, and takes no more: nobody will read it.
    pub fn discard(&mut self) {
        self.base = self.produced();
        self.sent = self.base;
        self.kept = 0;
        self.pieces.clear();
        self.spare.clear();
    }
}

fn slices(data: &VecDeque<u8>, from: usize, count: usize) -> [&[u8]; 2] {
    let (front, back) = data.as_slices();
    let in_front = front.get(from.min(front.len())..).unwrap_or_default();
    let in_front = in_front.get(..count).unwrap_or(in_front);
    let in_back = back
        .get(from.saturating_sub(front.len())..)
        .unwrap_or_default();
    let rest = count - in_front.len();
    [in_front, in_back.get(..rest).unwrap_or(in_back)]
}

#[cfg(test)]
mod tests;
