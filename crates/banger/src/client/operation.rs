//! Long operations: lines of events, the last of them the outcome.

use super::Client;
use super::request::{self, Unanswered};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::operation::Event;
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

/// The longest line that is read, in bytes.
const LONGEST_LINE: usize = 4 * 1024 * 1024;

/// The events of an operation as they come, each once. When the daemon is lost, the next one goes on
/// with the operation, and is asked for the rest.
pub struct Events<'a> {
    client: &'a Client,
    op: String,
    /// Absent while the daemon is lost.
    body: Option<Incoming>,
    lines: Lines,
    heard: Heard,
}

impl<'a> Events<'a> {
    pub(super) fn of(client: &'a Client, op: String, answer: Response<Incoming>) -> Self {
        // A daemon that knows nothing of ids that clients choose has its own.
        let op = request::op_of(&answer).unwrap_or(op);
        Self {
            client,
            op,
            body: Some(answer.into_body()),
            lines: Lines::default(),
            heard: Heard::default(),
        }
    }

    /// The operation's id.
    #[must_use]
    pub fn op(&self) -> &str {
        &self.op
    }

    /// The next event. Safe to drop while it waits: nothing is lost.
    ///
    /// # Errors
    /// A fault when there is no daemon any more that knows the operation, or its answer cannot be read.
    pub async fn next(&mut self) -> Result<Event, Fault> {
        loop {
            if let Some(event) = self.lines.take::<Event>()? {
                if self.heard.is_new(&event) {
                    return Ok(event);
                }
                continue;
            }
            match &mut self.body {
                None => self.look_for_the_next().await?,
                Some(body) => match body.frame().await {
                    None | Some(Err(_)) => self.lose(),
                    Some(Ok(frame)) => {
                        if let Some(data) = frame.data_ref() {
                            self.lines.push(data);
                        }
                    }
                },
            }
        }
    }

    fn lose(&mut self) {
        self.body = None;
        self.lines = Lines::default();
        self.heard.begin_again();
    }

    async fn look_for_the_next(&mut self) -> Result<(), Fault> {
        match self.client.follow(&self.op).await {
            Ok(followed) => {
                self.body = followed.body;
                Ok(())
            }
            Err(fault) if fault.code == FaultCode::NotFound => Err(forgotten(&self.op)),
            Err(fault) => Err(fault),
        }
    }
}

fn forgotten(op: &str) -> Fault {
    Fault::new(
        FaultCode::Unavailable,
        "the daemon went away before the operation ended, and the next one does not know of it",
    )
    .with_remedy("see with `banger vm list` how far it came, then run the command again")
    .with_op(op)
}

/// What was told already. A story that is told again begins from its beginning, and one that another
/// daemon goes on with has stages that were told before.
#[derive(Debug, Default)]
struct Heard {
    all: Vec<Event>,
    /// Those that have not come again since the daemon was lost.
    expected: Vec<Event>,
}

impl Heard {
    fn is_new(&mut self, event: &Event) -> bool {
        if matches!(event, Event::Amount { .. }) || event.is_last() {
            return true;
        }
        if let Some(place) = self.expected.iter().position(|one| one == event) {
            self.expected.remove(place);
            return false;
        }
        self.all.push(event.clone());
        true
    }

    fn begin_again(&mut self) {
        self.expected.clone_from(&self.all);
    }
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
    fn each_event_is_told_once_however_often_the_daemon_is_lost() {
        let stage = |text: &str| Event::Stage { text: text.into() };
        let note = |text: &str| Event::Note { text: text.into() };
        let mut heard = Heard::default();
        let mut told = |events: &[Event]| -> usize {
            events.iter().filter(|event| heard.is_new(event)).count()
        };
        assert_eq!(told(&[stage("a"), stage("b"), stage("a")]), 3);
        heard.begin_again();
        let mut told = |events: &[Event]| -> usize {
            events.iter().filter(|event| heard.is_new(event)).count()
        };
        // The same story, and what has come since.
        assert_eq!(told(&[stage("a"), stage("b"), stage("a"), note("c")]), 1);
        heard.begin_again();
        let mut told = |events: &[Event]| -> usize {
            events.iter().filter(|event| heard.is_new(event)).count()
        };
        // Another daemon's, which did not need the first step again.
        assert_eq!(told(&[stage("b"), stage("d"), stage("a"), stage("a")]), 1);
        let done = Event::Done {
            result: serde_json::Value::Null,
        };
        assert_eq!(
            told(&[done.clone(), Event::Amount { done: 1, total: 2 }]),
            2
        );
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
