//! The channels of one stream, between the link and whoever produces and consumes their bytes.
//!
//! They outlive connections: [`Channels::attach`] says from where the peer of a new connection
//! continues. Nothing here waits or does IO; whoever waits does so on the [`Notify`]s.

use banger_proto::guest::flow::{BadOffset, Credit, Inbox, Outbox};
use banger_proto::guest::frame::{self, Kind, MAX_PAYLOAD};
use banger_proto::guest::message::{STDERR, STDIN, STDOUT};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use tokio::sync::Notify;

/// One of the two channels that bytes leave by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

impl Output {
    const fn channel(self) -> u8 {
        match self {
            Self::Stdout => STDOUT,
            Self::Stderr => STDERR,
        }
    }

    const fn from_channel(channel: u8) -> Option<Self> {
        match channel {
            STDOUT => Some(Self::Stdout),
            STDERR => Some(Self::Stderr),
            _ => None,
        }
    }
}

/// Why bytes that came are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("no such channel")]
    Channel,
    #[error(transparent)]
    Offset(#[from] BadOffset),
}

/// What became of asking for the next frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// There is nothing to send now.
    Nothing,
    /// A frame was written.
    Frame,
    /// A frame was written, and nothing will follow in this connection.
    Last,
}

#[derive(Debug, Default)]
struct Sending {
    outbox: Outbox,
    end_sent: bool,
}

#[derive(Debug, Default)]
struct State {
    stdout: Sending,
    stderr: Sending,
    /// The output whose turn it is, so that neither waits for ever.
    stderr_first: bool,
    stdin: Inbox,
    input: VecDeque<u8>,
    takes_input: bool,
    credit_due: bool,
    notice: Option<Vec<u8>>,
    has_last: bool,
}

impl State {
    const fn sending(&mut self, output: Output) -> &mut Sending {
        match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Channels {
    state: RefCell<State>,
    discards: Cell<bool>,
    /// There may be room for standard output, and for standard error: one waiter each.
    room: [Notify; 2],
    /// There is input, or its end.
    pub(crate) input: Notify,
    /// Tells the link that there is something to send.
    link: Rc<Notify>,
}

impl Channels {
    /// Channels whose output ends with `End` frames alone (a file).
    pub(crate) fn new(link: Rc<Notify>, takes_input: bool) -> Self {
        let state = State {
            takes_input,
            credit_due: takes_input,
            ..State::default()
        };
        Self {
            state: RefCell::new(state),
            discards: Cell::new(false),
            room: [Notify::new(), Notify::new()],
            input: Notify::new(),
            link,
        }
    }

    /// Bytes came from the peer.
    pub(crate) fn receive(&self, channel: u8, bytes: &[u8]) -> Result<(), Violation> {
        let mut state = self.state.borrow_mut();
        if channel != STDIN {
            return Err(Violation::Channel);
        }
        state.stdin.receive(bytes.len())?;
        if state.takes_input {
            state.input.extend(bytes);
            self.input.notify_one();
        } else {
            // Nobody reads it any more, as with /dev/null.
            state.stdin.consume(bytes.len());
            self.link.notify_one();
        }
        Ok(())
    }

    /// The peer has ended a channel.
    pub(crate) fn receive_end(&self, channel: u8) -> Result<(), Violation> {
        if channel != STDIN {
            return Err(Violation::Channel);
        }
        self.end_input();
        Ok(())
    }

    /// No more input will come.
    pub(crate) fn end_input(&self) {
        self.state.borrow_mut().stdin.end();
        self.input.notify_one();
    }

    /// The peer has and takes.
    pub(crate) fn credit(&self, credit: Credit) -> Result<(), Violation> {
        let output = Output::from_channel(credit.channel).ok_or(Violation::Channel)?;
        let mut state = self.state.borrow_mut();
        state
            .sending(output)
            .outbox
            .credit(credit.acked, credit.limit)?;
        self.room_of(output).notify_one();
        self.link.notify_one();
        Ok(())
    }

    /// A peer attaches that has the output up to these offsets; returns how much input is here.
    pub(crate) fn attach(&self, stdout: u64, stderr: u64) -> Result<u64, BadOffset> {
        let mut state = self.state.borrow_mut();
        // Both are asked before either is changed for good: resuming at where it is undoes it.
        state.stdout.outbox.resume(stdout)?;
        state.stderr.outbox.resume(stderr)?;
        state.stdout.end_sent = false;
        state.stderr.end_sent = false;
        state.has_last = false;
        state.credit_due = !state.stdin.is_ended();
        self.room_of(Output::Stdout).notify_one();
        self.room_of(Output::Stderr).notify_one();
        Ok(state.stdin.received())
    }

    const fn room_of(&self, output: Output) -> &Notify {
        let [stdout, stderr] = &self.room;
        match output {
            Output::Stdout => stdout,
            Output::Stderr => stderr,
        }
    }

    /// How many bytes may be produced now.
    pub(crate) fn room(&self, output: Output) -> usize {
        if self.discards.get() {
            return usize::MAX;
        }
        self.state.borrow_mut().sending(output).outbox.room()
    }

    /// Waits until there may be room.
    pub(crate) async fn wait_for_room(&self, output: Output) {
        self.room_of(output).notified().await;
    }

    /// Takes what was produced, at most [`Self::room`] bytes.
    pub(crate) fn produce(&self, output: Output, bytes: &[u8]) {
        if !self.discards.get() {
            self.state.borrow_mut().sending(output).outbox.push(bytes);
            self.link.notify_one();
        }
    }

    /// Nothing more will be produced there.
    pub(crate) fn finish(&self, output: Output) {
        self.state.borrow_mut().sending(output).outbox.end();
        self.link.notify_one();
    }

    /// What is to be said when all output was sent, as the last thing.
    pub(crate) fn conclude(&self, notice: Vec<u8>) {
        self.state.borrow_mut().notice = Some(notice);
        self.link.notify_one();
    }

    /// Output is thrown away from now on.
    pub(crate) fn discard_output(&self) {
        self.discards.set(true);
        let mut state = self.state.borrow_mut();
        state.stdout.outbox.discard();
        state.stderr.outbox.discard();
        drop(state);
        self.room.iter().for_each(Notify::notify_one);
    }

    /// Input is thrown away from now on: its reader is gone.
    pub(crate) fn discard_input(&self) {
        let mut state = self.state.borrow_mut();
        let waiting = state.input.len();
        state.input.clear();
        state.takes_input = false;
        state.stdin.consume(waiting);
        self.input.notify_one();
        self.link.notify_one();
    }

    /// Hands the input that waits to `take`, which says how much of it it took.
    pub(crate) fn take_input<E>(
        &self,
        take: impl FnOnce(&[u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let mut state = self.state.borrow_mut();
        let (front, _) = state.input.as_slices();
        let taken = take(front)?;
        state.input.drain(..taken);
        state.stdin.consume(taken);
        self.link.notify_one();
        Ok(taken)
    }

    /// Whether input waits.
    pub(crate) fn has_input(&self) -> bool {
        !self.state.borrow().input.is_empty()
    }

    /// Whether all input has come and was taken, or nobody takes it any more.
    pub(crate) fn is_input_over(&self) -> bool {
        let state = self.state.borrow();
        !state.takes_input || (state.input.is_empty() && state.stdin.is_ended())
    }

    /// Writes the next frame; before the call is `answered`, only credit for input is due.
    pub(crate) fn next_frame(
        &self,
        out: &mut Vec<u8>,
        epoch: u32,
        stream: u32,
        answered: bool,
    ) -> Sent {
        let mut state = self.state.borrow_mut();
        let mut write = |kind, parts: &[&[u8]]| {
            // Nothing here is longer than a payload may be.
            let _ = frame::write(out, epoch, stream, kind, parts);
            Sent::Frame
        };
        let credit = match state.credit_due {
            true => Some(state.stdin.first_credit(STDIN)),
            false if state.stdin.is_ended() => None,
            false => state.stdin.credit(STDIN),
        };
        state.credit_due = false;
        if let Some(credit) = credit {
            return write(Kind::Credit, &[&credit.to_bytes()]);
        }
        if !answered || state.has_last {
            return Sent::Nothing;
        }
        let turns = match state.stderr_first {
            true => [Output::Stderr, Output::Stdout],
            false => [Output::Stdout, Output::Stderr],
        };
        for output in turns {
            let channel = [output.channel()];
            let sending = state.sending(output);
            if let Some([front, back]) = sending.outbox.take_slices(MAX_PAYLOAD - 1) {
                let sent = write(Kind::Data, &[&channel, front, back]);
                state.stderr_first = output == Output::Stdout;
                return sent;
            }
            if sending.outbox.take_end() {
                sending.end_sent = true;
                return write(Kind::End, &[&channel]);
            }
        }
        if !state.stdout.end_sent || !state.stderr.end_sent {
            return Sent::Nothing;
        }
        let Some(notice) = &state.notice else {
            return Sent::Nothing;
        };
        if !notice.is_empty() {
            write(Kind::Notice, &[notice]);
        }
        state.has_last = true;
        Sent::Last
    }
}

#[cfg(test)]
mod tests;
