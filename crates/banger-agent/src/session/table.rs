//! All sessions, within bounds.

use super::Session;
use crate::fault::fault;
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{GuestFault, SessionId};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use tokio::sync::Notify;

/// How many commands may run at once: each may hold two windows of output.
const MOST_RUNNING: usize = 256;
/// How many that have ended are kept for a client that comes back; the oldest is forgotten.
const MOST_FINISHED: usize = 64;

#[derive(Debug)]
pub(crate) struct Sessions {
    all: RefCell<BTreeMap<SessionId, Rc<Session>>>,
    finished: RefCell<VecDeque<SessionId>>,
    /// How many run that were given up.
    given_up: Cell<usize>,
    link: Rc<Notify>,
}

impl Sessions {
    pub(crate) fn new(link: Rc<Notify>) -> Self {
        Self {
            all: RefCell::default(),
            finished: RefCell::default(),
            given_up: Cell::default(),
            link,
        }
    }

    pub(super) fn find(&self, id: &SessionId) -> Option<Rc<Session>> {
        self.all.borrow().get(id).cloned()
    }

    pub(super) fn add(&self, session: &Rc<Session>) -> Result<(), GuestFault> {
        if self.count() >= MOST_RUNNING {
            let message = format!("{MOST_RUNNING} commands run in the guest, no more are started");
            return Err(fault(FaultCode::Refused, message));
        }
        self.all.borrow_mut().insert(session.id, Rc::clone(session));
        Ok(())
    }

    /// A session that never ran.
    pub(super) fn remove(&self, session: &Rc<Session>) {
        if self.has(session) {
            self.all.borrow_mut().remove(&session.id);
        } else {
            self.given_up.set(self.given_up.get().saturating_sub(1));
        }
    }

    /// A session's command has ended.
    pub(super) fn finished(&self, session: &Rc<Session>) {
        if !self.has(session) {
            self.given_up.set(self.given_up.get().saturating_sub(1));
            return;
        }
        let mut finished = self.finished.borrow_mut();
        finished.push_back(session.id);
        if finished.len() > MOST_FINISHED {
            let oldest = finished.pop_front();
            oldest.map(|id| self.all.borrow_mut().remove(&id));
        }
        self.link.notify_one();
    }

    /// Forgets a session whose command has ended; what nobody read of its output is thrown away.
    pub(crate) fn forget(&self, id: &SessionId) {
        let mut finished = self.finished.borrow_mut();
        if let Some(at) = finished.iter().position(|other| other == id) {
            finished.remove(at);
            if let Some(session) = self.all.borrow_mut().remove(id) {
                session.channels.discard_output();
            }
        }
    }

    /// Gives all of them up: their clients are those of another guest. What runs goes on, is not
    /// disturbed, and can be found by nobody.
    pub(crate) fn give_up(&self) {
        self.given_up.set(self.count());
        self.finished.borrow_mut().clear();
        let all = std::mem::take(&mut *self.all.borrow_mut());
        all.values().for_each(|session| session.give_up());
    }

    /// Whether a session is here; otherwise it was given up.
    fn has(&self, session: &Rc<Session>) -> bool {
        let all = self.all.borrow();
        all.get(&session.id)
            .is_some_and(|other| Rc::ptr_eq(other, session))
    }

    fn count(&self) -> usize {
        self.all.borrow().len() - self.finished.borrow().len() + self.given_up.get()
    }

    /// How many commands run.
    pub(crate) fn running(&self) -> u32 {
        u32::try_from(self.count()).unwrap_or(u32::MAX)
    }
}
