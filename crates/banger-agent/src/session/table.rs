//! All sessions, within bounds.

use super::Session;
use crate::fault::fault;
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{GuestFault, SessionId};
use std::cell::RefCell;
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
    link: Rc<Notify>,
}

impl Sessions {
    pub(crate) fn new(link: Rc<Notify>) -> Self {
        Self {
            all: RefCell::default(),
            finished: RefCell::default(),
            link,
        }
    }

    pub(super) fn find(&self, id: &SessionId) -> Option<Rc<Session>> {
        self.all.borrow().get(id).cloned()
    }

    pub(super) fn add(&self, session: &Rc<Session>) -> Result<(), GuestFault> {
        let mut all = self.all.borrow_mut();
        if all.len() - self.finished.borrow().len() >= MOST_RUNNING {
            let message = format!("{MOST_RUNNING} commands run in the guest, no more are started");
            return Err(fault(FaultCode::Refused, message));
        }
        all.insert(session.id, Rc::clone(session));
        Ok(())
    }

    /// A session that never ran.
    pub(super) fn remove(&self, id: &SessionId) {
        self.all.borrow_mut().remove(id);
    }

    /// A session's command has ended.
    pub(super) fn finished(&self, id: &SessionId) {
        let mut finished = self.finished.borrow_mut();
        finished.push_back(*id);
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

    /// How many commands run.
    pub(crate) fn running(&self) -> u32 {
        let running = self.all.borrow().len() - self.finished.borrow().len();
        u32::try_from(running).unwrap_or(u32::MAX)
    }
}
