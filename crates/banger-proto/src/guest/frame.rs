//! One frame: `marker u8, kind u8, length u16, stream u32, payload, epoch u32`, little-endian.

/// The first byte of every frame: neither zero nor text, so that garbage shows at once.
pub const MARKER: u8 = 0xb9;
/// Bytes before the payload.
pub const HEADER: usize = 8;
/// Bytes after the payload.
pub const TRAILER: usize = 4;
/// The longest payload: a whole frame is at most 64 KiB, so that a short frame never waits long
/// behind a long one.
pub const MAX_PAYLOAD: usize = 65_536 - HEADER - TRAILER;

/// The longest message in parts: what Linux allows for arguments and environment together by
/// default (a quarter of an 8 MiB stack, execve(2)), and room for the rest.
pub const MAX_MESSAGE: usize = 2 * 1024 * 1024 + 65_536;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// host → guest: opens the stream; a [`super::message::Call`].
    Call = 1,
    /// guest → host: a [`super::message::Answer`] or a fault; exactly one per call.
    Answer = 2,
    /// Bytes of a channel: `channel u8`, then the bytes.
    Data = 3,
    /// What the receiver of a channel has and takes: a [`super::flow::Credit`].
    Credit = 4,
    /// No more bytes will come in a channel: `channel u8`.
    End = 5,
    /// guest → host: a [`super::message::Notice`].
    Notice = 6,
    /// host → guest: a [`super::message::Steer`].
    Steer = 7,
    /// The sender forgets the stream. What the call started goes on.
    Close = 8,
    /// The beginning of a [`Kind::Call`] or [`Kind::Answer`] that is longer than a frame; the next
    /// frame of the stream goes on. The whole is at most [`MAX_MESSAGE`].
    Part = 9,
}

impl Kind {
    /// The kind with that number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Call,
            2 => Self::Answer,
            3 => Self::Data,
            4 => Self::Credit,
            5 => Self::End,
            6 => Self::Notice,
            7 => Self::Steer,
            8 => Self::Close,
            9 => Self::Part,
            _ => return None,
        })
    }
}

/// A received frame; the payload lies in the decoder's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The stream that it belongs to.
    pub stream: u32,
    /// What it is.
    pub kind: Kind,
    /// Its payload, at most [`MAX_PAYLOAD`] bytes.
    pub payload: &'a [u8],
}

/// The payload of a frame would be longer than [`MAX_PAYLOAD`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message of {0} bytes is too long for the guest protocol")]
pub struct TooLong(pub usize);

/// Appends a frame whose payload is the concatenation of `parts`.
///
/// # Errors
/// [`TooLong`]; `out` is unchanged then.
pub fn write(
    out: &mut Vec<u8>,
    epoch: u32,
    stream: u32,
    kind: Kind,
    parts: &[&[u8]],
) -> Result<(), TooLong> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let short = u16::try_from(length)
        .ok()
        .filter(|_| length <= MAX_PAYLOAD)
        .ok_or(TooLong(length))?;
    out.reserve(HEADER + length + TRAILER);
    out.extend_from_slice(&[MARKER, kind as u8]);
    out.extend_from_slice(&short.to_le_bytes());
    out.extend_from_slice(&stream.to_le_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(&epoch.to_le_bytes());
    Ok(())
}

/// Appends a message of any length up to [`MAX_MESSAGE`], in parts where it needs them.
///
/// # Errors
/// [`TooLong`]; `out` is unchanged then.
pub fn write_message(
    out: &mut Vec<u8>,
    epoch: u32,
    stream: u32,
    kind: Kind,
    message: &[u8],
) -> Result<(), TooLong> {
    if message.len() > MAX_MESSAGE {
        return Err(TooLong(message.len()));
    }
    let mut rest = message;
    while let Some((part, more)) = rest
        .split_at_checked(MAX_PAYLOAD)
        .filter(|(_, m)| !m.is_empty())
    {
        write(out, epoch, stream, Kind::Part, &[part])?;
        rest = more;
    }
    write(out, epoch, stream, kind, &[rest])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_goes_in_parts_and_an_absurd_one_is_refused() {
        let mut out = Vec::new();
        write_message(&mut out, 1, 1, Kind::Call, &vec![1; MAX_PAYLOAD]).expect("fits");
        assert_eq!((out.len(), out.get(1)), (65_536, Some(&(Kind::Call as u8))));
        out.clear();
        write_message(&mut out, 1, 1, Kind::Call, &vec![1; MAX_PAYLOAD + 1]).expect("fits");
        assert_eq!(
            (out.len(), out.get(1)),
            (65_536 + 13, Some(&(Kind::Part as u8)))
        );
        assert!(write_message(&mut out, 1, 1, Kind::Call, &vec![1; MAX_MESSAGE + 1]).is_err());
    }

    #[test]
    fn kinds_read_back_from_their_numbers() {
        for number in 0..=u8::MAX {
            if let Some(kind) = Kind::from_number(number) {
                assert_eq!(kind as u8, number);
            }
        }
        assert_eq!(Kind::from_number(0), None);
        assert_eq!(Kind::from_number(10), None);
    }

    #[test]
    fn the_longest_frame_is_64_kib_and_a_longer_one_is_refused() {
        let mut out = Vec::new();
        let payload = vec![7; MAX_PAYLOAD];
        assert_eq!(write(&mut out, 1, 1, Kind::Data, &[&payload]), Ok(()));
        assert_eq!(out.len(), 65_536);
        assert_eq!(
            write(&mut out, 1, 1, Kind::Data, &[&payload, &[0]]),
            Err(TooLong(MAX_PAYLOAD + 1))
        );
        assert_eq!(out.len(), 65_536);
    }
}
