//! Programs that a made-up guest has.

use banger_proto::fault::{Fault, FaultCode};
use banger_proto::guest::flow::{Outbox, WINDOW};
use banger_proto::owner::exec::{Ended, Start};
use std::collections::VecDeque;

/// A program that runs.
#[derive(Debug)]
pub enum Program {
    /// Copies input to output, then exits with 0.
    Cat(VecDeque<u8>),
    /// Writes until a signal ends it.
    Yes,
    /// Waits for a signal.
    Sleep,
    /// Its guest goes away.
    Lost,
    /// Has said what it had to say, and exits so.
    Said(u8),
}

impl Program {
    /// Starts it; `None` when there is no such program.
    pub fn start(start: &Start, stdout: &mut Outbox, stderr: &mut Outbox) -> Option<Self> {
        let words: Vec<&[u8]> = start.argv.iter().map(|word| word.0.as_slice()).collect();
        Some(match words.as_slice() {
            [b"cat"] => Self::Cat(VecDeque::new()),
            [b"yes"] => Self::Yes,
            [b"sleep"] => Self::Sleep,
            [b"lost"] => Self::Lost,
            [] => Self::Said(0),
            [b"exit", code] => Self::Said(std::str::from_utf8(code).ok()?.parse().ok()?),
            [b"both"] => {
                stdout.push(b"to out\n");
                stderr.push(b"to err\n");
                Self::Said(0)
            }
            [b"window"] => {
                stdout.push(&vec![b'x'; WINDOW]);
                Self::Said(0)
            }
            [b"args", rest @ ..] => {
                stdout.push(&rest.join(&0));
                Self::Said(0)
            }
            _ => return None,
        })
    }

    /// Does what it can; `Some` when it ends.
    pub fn step(&mut self, input_ended: bool, stdout: &mut Outbox) -> Option<Ended> {
        match self {
            Self::Cat(pending) => {
                let taken = stdout.push(pending.make_contiguous());
                pending.drain(..taken);
                (input_ended && pending.is_empty()).then_some(Ended::Code { code: 0 })
            }
            Self::Yes => {
                stdout.push(&b"y\n".repeat(1000));
                None
            }
            Self::Sleep => None,
            Self::Lost => Some(Ended::Failed {
                fault: Fault::new(FaultCode::Guest, "the guest went away"),
            }),
            Self::Said(code) => Some(Ended::Code { code: *code }),
        }
    }
}
