//! What is on its way to the host: one buffer that goes out in large writes, filled fairly.

use super::wire::Wire;
use banger_proto::guest::frame::{self, Kind};
use rustix::io::Result;

/// How much is put into the buffer at once: large enough for few writes, small enough that an
/// answer behind it waits for less than a millisecond.
const FILL: usize = 256 * 1024;
/// Answers that a host lets lie unread before nothing more is read from it.
const CLOGGED: usize = 4 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    buffer: Vec<u8>,
    written: usize,
}

impl Outgoing {
    /// Forgets everything: another connection begins.
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.written = 0;
    }

    /// Whether there is room for more bulk.
    pub(super) fn has_room(&self) -> bool {
        self.buffer.len() - self.written < FILL
    }

    /// Whether the host reads so little that no more calls are taken from it.
    pub(super) fn is_clogged(&self) -> bool {
        self.buffer.len() - self.written > CLOGGED
    }

    /// The buffer, to append to.
    pub(super) const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Appends a message; one that is too long was bounded where it was made, and is left out.
    pub(super) fn message(&mut self, epoch: u32, stream: u32, kind: Kind, message: &[u8]) {
        let _ = frame::write_message(&mut self.buffer, epoch, stream, kind, message);
    }

    /// Writes as much as goes now; whether anything went.
    pub(super) fn flush(&mut self, wire: &mut Wire) -> Result<bool> {
        let rest = self.buffer.get(self.written..).unwrap_or_default();
        let count = wire.write(rest)?;
        self.written += count;
        if self.written == self.buffer.len() {
            self.clear();
        } else if self.written >= FILL {
            self.buffer.drain(..self.written);
            self.written = 0;
        }
        Ok(count > 0)
    }
}
