//! Connections that outlive their stream and the link, as exec sessions do.
//!
//! ```text
//!   dial ──▶ connecting ──▶ open ──▶ ended (kept for whoever attaches) ──▶ forgotten
//!                 │           └────▶ broken (told to whoever attaches) ──▶ forgotten
//!                 └ refused: forgotten at once
//! ```
//!
//! The bytes that the host has not acknowledged are kept in the channels, so that one that comes back loses
//! and doubles nothing.

use super::{Broken, Turn, connect_and_pass};
use crate::agent::Shared;
use crate::channels::Channels;
use crate::fault::fault;
use crate::link::{Reply, ReplyTo};
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{Answer, Attached, GuestFault, Notice, SessionId, encode};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::task::{AbortHandle, spawn_local};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Whoever attaches is answered once it is made.
    Connecting,
    /// It goes on, or has ended in order.
    Open,
    /// It was reset.
    Broken,
}

/// One connection.
pub(crate) struct Lasting {
    channels: Rc<Channels>,
    stage: Cell<Stage>,
    /// To the stream that attached last.
    reply: RefCell<ReplyTo>,
    task: RefCell<Option<AbortHandle>>,
    /// Held until it is forgotten: what nobody fetches takes room as well.
    _turn: Turn,
}

impl Drop for Lasting {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Lasting {
    /// Its channels.
    pub(crate) const fn channels(&self) -> &Rc<Channels> {
        &self.channels
    }

    fn tell(&self, reply: Reply) {
        self.reply.borrow().send(reply);
    }

    fn attached(&self, stdin: u64) {
        self.tell(Reply::Answer(Ok(Answer::Attached(Attached {
            pid: 0,
            stdin,
        }))));
    }
}

/// All of them, by their sessions.
#[derive(Default)]
pub(crate) struct Dials(RefCell<BTreeMap<SessionId, Rc<Lasting>>>);

impl Dials {
    fn find(&self, id: &SessionId) -> Option<Rc<Lasting>> {
        self.0.borrow().get(id).cloned()
    }

    /// Forgets one; resets it if it goes on.
    pub(crate) fn forget(&self, id: &SessionId) {
        let gone = self.0.borrow_mut().remove(id);
        if let Some(task) = gone.and_then(|gone| gone.task.take()) {
            task.abort();
        }
    }

    /// Forgets all but these.
    pub(crate) fn keep(&self, ids: &[SessionId]) {
        let all: Vec<SessionId> = self.0.borrow().keys().copied().collect();
        all.iter()
            .filter(|id| !ids.contains(id))
            .for_each(|id| self.forget(id));
    }
}

/// Makes a connection, or attaches to the one that was made for the session, from its beginning.
pub(crate) fn dial_session(
    agent: &Rc<Shared>,
    id: SessionId,
    udp: bool,
    port: u16,
    reply: &ReplyTo,
) -> Result<Rc<Lasting>, GuestFault> {
    if agent.dials.find(&id).is_some() {
        return attach(agent, &id, 0, reply);
    }
    let lasting = Rc::new(Lasting {
        channels: Rc::new(Channels::new(Rc::clone(&agent.wake), true)),
        stage: Cell::new(Stage::Connecting),
        reply: RefCell::new(reply.clone()),
        task: RefCell::default(),
        _turn: Turn::take(&agent.dialed)?,
    });
    agent.dials.0.borrow_mut().insert(id, Rc::clone(&lasting));
    let weak = Rc::downgrade(&lasting);
    let (agent, channels) = (Rc::clone(agent), Rc::clone(&lasting.channels));
    let task = spawn_local(async move {
        let connected = || {
            if let Some(lasting) = weak.upgrade() {
                lasting.stage.set(Stage::Open);
                lasting.attached(0);
            }
        };
        let ended = connect_and_pass(udp, port, &channels, connected).await;
        let Some(lasting) = weak.upgrade() else {
            return;
        };
        match ended {
            Ok(Ok(())) => channels.conclude(encode(&Notice::Closed).unwrap_or_default()),
            Ok(Err(Broken)) => {
                lasting.stage.set(Stage::Broken);
                lasting.tell(Reply::Broken);
            }
            Err(fault) => {
                agent.dials.forget(&id);
                lasting.tell(Reply::Answer(Err(fault)));
            }
        }
    });
    lasting.task.replace(Some(task.abort_handle()));
    Ok(lasting)
}

/// Attaches to a connection from an offset of what its server sent.
pub(crate) fn attach(
    agent: &Shared,
    id: &SessionId,
    from: u64,
    reply: &ReplyTo,
) -> Result<Rc<Lasting>, GuestFault> {
    let Some(lasting) = agent.dials.find(id) else {
        let message = "the guest has no such connection";
        return Err(fault(FaultCode::NotFound, message));
    };
    if lasting.stage.get() == Stage::Broken {
        return Err(fault(FaultCode::Failed, "the connection was broken off"));
    }
    let stdin = lasting.channels.attach(from, 0).map_err(|error| {
        let message = format_args!("cannot continue the connection: {error}");
        fault(FaultCode::Refused, message)
    })?;
    lasting.reply.replace(reply.clone());
    if lasting.stage.get() == Stage::Open {
        lasting.attached(stdin);
    }
    Ok(lasting)
}
