//! The view of a sandbox as its driver changes it. Every change goes through here, and what it means to
//! the owner becomes an event here and nowhere else.

use super::View;
use crate::events::changes::{Seen, changes};
use crate::events::{Feed, Happening};
use crate::host;
use crate::operation::OpId;
use banger_proto::owner::event::What;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// See the module.
pub(super) struct Tracked {
    view: watch::Sender<View>,
    feed: Feed,
    doing: Mutex<Doing>,
}

#[derive(Default)]
struct Doing {
    /// Whether a piece of work is under way.
    working: bool,
    /// The operation that asked for it.
    op: Option<OpId>,
    /// Whether the link is being made again.
    link_lost: bool,
}

impl Tracked {
    pub(super) fn new(view: watch::Sender<View>, feed: Feed) -> Self {
        Self {
            view,
            feed,
            doing: Mutex::default(),
        }
    }

    pub(super) fn borrow(&self) -> watch::Ref<'_, View> {
        self.view.borrow()
    }

    /// To wait for a change.
    pub(super) fn watch(&self) -> watch::Receiver<View> {
        self.view.subscribe()
    }

    /// A piece of work begins, for an operation or for nobody.
    pub(super) fn work_begins(&self, op: Option<OpId>) {
        let mut doing = self.doing();
        (doing.working, doing.op) = (true, op);
    }

    /// It has ended.
    pub(super) fn work_ends(&self) {
        let mut doing = self.doing();
        (doing.working, doing.op) = (false, None);
    }

    pub(super) fn send_modify(&self, change: impl FnOnce(&mut View)) {
        let mut happened = Vec::new();
        self.view.send_modify(|view| {
            let before = seen(view);
            change(view);
            let mut doing = self.doing();
            let working = doing.working;
            happened = changes(&before, &seen(view), working, &mut doing.link_lost);
        });
        happened.into_iter().for_each(|what| self.tell(what));
    }

    /// Tells of what is no change: that there is a sandbox.
    pub(super) fn tell(&self, what: What) {
        let (sandbox, name) = {
            let view = self.view.borrow();
            (view.record.id, view.record.name.clone())
        };
        self.feed.tell(Happening {
            time: host::utc_now(),
            sandbox,
            name,
            op: self.doing().op.map(|op| op.to_string()),
            what,
        });
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seen(view: &View) -> Seen {
    Seen {
        record: view.record.clone(),
        linked: view.link.is_some(),
        stalled: view.stalled.clone(),
        gone: view.gone,
    }
}
