//! The connections that there are, and which of them want a daemon.

use banger_proto::carrier::{Reply, line};
use banger_proto::guest::message::SessionId;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc};

/// A stream by which a daemon serves a connection, and what came on it behind the request.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) stream: UnixStream,
    pub(super) come: Vec<u8>,
}

#[derive(Debug)]
struct Known {
    session: SessionId,
    /// A daemon has served it: the guest may have it.
    was_served: bool,
    /// The guest need not keep it.
    is_over: bool,
    /// None of one that ended while no daemon served it: the guest has still to be told.
    doors: Option<mpsc::UnboundedSender<Served>>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Crowd {
    /// The first half of all sessions' names: no other carrier has it.
    own: [u8; 8],
    last: Cell<u64>,
    all: RefCell<BTreeMap<u64, Known>>,
    /// Those that want a daemon, to be told to the one that follows.
    waiting: RefCell<BTreeSet<u64>>,
    changed: Notify,
}

impl Crowd {
    pub(super) fn new(own: [u8; 8]) -> Rc<Self> {
        Rc::new(Self {
            own,
            last: Cell::new(0),
            all: RefCell::default(),
            waiting: RefCell::default(),
            changed: Notify::new(),
        })
    }

    /// A new connection to a port of the guest.
    pub(super) fn enter(self: &Rc<Self>, udp: bool, port: u16) -> Member {
        let number = self.last.get() + 1;
        self.last.set(number);
        let mut session = [0; 16];
        let (own, counted) = session.split_at_mut(8);
        own.copy_from_slice(&self.own);
        counted.copy_from_slice(&number.to_le_bytes());
        let (sender, doors) = mpsc::unbounded_channel();
        let known = Known {
            session,
            was_served: false,
            is_over: false,
            doors: Some(sender),
        };
        self.all.borrow_mut().insert(number, known);
        let member = Member {
            crowd: Rc::clone(self),
            number,
            session,
            udp,
            port,
            doors,
            is_served: Cell::new(false),
        };
        member.wait_for_daemon();
        member
    }

    /// Sessions that the guest may have, and needs.
    pub(super) fn sessions(&self) -> Vec<SessionId> {
        let all = self.all.borrow();
        let living = all
            .values()
            .filter(|known| known.was_served && !known.is_over);
        living.map(|known| known.session).collect()
    }

    /// A daemon begins to follow: all that there are want it. What has ended is told by its absence.
    pub(super) fn all_wait(&self) {
        let mut all = self.all.borrow_mut();
        all.retain(|_, known| known.doors.is_some());
        let wanting = all.iter().filter(|(_, known)| !known.is_over);
        self.waiting
            .replace(wanting.map(|(number, _)| *number).collect());
        self.changed.notify_one();
    }

    /// The next that wants a daemon; for one who follows at a time. Cancel-safe.
    pub(super) async fn next_waiting(&self) -> u64 {
        loop {
            if let Some(number) = self.waiting.borrow_mut().pop_first() {
                return number;
            }
            self.changed.notified().await;
        }
    }

    /// Hands a daemon's stream to a connection. One that has ended is told as such; of one that there is not
    /// the stream is closed.
    pub(super) fn serve(&self, number: u64, served: Served) {
        let mut all = self.all.borrow_mut();
        match all.get(&number).map(|known| (&known.doors, known.session)) {
            Some((Some(doors), _)) => drop(doors.send(served)),
            Some((None, session)) => {
                all.remove(&number);
                let told = line(&Reply::Gone(session));
                let _gone_as_well = served.stream.try_write(&told);
            }
            None => {}
        }
    }
}

/// A connection's place among all; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Member {
    crowd: Rc<Crowd>,
    number: u64,
    session: SessionId,
    udp: bool,
    port: u16,
    doors: mpsc::UnboundedReceiver<Served>,
    is_served: Cell<bool>,
}

impl Member {
    pub(super) const fn session(&self) -> SessionId {
        self.session
    }

    pub(super) const fn udp(&self) -> bool {
        self.udp
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// It wants a daemon.
    pub(super) fn wait_for_daemon(&self) {
        self.is_served.set(false);
        self.crowd.waiting.borrow_mut().insert(self.number);
        self.crowd.changed.notify_one();
    }

    /// It has one.
    pub(super) fn has_daemon(&self) {
        self.is_served.set(true);
        if let Some(known) = self.crowd.all.borrow_mut().get_mut(&self.number) {
            known.was_served = true;
        }
    }

    /// The newest stream of a daemon's. Cancel-safe.
    pub(super) async fn served(&mut self) -> Served {
        let Some(mut served) = self.doors.recv().await else {
            return std::future::pending().await;
        };
        while let Ok(newer) = self.doors.try_recv() {
            served = newer;
        }
        served
    }

    /// The guest's connection has ended in order: it need not keep it.
    pub(super) fn is_over(&self) {
        if let Some(known) = self.crowd.all.borrow_mut().get_mut(&self.number) {
            known.is_over = true;
        }
        self.crowd.waiting.borrow_mut().remove(&self.number);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut all = self.crowd.all.borrow_mut();
        let mut waiting = self.crowd.waiting.borrow_mut();
        let known = all.get_mut(&self.number).filter(|known| !known.is_over);
        // Whoever serves it sees its end. If nobody does, the guest may have it all the same.
        match known.filter(|known| known.was_served && !self.is_served.get()) {
            Some(known) => {
                known.doors = None;
                waiting.insert(self.number);
                self.crowd.changed.notify_one();
            }
            None => {
                all.remove(&self.number);
                waiting.remove(&self.number);
            }
        }
    }
}

#[cfg(test)]
mod tests;
