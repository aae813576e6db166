//! The decoder, without IO: bytes in, hellos and frames out.
//!
//! ```text
//!              hello found                    marker, kind, length or epoch wrong
//!   hunting ───────────────▶ framed ──────────────────────────────────────────▶ lost
//!      ▲                        │ (guest: zeros of a flush look like this, too)    │
//!      └────────────────────────┴──────────────────────────────────────────────────┘
//! ```
//!
//! Both ends use it. The guest goes on hunting after it was lost; the host gives the connection up.
//! Memory is bounded by one frame and what was pushed last.

use super::frame::{Frame, HEADER, Kind, MARKER, MAX_PAYLOAD, TRAILER};
use super::hello::{self, GUEST_MAGIC, HOST_MAGIC, MAX_BODY};

/// What comes out of the decoder.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// A hello: frames of this nonce follow. The body is postcard.
    Hello {
        /// The connection's nonce.
        nonce: u64,
        /// The encoded [`hello::HostHello`] or [`hello::GuestHello`].
        body: &'a [u8],
    },
    /// A frame of the present connection.
    Frame(Frame<'a>),
    /// What came is no frame of this connection. The decoder hunts for the next hello.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Hunting,
    Framed { epoch: u32 },
}

/// Which hello a decoder looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seek {
    /// The guest's end: any host's hello, whose nonce it takes over.
    Host,
    /// The host's end: the answer with its own nonce, nothing else.
    Guest { nonce: u64 },
}

/// Turns the bytes of a connection into hellos and frames.
#[derive(Debug)]
pub struct Decoder {
    seek: Seek,
    state: State,
    buffer: Vec<u8>,
    /// Where in `buffer` the next undecoded byte lies.
    start: usize,
    skipped: u64,
}

const HELLO_HEAD: usize = 16 + 8 + 4;
const HELLO_TAIL: usize = 8;

enum Step {
    NeedMore,
    Skip(usize),
    Hello {
        nonce: u64,
        body: std::ops::Range<usize>,
        whole: usize,
    },
    Frame {
        stream: u32,
        kind: Kind,
        length: usize,
    },
    Lost,
}

impl Decoder {
    /// The guest's end.
    #[must_use]
    pub const fn for_guest() -> Self {
        Self::new(Seek::Host)
    }

    /// The host's end of a connection that was begun with `nonce`.
    #[must_use]
    pub const fn for_host(nonce: u64) -> Self {
        Self::new(Seek::Guest { nonce })
    }

    const fn new(seek: Seek) -> Self {
        Self {
            seek,
            state: State::Hunting,
            buffer: Vec::new(),
            start: 0,
            skipped: 0,
        }
    }

    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that were skipped while hunting since the last hello: the host bounds it.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whether part of a frame has come and the rest has not: the host bounds how long.
    #[must_use]
    pub fn is_in_frame(&self) -> bool {
        matches!(self.state, State::Framed { .. }) && self.start < self.buffer.len()
    }

    /// The next hello or frame; `None` when more bytes are needed.
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends from its own buffer, which no iterator can"
    )]
    pub fn next(&mut self) -> Option<Received<'_>> {
        loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            let step = match self.state {
                State::Hunting => hunt(rest, self.seek),
                State::Framed { epoch } => read_frame(rest, epoch),
            };
            match step {
                Step::NeedMore => return None,
                Step::Skip(count) => {
                    self.start += count;
                    self.skipped += count as u64;
                }
                Step::Hello { nonce, body, whole } => {
                    let from = self.start;
                    self.start += whole;
                    self.state = State::Framed {
                        epoch: hello::epoch(nonce),
                    };
                    self.skipped = 0;
                    let body = self.buffer.get(from + body.start..from + body.end)?;
                    return Some(Received::Hello { nonce, body });
                }
                Step::Frame {
                    stream,
                    kind,
                    length,
                } => {
                    let from = self.start + HEADER;
                    self.start = from + length + TRAILER;
                    let payload = self.buffer.get(from..from + length)?;
                    return Some(Received::Frame(Frame {
                        stream,
                        kind,
                        payload,
                    }));
                }
                Step::Lost => {
                    self.state = State::Hunting;
                    return Some(Received::Lost);
                }
            }
        }
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// Looks for a hello at the beginning of `rest`, or says how much cannot be part of one.
fn hunt(rest: &[u8], seek: Seek) -> Step {
    let magic = match seek {
        Seek::Host => HOST_MAGIC,
        Seek::Guest { .. } => GUEST_MAGIC,
    };
    // Most of what is hunted through are the zeros of a flush: one comparison for each of them.
    let begins = |at: &usize| rest.get(*at..).is_some_and(|rest| rest.starts_with(&magic));
    let last = (rest.len() + 1).saturating_sub(magic.len());
    let [first, ..] = magic;
    let candidates = rest.get(..last).unwrap_or_default().iter().enumerate();
    let found = candidates
        .filter_map(|(at, byte)| (*byte == first).then_some(at))
        .find(begins);
    match found {
        Some(0) => read_hello(rest, seek).unwrap_or(Step::NeedMore),
        Some(at) => Step::Skip(at),
        // The last 15 bytes may be the beginning of the magic.
        None if rest.len() >= magic.len() => Step::Skip(rest.len() - magic.len() + 1),
        None => Step::NeedMore,
    }
}

/// Reads the hello that begins `rest`; `None` when more bytes are needed.
fn read_hello(rest: &[u8], seek: Seek) -> Option<Step> {
    let nonce = u64::from_le_bytes(array(rest, 16)?);
    let length = u32::from_le_bytes(array(rest, 24)?) as usize;
    let is_mine = match seek {
        Seek::Host => true,
        Seek::Guest { nonce: mine } => nonce == mine,
    };
    if length > MAX_BODY || !is_mine {
        return Some(Step::Skip(1));
    }
    let end = u64::from_le_bytes(array(rest, HELLO_HEAD + length)?);
    if end != nonce {
        return Some(Step::Skip(1));
    }
    Some(Step::Hello {
        nonce,
        body: HELLO_HEAD..HELLO_HEAD + length,
        whole: HELLO_HEAD + length + HELLO_TAIL,
    })
}

/// Reads the frame that begins `rest`. A wrong header shows before its payload is awaited.
fn read_frame(rest: &[u8], epoch: u32) -> Step {
    if rest.first().is_some_and(|first| *first != MARKER) {
        return Step::Lost;
    }
    let Some(&[_, kind, low, high, s0, s1, s2, s3]) = rest.first_chunk::<HEADER>() else {
        return Step::NeedMore;
    };
    let length = usize::from(u16::from_le_bytes([low, high]));
    let (Some(kind), true) = (Kind::from_number(kind), length <= MAX_PAYLOAD) else {
        return Step::Lost;
    };
    match array(rest, HEADER + length).map(u32::from_le_bytes) {
        None => Step::NeedMore,
        Some(end) if end != epoch => Step::Lost,
        Some(_) => Step::Frame {
            stream: u32::from_le_bytes([s0, s1, s2, s3]),
            kind,
            length,
        },
    }
}

#[cfg(test)]
mod t5;
#[cfg(test)]
mod tests;
