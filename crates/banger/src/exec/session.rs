//! The client's side of a session, without IO: messages in, messages out.
//!
//! ```text
//!            open()                 opened()                        Ended
//!  (new) ──────────▶ connecting ──────────────▶ attached ─────────────────▶ (done)
//!                        ▲                         │ the link breaks
//!                        └───── open() again ◀─────┘
//! ```
//!
//! Offsets survive the link: what was received is never asked for again, what was not acknowledged
//! is sent again from where the guest says that it is.

use banger_proto::guest::flow::{BadOffset, Credit, Inbox, Outbox};
use banger_proto::owner::exec::{self, Attach, Ended, Open, Size, Start, channel};

/// The most that one message carries, in bytes: with its channel it fits a frame of the guest's
/// link.
pub const CHUNK: usize = 60 * 1024;

/// The daemon broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It sent more than it was allowed, or acknowledged what was not sent.
    #[error("the daemon broke the flow of channel {channel}: {source}")]
    Flow {
        /// The channel.
        channel: u8,
        /// How.
        source: BadOffset,
    },
    /// It sent something that cannot be read.
    #[error("the daemon sent an unreadable message on channel {0}")]
    Unreadable(u8),
}

/// What a message brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Brought {
    /// Nothing that anybody else needs to know.
    Nothing,
    /// Output: the bytes behind the message's first.
    Output(Stream),
    /// The last.
    Ended(Ended),
}

/// One of the two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or all of a terminal's.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    const fn channel(self) -> u8 {
        match self {
            Self::Out => channel::STDOUT,
            Self::Err => channel::STDERR,
        }
    }
}

/// A session.
#[derive(Debug)]
pub struct Session {
    start: Start,
    attached_once: bool,
    stdin: Outbox,
    stdout: Inbox,
    stderr: Inbox,
}

impl Session {
    /// A session that is to be started so; `start.session` must be its random id.
    #[must_use]
    pub fn new(start: Start) -> Self {
        let mut stdin = Outbox::default();
        if !start.stdin {
            stdin.end();
        }
        Self {
            start,
            attached_once: false,
            stdin,
            stdout: Inbox::default(),
            stderr: Inbox::default(),
        }
    }

    /// The first message of a connection. Starting twice is safe: the id is the same, and a guest
    /// that has the session only attaches.
    #[must_use]
    pub fn open(&self) -> Open {
        if self.attached_once {
            Open::Attach(Attach {
                session: self.start.session.clone(),
                stdout: self.stdout.received(),
                stderr: self.stderr.received(),
            })
        } else {
            Open::Start(self.start.clone())
        }
    }

    /// Whether the command has been started, as far as we know.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.attached_once
    }

    /// The daemon has attached us and has so many bytes of our input; returns what to send first.
    ///
    /// # Errors
    /// When it asks for input that was acknowledged before or never produced.
    pub fn opened(&mut self, stdin: u64) -> Result<Vec<Vec<u8>>, Broken> {
        self.stdin.resume(stdin).map_err(|source| Broken::Flow {
            channel: channel::STDIN,
            source,
        })?;
        self.attached_once = true;
        let stdout = self.stdout.first_credit(channel::STDOUT);
        let stderr = self.stderr.first_credit(channel::STDERR);
        Ok([stdout, stderr].map(credit_message).into())
    }

    /// A binary message has come.
    ///
    /// # Errors
    /// [`Broken`].
    pub fn receive(&mut self, message: &[u8]) -> Result<Brought, Broken> {
        let Some((channel, rest)) = message.split_first() else {
            return Ok(Brought::Nothing);
        };
        let channel = *channel;
        let flow = |source| Broken::Flow { channel, source };
        match channel {
            channel::STDOUT => {
                self.stdout.receive(rest.len()).map_err(flow)?;
                Ok(Brought::Output(Stream::Out))
            }
            channel::STDERR => {
                self.stderr.receive(rest.len()).map_err(flow)?;
                Ok(Brought::Output(Stream::Err))
            }
            channel::ENDED => serde_json::from_slice(rest)
                .map(Brought::Ended)
                .map_err(|_| Broken::Unreadable(channel)),
            channel::CREDIT => {
                let credit = Credit::from_bytes(rest).ok_or(Broken::Unreadable(channel))?;
                if credit.channel == channel::STDIN {
                    self.stdin
                        .credit(credit.acked, credit.limit)
                        .map_err(flow)?;
                }
                Ok(Brought::Nothing)
            }
            channel::END => {
                match rest {
                    [channel::STDOUT] => self.stdout.end(),
                    [channel::STDERR] => self.stderr.end(),
                    // The command takes no more input.
                    [channel::STDIN] => self.refuse_input(),
                    _ => {}
                }
                Ok(Brought::Nothing)
            }
            // A newer daemon's.
            _ => Ok(Brought::Nothing),
        }
    }

    fn refuse_input(&mut self) {
        self.stdin.end();
        self.stdin.discard();
    }

    /// Output was written; returns the credit if it is worth sending.
    pub fn wrote(&mut self, stream: Stream, count: usize) -> Option<Vec<u8>> {
        let inbox = match stream {
            Stream::Out => &mut self.stdout,
            Stream::Err => &mut self.stderr,
        };
        inbox.consume(count);
        inbox.credit(stream.channel()).map(credit_message)
    }

    /// How many bytes of input can be taken now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.stdin.room()
    }

    /// Whether more input may come.
    #[must_use]
    pub const fn takes_input(&self) -> bool {
        !self.stdin.is_ended()
    }

    /// Takes input: at most [`Self::room`] bytes; returns how many.
    pub fn input(&mut self, bytes: &[u8]) -> usize {
        self.stdin.push(bytes)
    }

    /// No more input will come.
    pub fn end_input(&mut self) {
        self.stdin.end();
    }

    /// The next message that may be sent.
    pub fn outgoing(&mut self) -> Option<Vec<u8>> {
        if let Some(bytes) = self.stdin.take(CHUNK) {
            let mut message = Vec::with_capacity(bytes.len() + 1);
            message.push(channel::STDIN);
            message.extend_from_slice(&bytes);
            return Some(message);
        }
        self.stdin
            .take_end()
            .then(|| vec![channel::END, channel::STDIN])
    }
}

fn credit_message(credit: Credit) -> Vec<u8> {
    let mut message = vec![channel::CREDIT];
    message.extend_from_slice(&credit.to_bytes());
    message
}

/// The message that sends a signal to the command.
#[must_use]
pub fn signal_message(signal: u8) -> Vec<u8> {
    vec![channel::SIGNAL, signal]
}

/// The message that tells the terminal's size.
#[must_use]
pub fn resize_message(size: Size) -> Vec<u8> {
    let mut message = vec![channel::RESIZE];
    message.extend(serde_json::to_vec(&size).unwrap_or_default());
    message
}

/// A random session id.
///
/// # Errors
/// When the host has no randomness.
pub fn random_id() -> Result<String, getrandom::Error> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)?;
    Ok(exec::show_session(id))
}

#[cfg(test)]
mod tests;
