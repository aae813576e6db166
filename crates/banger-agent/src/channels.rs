//! The channels of one stream, between the link and whoever produces and consumes their bytes.
//!
//! They outlive connections: [`Channels::attach`] says from where the peer of a new connection
//! continues. Nothing here waits or does IO; whoever waits does so on the [`Notify`]s.

use crate::link::Outgoing;
use banger_proto::guest::data_frame::DataFrame;
use banger_proto::guest::flow::{BadOffset, Credit, Inbox, Outbox, Taken};
use banger_proto::guest::frame::Kind;
use banger_proto::guest::message::{STDERR, STDIN, STDOUT};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Notify;

/// From so many bytes on a frame goes as it was filled; fewer are copied, so that what is kept takes
/// at most twice its own room.
const BULK: usize = DataFrame::CAPACITY / 2;
/// How much is read into a frame: the most whole pages that fit, as a pipe gives whole pages.
const READ: usize = DataFrame::CAPACITY / 4096 * 4096;

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

/// Takes a frame that was filled, as it is if that is worth its room.
fn take(outbox: &mut Outbox, frame: DataFrame) {
    if frame.bytes().len() >= BULK {
        outbox.push_frame(frame);
    } else {
        outbox.push(frame.bytes());
        outbox.give_back(frame);
    }
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

impl Sending {
    /// Sends the next bytes or the end; whether there was anything.
    fn next_frame(&mut self, output: Output, out: &mut Outgoing, epoch: u32, stream: u32) -> bool {
        let channel = output.channel();
        match self.outbox.next(DataFrame::CAPACITY) {
            Some(Taken::Bytes([front, back])) => {
                out.frame(epoch, stream, Kind::Data, &[&[channel], front, back]);
                true
            }
            Some(Taken::Frame(frame)) => {
                // Nobody else has it before it was sent.
                if let Some(frame) = Arc::get_mut(frame) {
                    frame.seal(epoch, stream, channel);
                }
                out.data_frame(Arc::clone(frame));
                true
            }
            None => self.next_end(channel, out, epoch, stream),
        }
    }

    /// Sends the end, if it is due.
    fn next_end(&mut self, channel: u8, out: &mut Outgoing, epoch: u32, stream: u32) -> bool {
        let due = self.outbox.take_end();
        if due {
            self.end_sent = true;
            out.frame(epoch, stream, Kind::End, &[&[channel]]);
        }
        due
    }
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

    /// Credit for input that is due.
    fn next_credit(&mut self) -> Option<Credit> {
        if std::mem::take(&mut self.credit_due) {
            return Some(self.stdin.first_credit(STDIN));
        }
        match self.stdin.is_ended() {
            true => None,
            false => self.stdin.credit(STDIN),
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

    /// Takes what `read` reads into the rooms that it is given: at most `most` bytes, themselves at
    /// most [`Self::room`], and no more than so many `frames` hold.
    pub(crate) fn produce_with<E>(
        &self,
        output: Output,
        most: usize,
        frames: usize,
        read: impl FnOnce(&mut [IoSliceMut<'_>]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let mut state = self.state.borrow_mut();
        let outbox = &mut state.sending(output).outbox;
        let count = most.div_ceil(READ).clamp(1, frames);
        let mut frames: Vec<DataFrame> = std::iter::repeat_with(|| outbox.frame())
            .take(count)
            .collect();
        let mut left = most;
        let mut rooms: Vec<_> = frames
            .iter_mut()
            .map(|frame| {
                let room = left.min(READ);
                left -= room;
                IoSliceMut::new(frame.room().get_mut(..room).unwrap_or_default())
            })
            .collect();
        let outcome = read(&mut rooms);
        let mut left = *outcome.as_ref().unwrap_or(&0);
        for mut frame in frames {
            let length = left.min(READ);
            left -= length;
            frame.set_length(length);
            match self.discards.get() {
                true => outbox.give_back(frame),
                false => take(outbox, frame),
            }
        }
        self.link.notify_one();
        outcome
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

    /// Sends the next frame; before the call is `answered`, only credit for input is due.
    pub(crate) fn next_frame(
        &self,
        out: &mut Outgoing,
        epoch: u32,
        stream: u32,
        answered: bool,
    ) -> Sent {
        let mut state = self.state.borrow_mut();
        if let Some(credit) = state.next_credit() {
            out.frame(epoch, stream, Kind::Credit, &[&credit.to_bytes()]);
            return Sent::Frame;
        }
        if !answered || state.has_last {
            return Sent::Nothing;
        }
        let turns = match state.stderr_first {
            true => [Output::Stderr, Output::Stdout],
            false => [Output::Stdout, Output::Stderr],
        };
        for output in turns {
            if state.sending(output).next_frame(output, out, epoch, stream) {
                state.stderr_first = output == Output::Stdout;
                return Sent::Frame;
            }
        }
        if !state.stdout.end_sent || !state.stderr.end_sent {
            return Sent::Nothing;
        }
        let Some(notice) = &state.notice else {
            return Sent::Nothing;
        };
        if !notice.is_empty() {
            out.frame(epoch, stream, Kind::Notice, &[notice]);
        }
        state.has_last = true;
        Sent::Last
    }
}

#[cfg(test)]
mod tests;
