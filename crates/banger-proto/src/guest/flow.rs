//! Credit: how the bytes of a channel are bounded, acknowledged and sent again.
//!
//! Offsets count the bytes of a channel from its beginning, across connections. The receiver says
//! what it *has* (the sender may forget it) and up to where it *takes* more. The sender keeps what
//! is not acknowledged, so memory on both sides is bounded by the window, and a receiver that comes
//! back names the offset from which it continues.

mod outbox;

pub use outbox::{Outbox, Taken};

/// The window of a channel, in bytes: how much may be sent and not acknowledged. Few bytes are under
/// way at a time; the rest is there so that both sides work in large pieces. As much as a pipe may
/// hold without privileges (pipe(7)).
pub const WINDOW: usize = 1024 * 1024;

const WINDOW_BYTES: u64 = WINDOW as u64;

/// What the receiver of a channel has and takes. Wire form: `channel u8, acked u64, limit u64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// The channel.
    pub channel: u8,
    /// All bytes before this offset have arrived for good.
    pub acked: u64,
    /// Bytes before this offset may be sent.
    pub limit: u64,
}

impl Credit {
    /// The wire form.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 17] {
        let mut bytes = [0; 17];
        let (channel, offsets) = bytes.split_at_mut(1);
        channel.copy_from_slice(&[self.channel]);
        let (acked, limit) = offsets.split_at_mut(8);
        acked.copy_from_slice(&self.acked.to_le_bytes());
        limit.copy_from_slice(&self.limit.to_le_bytes());
        bytes
    }

    /// Reads the wire form; `None` when it is none.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (channel, offsets) = bytes.split_first()?;
        let (acked, limit) = offsets.split_at_checked(8)?;
        Some(Self {
            channel: *channel,
            acked: u64::from_le_bytes(acked.try_into().ok()?),
            limit: u64::from_le_bytes(limit.try_into().ok()?),
        })
    }
}

/// The peer named an offset that cannot be: it lies, or bytes were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("offset {offset} is outside of {from} to {to}")]
pub struct BadOffset {
    /// What the peer said.
    pub offset: u64,
    /// The least that is possible.
    pub from: u64,
    /// The most that is possible.
    pub to: u64,
}

/// The receiving side of a channel.
#[derive(Debug, Default)]
pub struct Inbox {
    received: u64,
    consumed: u64,
    told: u64,
    ended: bool,
}

impl Inbox {
    /// Continues at an offset: everything before it was received and consumed.
    #[must_use]
    pub const fn resumed(at: u64) -> Self {
        Self {
            received: at,
            consumed: at,
            told: at,
            ended: false,
        }
    }

    /// Bytes have come.
    ///
    /// # Errors
    /// When they are more than was allowed.
    pub fn receive(&mut self, count: usize) -> Result<(), BadOffset> {
        let received = self.received + count as u64;
        let limit = self.consumed + WINDOW_BYTES;
        if received > limit || self.ended {
            return Err(BadOffset {
                offset: received,
                from: self.received,
                to: limit,
            });
        }
        self.received = received;
        Ok(())
    }

    /// The end has come.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether the end has come.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Bytes were handed on and no longer take room.
    pub fn consume(&mut self, count: usize) {
        self.consumed = (self.consumed + count as u64).min(self.received);
    }

    /// All bytes that have come.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// All bytes that were handed on.
    #[must_use]
    pub const fn consumed(&self) -> u64 {
        self.consumed
    }

    /// The first credit of a connection.
    pub fn first_credit(&mut self, channel: u8) -> Credit {
        self.told = self.consumed;
        Credit {
            channel,
            acked: self.consumed,
            limit: self.consumed + WINDOW_BYTES,
        }
    }

    /// A credit that is worth sending: when a quarter of the window was consumed since the last.
    pub fn credit(&mut self, channel: u8) -> Option<Credit> {
        (self.consumed - self.told >= WINDOW_BYTES / 4).then(|| self.first_credit(channel))
    }
}

#[cfg(test)]
mod tests;
