//! Datagrams in a channel: `length u16, payload`, one behind the other.
//!
//! The channel is a stream of bytes; the lengths keep the datagrams apart. A sender that has no credit
//! for a whole one drops it, as a network would: half of one would hold up all that come after.

/// The longest payload of a datagram: 65,535 less the headers of IPv4 and UDP (RFC 768, RFC 791).
pub const MAX_DATAGRAM: usize = 65_507;
/// What comes before a payload.
pub const PREFIX: usize = 2;

/// The peer announced a datagram that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a datagram of {0} bytes: at most {MAX_DATAGRAM} are possible")]
pub struct TooLong(pub usize);

/// The prefix of a payload; `None` when it is too long for a datagram.
#[must_use]
pub fn prefix(payload: &[u8]) -> Option<[u8; PREFIX]> {
    let length = u16::try_from(payload.len()).ok()?;
    (payload.len() <= MAX_DATAGRAM).then(|| length.to_le_bytes())
}

/// Puts datagrams together from the bytes of a channel. Keeps at most what was pushed last and one
/// datagram.
#[derive(Debug, Default)]
pub struct Datagrams {
    buffer: Vec<u8>,
    start: usize,
}

impl Datagrams {
    /// Adds bytes of the channel.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole datagram, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// When the length is one that no datagram has: nothing after it can be trusted.
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends from its own buffer, which no iterator can"
    )]
    pub fn next(&mut self) -> Result<Option<&[u8]>, TooLong> {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let Some((length, payload)) = rest.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_le_bytes(*length));
        if length > MAX_DATAGRAM {
            return Err(TooLong(length));
        }
        let whole = payload.get(..length);
        if whole.is_some() {
            self.start += PREFIX + length;
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(datagrams: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for datagram in datagrams {
            bytes.extend(prefix(datagram).expect("short"));
            bytes.extend(datagram);
        }
        bytes
    }

    #[test]
    fn the_longest_datagram_fits_and_one_more_byte_does_not() {
        assert!(prefix(&vec![0; MAX_DATAGRAM]).is_some());
        assert!(prefix(&vec![0; MAX_DATAGRAM + 1]).is_none());
        assert!(prefix(&vec![0; 70_000]).is_none());
    }

    proptest! {
        #[test]
        fn datagrams_come_out_as_they_went_in_however_the_bytes_were_cut(
            datagrams in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20),
            cuts in proptest::collection::vec(1_usize..200, 1..50),
        ) {
            let bytes = written(&datagrams);
            let (mut reader, mut out, mut rest) = (Datagrams::default(), Vec::new(), bytes.as_slice());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                reader.push(now);
                rest = later;
                while let Some(datagram) = reader.next().expect("lengths that are possible") {
                    out.push(datagram.to_vec());
                }
            }
            prop_assert_eq!(out, datagrams);
        }
    }

    mod t5 {
        use super::*;

        #[test]
        fn absurd_lengths_are_told_at_once_and_never_waited_for() {
            for length in [MAX_DATAGRAM + 1, 65_535] {
                let mut reader = Datagrams::default();
                reader.push(&u16::try_from(length).expect("fits").to_le_bytes());
                assert_eq!(reader.next(), Err(TooLong(length)));
            }
        }

        #[test]
        fn a_flood_of_small_pieces_keeps_no_more_than_one_datagram() {
            let mut reader = Datagrams::default();
            let whole = written(&[vec![7; MAX_DATAGRAM]]);
            for _ in 0..20 {
                for piece in whole.chunks(100) {
                    reader.push(piece);
                    while reader.next().expect("possible").is_some() {}
                    assert!(reader.buffer.len() <= MAX_DATAGRAM + PREFIX + 100);
                }
            }
        }

        proptest! {
            #[test]
            fn any_bytes_are_datagrams_or_told(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
                let mut reader = Datagrams::default();
                reader.push(&bytes);
                while let Ok(Some(datagram)) = reader.next() {
                    prop_assert!(datagram.len() <= MAX_DATAGRAM);
                }
            }
        }
    }
}
