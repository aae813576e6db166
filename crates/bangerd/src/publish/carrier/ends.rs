//! What a connection has towards the guest, kept over the ends of daemons.
//!
//! ```text
//!   client's bytes ──▶ outbox, until the agent has them ──▶ door ──▶ daemon
//!   guest's bytes ◀── handed on at once, counted        ◀── door ◀── daemon
//! ```

use super::crowd::{Member, Served};
use crate::publish::door::{Door, FULL};
use banger_proto::carrier::frame::{Frame, MAX_PAYLOAD};
use banger_proto::carrier::{Reply, Serving, line};
use banger_proto::guest::flow::{Outbox, Taken, WINDOW};
use std::time::Duration;

/// What the guest may send and the client has not taken, and what is sent and the guest has not taken,
/// in bytes: half of what a session has, since there may be hundreds of connections. More than the
/// longest datagram and what the agent leaves unacknowledged (a quarter of [`WINDOW`]).
pub(super) const CARRIED: usize = WINDOW / 2;
const CARRIED_BYTES: u64 = CARRIED as u64;
/// How long the last words to a daemon may take.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The connection is over, and not in order.
#[derive(Debug)]
pub(super) struct BrokenOff;

impl<T: std::error::Error> From<T> for BrokenOff {
    fn from(_: T) -> Self {
        Self
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ends {
    member: Member,
    door: Option<Door>,
    outbox: Outbox,
    /// The guest has the connection on the present door.
    attached: bool,
    /// It had it before.
    connected: bool,
    /// It outlives the link of the daemon that connected it.
    lasting: bool,
    /// Bytes of the guest: that came, that were taken, and that it was told were taken.
    received: u64,
    taken: u64,
    told: u64,
    /// The guest's server sends no more.
    pub(super) ended: bool,
    /// The guest's connection is over.
    pub(super) closed: bool,
}

/// What can be done now.
pub(super) enum Ready {
    /// A daemon came for it.
    Door(Served),
    /// The daemon has said something, or is gone.
    Read,
    /// There is room towards the daemon.
    Write,
}

impl Ends {
    pub(super) fn new(member: Member) -> Self {
        Self {
            member,
            door: None,
            outbox: Outbox::default(),
            attached: false,
            connected: false,
            lasting: false,
            received: 0,
            taken: 0,
            told: 0,
            ended: false,
            closed: false,
        }
    }

    /// How many bytes of the client may be put now.
    pub(super) fn room(&self) -> usize {
        self.outbox.room().saturating_sub(WINDOW - CARRIED)
    }

    /// Bytes that were put and that no daemon has taken.
    pub(super) fn unsent(&self) -> u64 {
        self.outbox.unsent()
    }

    /// Takes bytes of the client, at most [`Self::room`].
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.outbox.push(bytes);
    }

    /// The client sends no more.
    pub(super) fn end(&mut self) {
        self.outbox.end();
    }

    /// Bytes of the guest were handed to the client.
    pub(super) const fn consume(&mut self, count: usize) {
        self.taken += count as u64;
    }

    /// Waits until something can be done; to be followed by [`Self::go_on`]. Cancel-safe.
    pub(super) async fn ready(&mut self) -> Ready {
        let Self { member, door, .. } = self;
        let (readable, writable) = (
            async {
                match &door {
                    // An error shows when it is read.
                    Some(door) => drop(door.socket().readable().await),
                    None => std::future::pending().await,
                }
            },
            async {
                match &door {
                    Some(door) if door.waiting() > 0 => drop(door.socket().writable().await),
                    _ => std::future::pending().await,
                }
            },
        );
        tokio::select! {
            served = member.served() => Ready::Door(served),
            () = readable => Ready::Read,
            () = writable => Ready::Write,
        }
    }

    /// Does it, and hands bytes of the guest to `come`.
    pub(super) fn go_on(
        &mut self,
        ready: Ready,
        mut come: impl FnMut(&[u8]),
    ) -> Result<(), BrokenOff> {
        let done = match ready {
            Ready::Door(served) => return self.begin(served),
            Ready::Write => self.door.as_mut().map_or(Ok(()), Door::write),
            Ready::Read => self.door.as_mut().map_or(Ok(()), Door::read),
        };
        if done.is_err() {
            return self.lost();
        }
        loop {
            let next = self.door.as_mut().map_or(Ok(None), Door::next);
            let fits = match next {
                Err(_) => false,
                Ok(None) => return Ok(()),
                Ok(Some(frame)) => self.take(frame, &mut come)?,
            };
            if !fits {
                return self.lost();
            }
        }
    }

    /// A daemon begins to serve it.
    fn begin(&mut self, served: Served) -> Result<(), BrokenOff> {
        if self.closed {
            return Ok(());
        }
        if self.door.is_some() {
            self.forget_door()?;
        }
        let Served { stream, come } = served;
        self.told = self.taken;
        let serving = Serving {
            session: self.member.session(),
            udp: self.member.udp(),
            port: self.member.port(),
            connected: self.connected,
            from: self.received,
            limit: self.taken + CARRIED_BYTES,
        };
        let said = line(&Reply::Serving(serving));
        // A line fits into a socket that is new; if not, the daemon is gone already.
        if stream.try_write(&said).ok() != Some(said.len()) {
            self.member.wait_for_daemon();
            return Ok(());
        }
        self.member.has_daemon();
        self.door = Some(Door::over(stream, come));
        Ok(())
    }

    /// The daemon is gone, or has let go.
    fn lost(&mut self) -> Result<(), BrokenOff> {
        if self.closed {
            // All of the guest is here: only the client has still to take it.
            self.door = None;
            return Ok(());
        }
        self.forget_door()?;
        self.member.wait_for_daemon();
        Ok(())
    }

    fn forget_door(&mut self) -> Result<(), BrokenOff> {
        self.door = None;
        self.attached = false;
        match self.connected && !self.lasting {
            true => Err(BrokenOff),
            false => Ok(()),
        }
    }

    /// Takes a frame; whether it was one that may come.
    fn take(&mut self, frame: Frame, come: &mut impl FnMut(&[u8])) -> Result<bool, BrokenOff> {
        match frame {
            Frame::Connected { stdin, lasting } => {
                self.outbox.resume(stdin)?;
                (self.attached, self.connected, self.lasting) = (true, true, lasting);
            }
            Frame::Data(bytes) => {
                let received = self.received + bytes.len() as u64;
                if !self.attached || self.ended || received > self.taken + CARRIED_BYTES {
                    return Ok(false);
                }
                self.received = received;
                come(&bytes);
            }
            Frame::Credit { acked, limit } if self.attached => self.outbox.credit(acked, limit)?,
            Frame::End => self.ended = true,
            Frame::Closed => {
                self.closed = true;
                self.member.is_over();
            }
            Frame::Reset => return Err(BrokenOff),
            Frame::Credit { .. } | Frame::Broke(_) => return Ok(false),
        }
        Ok(true)
    }

    /// Puts what is due into the door.
    pub(super) fn fill(&mut self) {
        let Some(door) = &mut self.door else {
            return;
        };
        if self.taken - self.told >= CARRIED_BYTES / 4 {
            self.told = self.taken;
            door.put(&Frame::Credit {
                acked: self.received,
                limit: self.taken + CARRIED_BYTES,
            });
        }
        while self.attached && door.waiting() < FULL {
            match self.outbox.next(MAX_PAYLOAD) {
                Some(Taken::Bytes(halves)) => door.put_data(halves),
                Some(Taken::Frame(frame)) => door.put_data([frame.bytes(), &[]]),
                None => break,
            }
        }
        if self.attached && self.outbox.take_end() {
            door.put(&Frame::End);
        }
    }

    /// It is over. Whoever served it sees the end, and lets the guest forget it; it hears why where there
    /// is a reason.
    pub(super) async fn finish(mut self, why: Option<String>) {
        if let (Some(mut door), Some(why)) = (self.door.take(), why) {
            let words = Frame::Broke(why);
            let _in_vain = tokio::time::timeout(LAST_WORDS, door.send(&words)).await;
        }
    }
}

#[cfg(test)]
mod t1;
