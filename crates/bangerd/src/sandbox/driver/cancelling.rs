//! Work that is not wanted any more, and work that is overtaken.

use super::{Driver, UnderWay, answer};
use crate::operation::{self, OpId};
use crate::progress::Progress;
use crate::sandbox::command::Cancelling;
use crate::sandbox::works;
use banger_proto::fault::{Fault, FaultCode};
use futures_util::FutureExt;

impl Driver {
    /// An operation is not wanted any more: one that waits gives up its place, a start under way is
    /// undone, and answered when it is.
    pub(super) fn cancel(&mut self, op: OpId) -> Cancelling {
        let place = self.waiting.iter().position(|one| one.op() == Some(op));
        if let Some(command) = place.and_then(|place| self.waiting.remove(place)) {
            let fault = operation::cancelled("it had not begun");
            answer(command.into_reply(), Err(fault));
            return Cancelling::Begun;
        }
        match self.work.take() {
            Some(work) if work.op == op && work.can_be_undone => {
                drop(work.future);
                let silent = Progress::of(op, |_| {});
                self.begin(work.reply, silent, |work| works::take_back(work).boxed());
                Cancelling::Begun
            }
            other => {
                let is_it = other.as_ref().is_some_and(|work| work.op == op);
                self.work = other;
                match is_it {
                    true => Cancelling::Refused,
                    false => Cancelling::Unknown,
                }
            }
        }
    }

    /// Drops the work under way: who waits for it is told that it was overtaken.
    pub(super) fn cancel_work(&mut self) {
        if let Some(UnderWay { future, reply, .. }) = self.work.take() {
            drop(future);
            if let Some(reply) = reply {
                let name = self.view.borrow().record.name.clone();
                answer(
                    reply,
                    Err(Fault::new(
                        FaultCode::Cancelled,
                        format!("another request for sandbox {name} came in between"),
                    )),
                );
            }
        }
    }
}
