//! A stream of a connection, and how its call's task replies to it.

use crate::channels::Channels;
use crate::session::Session;
use banger_proto::guest::message::{Answer, GuestFault};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Replies that wait: of which connection, to which stream.
pub(super) type Replies = Rc<RefCell<VecDeque<(u64, u32, Reply)>>>;

/// What a call's task tells its link.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The call is answered; a stream without output is over then.
    Answer(Result<Answer, GuestFault>),
    /// The stream cannot go on.
    Broken,
}

/// Where a call's task leaves its reply.
#[derive(Debug, Clone)]
pub(crate) struct ReplyTo {
    /// The connection's count: a reply to an earlier one is dropped.
    pub(super) connection: u64,
    pub(super) stream: u32,
    pub(super) replies: Replies,
    pub(super) link: Rc<Notify>,
}

impl ReplyTo {
    /// Leaves a reply.
    pub(crate) fn send(&self, reply: Reply) {
        self.replies
            .borrow_mut()
            .push_back((self.connection, self.stream, reply));
        self.link.notify_one();
    }
}

/// A stream of the present connection.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) channels: Option<Rc<Channels>>,
    pub(super) session: Option<Rc<Session>>,
    /// A transfer ends with its stream; other calls go on.
    pub(super) transfer: Option<AbortHandle>,
    pub(super) answered: bool,
    /// Whether bytes or a notice follow the answer.
    pub(super) outlives_answer: bool,
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(task) = &self.transfer {
            task.abort();
        }
    }
}
