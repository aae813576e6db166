//! Frames of one connection, between carrier and daemon: `kind u8, length u32, payload`. Numbers have their
//! lowest byte first.

/// The longest payload, in bytes.
pub const MAX_PAYLOAD: usize = 64 * 1024;
/// What comes before a payload.
const HEADER: usize = 5;

/// One thing that is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Both ways: bytes, at most [`MAX_PAYLOAD`].
    Data(Vec<u8>),
    /// Both ways: the other side's bytes before `acked` are there for good, those before `limit` are taken.
    Credit {
        /// See above.
        acked: u64,
        /// See above.
        limit: u64,
    },
    /// Both ways: no more bytes will come.
    End,
    /// Daemon → carrier: the guest has the connection, and so much of the client's bytes.
    Connected {
        /// How much of the client's bytes has arrived for good.
        stdin: u64,
        /// Whether it outlives this daemon's link to the guest.
        lasting: bool,
    },
    /// Daemon → carrier: the guest's connection has ended in order.
    Closed,
    /// Daemon → carrier: the guest's connection was reset, or there is none.
    Reset,
    /// Carrier → daemon: the guest broke a rule, in words. The last before the end.
    Broke(String),
}

/// Bytes that are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bytes that are no frame of a carrier's")]
pub struct BadFrame;

const DATA: u8 = 1;
const CREDIT: u8 = 2;
const END: u8 = 3;
const CONNECTED: u8 = 4;
const CLOSED: u8 = 5;
const RESET: u8 = 6;
const BROKE: u8 = 7;

/// Appends a frame with bytes, cut to [`MAX_PAYLOAD`].
pub fn write_data(out: &mut Vec<u8>, parts: [&[u8]; 2]) {
    put(out, DATA, parts);
}

/// Appends a frame; a payload that is too long is cut.
pub fn write(out: &mut Vec<u8>, frame: &Frame) {
    match frame {
        Frame::Data(bytes) => put(out, DATA, [bytes, &[]]),
        Frame::Credit { acked, limit } => {
            put(out, CREDIT, [&acked.to_le_bytes(), &limit.to_le_bytes()]);
        }
        Frame::End => put(out, END, [&[], &[]]),
        Frame::Connected { stdin, lasting } => {
            put(
                out,
                CONNECTED,
                [&stdin.to_le_bytes(), &[u8::from(*lasting)]],
            );
        }
        Frame::Closed => put(out, CLOSED, [&[], &[]]),
        Frame::Reset => put(out, RESET, [&[], &[]]),
        Frame::Broke(why) => put(out, BROKE, [why.as_bytes(), &[]]),
    }
}

fn put(out: &mut Vec<u8>, kind: u8, parts: [&[u8]; 2]) {
    let [first, second] = parts;
    let first = first.get(..MAX_PAYLOAD).unwrap_or(first);
    let second = second.get(..MAX_PAYLOAD - first.len()).unwrap_or(second);
    let length = u32::try_from(first.len() + second.len()).unwrap_or_default();
    out.push(kind);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(first);
    out.extend_from_slice(second);
}

/// The first frame in bytes and how many of them it takes; `None` when more are needed.
///
/// # Errors
/// When they are no frame: nothing after them can be trusted.
pub fn read(bytes: &[u8]) -> Result<Option<(Frame, usize)>, BadFrame> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let [kind, length @ ..] = *header;
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(|_| BadFrame)?;
    if length > MAX_PAYLOAD {
        return Err(BadFrame);
    }
    let Some(payload) = rest.get(..length) else {
        return Ok(None);
    };
    let frame = match (kind, length) {
        (DATA, _) => Frame::Data(payload.to_vec()),
        (CREDIT, 16) => Frame::Credit {
            acked: number(payload, 0)?,
            limit: number(payload, 8)?,
        },
        (END, 0) => Frame::End,
        (CONNECTED, 9) => Frame::Connected {
            stdin: number(payload, 0)?,
            lasting: payload.last() == Some(&1),
        },
        (CLOSED, 0) => Frame::Closed,
        (RESET, 0) => Frame::Reset,
        (BROKE, _) => Frame::Broke(String::from_utf8_lossy(payload).into_owned()),
        _ => return Err(BadFrame),
    };
    Ok(Some((frame, HEADER + length)))
}

fn number(payload: &[u8], at: usize) -> Result<u64, BadFrame> {
    let bytes = payload.get(at..at + 8).ok_or(BadFrame)?;
    Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| BadFrame)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_frame() -> impl Strategy<Value = Frame> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(Frame::Data),
            (any::<u64>(), any::<u64>()).prop_map(|(acked, limit)| Frame::Credit { acked, limit }),
            Just(Frame::End),
            (any::<u64>(), any::<bool>())
                .prop_map(|(stdin, lasting)| Frame::Connected { stdin, lasting }),
            Just(Frame::Closed),
            Just(Frame::Reset),
            "[a-z ]{0,40}".prop_map(Frame::Broke),
        ]
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_the_bytes_were_cut(
            frames in proptest::collection::vec(any_frame(), 0..20),
            cuts in proptest::collection::vec(1_usize..200, 1..50),
        ) {
            let mut bytes = Vec::new();
            frames.iter().for_each(|frame| write(&mut bytes, frame));
            let (mut kept, mut out, mut rest) = (Vec::new(), Vec::new(), bytes.as_slice());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                kept.extend_from_slice(now);
                rest = later;
                while let Some((frame, taken)) = read(&kept).expect("frames") {
                    kept.drain(..taken);
                    out.push(frame);
                }
            }
            prop_assert_eq!(out, frames);
        }
    }

    #[test]
    fn the_longest_bytes_fit_and_longer_ones_are_cut() {
        let mut bytes = Vec::new();
        write_data(&mut bytes, [&[7; MAX_PAYLOAD - 1], &[8, 9]]);
        let (frame, taken) = read(&bytes).expect("a frame").expect("whole");
        let Frame::Data(data) = frame else {
            panic!("{frame:?}")
        };
        assert_eq!((data.len(), data.last()), (MAX_PAYLOAD, Some(&8)));
        assert_eq!(taken, bytes.len());
    }

    mod t5 {
        use super::*;

        #[test]
        fn a_length_that_cannot_be_is_told_at_once() {
            assert_eq!(read(&[DATA, 1, 0, 1, 0]), Err(BadFrame));
            assert_eq!(read(&[9, 0, 0, 0, 0]), Err(BadFrame));
            assert_eq!(read(&[CREDIT, 1, 0, 0, 0, 1]), Err(BadFrame));
        }

        proptest! {
            #[test]
            fn any_bytes_are_frames_or_told(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
                let _ = read(&bytes);
            }
        }
    }
}
