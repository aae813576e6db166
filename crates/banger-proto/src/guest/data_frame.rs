//! A frame of a channel's bytes that is filled where it is sent from.

use super::frame::{HEADER, Kind, MARKER, MAX_PAYLOAD, TRAILER};

/// Bytes before the channel's: the frame's header and the channel.
const HEAD: usize = HEADER + 1;
/// The longest frame on the wire.
const WIRE: usize = HEADER + MAX_PAYLOAD + TRAILER;

/// A [`Kind::Data`] frame with room around its bytes for what the wire adds: bulk is read into it,
/// written from it, and kept in it until it is acknowledged.
pub struct DataFrame {
    /// [`WIRE`] bytes.
    buffer: Box<[u8]>,
    /// How many bytes of the channel it has.
    length: usize,
}

impl DataFrame {
    /// How many bytes of a channel fit.
    pub const CAPACITY: usize = MAX_PAYLOAD - 1;

    /// Where to put bytes: all of [`Self::CAPACITY`]. Say how many with [`Self::set_length`].
    pub fn room(&mut self) -> &mut [u8] {
        self.buffer
            .get_mut(HEAD..HEAD + Self::CAPACITY)
            .unwrap_or_default()
    }

    /// So many bytes of [`Self::room`] were filled, at most [`Self::CAPACITY`].
    pub fn set_length(&mut self, length: usize) {
        self.length = length.min(Self::CAPACITY);
    }

    /// The bytes that were filled.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer
            .get(HEAD..HEAD + self.length)
            .unwrap_or_default()
    }

    /// Writes what the wire adds, for one connection, stream and channel.
    pub fn seal(&mut self, epoch: u32, stream: u32, channel: u8) {
        let payload = u16::try_from(self.length + 1).unwrap_or(u16::MAX);
        let [low, high] = payload.to_le_bytes();
        let [a, b, c, d] = stream.to_le_bytes();
        let head = [MARKER, Kind::Data as u8, low, high, a, b, c, d, channel];
        if let Some(room) = self.buffer.get_mut(..HEAD) {
            room.copy_from_slice(&head);
        }
        let end = HEAD + self.length;
        if let Some(room) = self.buffer.get_mut(end..end + TRAILER) {
            room.copy_from_slice(&epoch.to_le_bytes());
        }
    }

    /// The whole frame, after it was sealed.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        self.buffer
            .get(..HEAD + self.length + TRAILER)
            .unwrap_or_default()
    }
}

impl Default for DataFrame {
    fn default() -> Self {
        Self {
            buffer: vec![0; WIRE].into_boxed_slice(),
            length: 0,
        }
    }
}

impl std::fmt::Debug for DataFrame {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("DataFrame")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::frame;

    #[test]
    fn it_is_the_same_on_the_wire_as_a_frame_that_was_copied_together() {
        for length in [0, 1, 1000, DataFrame::CAPACITY] {
            let mut filled = DataFrame::default();
            filled.room().fill(7);
            filled.set_length(length);
            filled.seal(0x0102_0304, 9, 1);
            let mut copied = Vec::new();
            let bytes = vec![7; length];
            frame::write(&mut copied, 0x0102_0304, 9, Kind::Data, &[&[1], &bytes]).expect("fits");
            assert_eq!(filled.wire(), copied);
            assert_eq!(filled.bytes(), bytes);
        }
    }

    #[test]
    fn it_never_holds_more_than_a_frame_may() {
        let mut frame = DataFrame::default();
        frame.set_length(usize::MAX);
        frame.seal(1, 1, 1);
        assert_eq!(frame.bytes().len(), DataFrame::CAPACITY);
        assert_eq!(frame.wire().len(), 65_536);
    }
}
