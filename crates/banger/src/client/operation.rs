//! Long operations: lines of events, the last of them the outcome.

use super::request::Unanswered;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::operation::Event;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

/// The longest line that is read, in bytes.
const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// The events of an operation as they come.
pub struct Events {
    body: Incoming,
    lines: Lines,
}

impl Events {
    pub(super) fn new(body: Incoming) -> Self {
        Self {
            body,
            lines: Lines::default(),
        }
    }

    /// The next event. Safe to drop while it waits: nothing is lost.
    ///
    /// # Errors
    /// A fault when the stream ends before the operation does, or cannot be read.
    pub async fn next(&mut self) -> Result<Event, Fault> {
        loop {
            if let Some(event) = self.lines.take()? {
                return Ok(event);
            }
            match self.body.frame().await {
                None => return Err(ended_early()),
                Some(Err(error)) => return Err(Unanswered::Lost(error).into()),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.lines.push(data);
                    }
                }
            }
        }
    }
}

fn ended_early() -> Fault {
    Fault::new(
        FaultCode::Unavailable,
        "the daemon went away before the operation ended",
    )
    .with_remedy("see with `banger vm list` how far it came, then run the command again")
}

/// Bytes into what each line holds.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
    /// Where the search for a line's end goes on.
    searched: usize,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    pub(super) fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Fault> {
        loop {
            let fresh = self.pending.get(self.searched..).unwrap_or_default();
            let Some(length) = fresh.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.pending.len();
                return if self.searched > LONGEST_LINE {
                    Err(Unanswered::Unreadable("an event is too long".into()).into())
                } else {
                    Ok(None)
                };
            };
            let line: Vec<u8> = self.pending.drain(..=self.searched + length).collect();
            self.searched = 0;
            if !line.trim_ascii().is_empty() {
                return serde_json::from_slice(&line)
                    .map(Some)
                    .map_err(|error| Unanswered::Unreadable(error.to_string()).into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_however_their_bytes_are_cut() {
        let text =
            b"{\"event\":\"stage\",\"text\":\"a\"}\n\n{\"event\":\"note\",\"text\":\"b\"}\r\n";
        let mut lines = Lines::default();
        let mut events = Vec::new();
        for byte in text {
            lines.push(&[*byte]);
            events.extend(lines.take::<Event>().expect("readable"));
        }
        assert_eq!(
            events,
            [
                Event::Stage { text: "a".into() },
                Event::Note { text: "b".into() }
            ]
        );
        assert!(lines.pending.is_empty());
    }

    #[test]
    fn garbage_and_endless_lines_are_faults() {
        let mut lines = Lines::default();
        lines.push(b"nonsense\n");
        assert!(lines.take::<Event>().is_err());
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; LONGEST_LINE + 1]);
        assert!(lines.take::<Event>().is_err());
    }
}
