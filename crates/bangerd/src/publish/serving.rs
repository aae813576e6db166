//! What is bound is given to a carrier, and taken over from one that is lost.

use super::endpoints::Held;
use super::join::forget_others;
use super::keeper::{Carrier, talks_no_more};
use super::listeners::{Hold, Listeners};
use super::slots::{Binding, Slot};
use banger_model::publish::{Publication, Published};
use banger_proto::fault::{Fault, FaultCode};
use std::num::NonZeroU16;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long a guest may take to forget the connections of a carrier that was ended.
const FORGET_LIMIT: Duration = Duration::from_secs(1);

impl Listeners {
    /// Gives the carrier what is bound, and has it close what is wanted no longer. To be called in the
    /// runtime.
    pub async fn serve(self: &Arc<Self>) {
        let listeners = Arc::clone(self);
        let serving =
            tokio::task::spawn_blocking(move || listeners.serve_now(&mut listeners.hold()));
        // It breaks off with the daemon alone.
        let _leaving = serving.await;
    }

    pub(super) fn serve_now(self: &Arc<Self>, hold: &mut Hold) {
        self.watch().take();
        if self.slots().is_empty() {
            self.let_go(hold);
            return;
        }
        // Clients wait until it runs: whoever starts it serves then.
        if self.target.vmm().is_none() {
            return;
        }
        let had_one = hold.carrier.is_some();
        let outcome = self.carry(hold).or_else(|error| {
            let is_lost = hold.carrier.is_none() || talks_no_more(&error);
            if !(had_one && is_lost) {
                return Err(error);
            }
            // It has ended, and nobody had noticed yet.
            self.take_over(hold);
            self.carry(hold)
        });
        if let Err(error) = outcome {
            let message = format!("its ports cannot be carried: {error}");
            tracing::warn!(sandbox = %self.name(), "{message}");
            self.keep_uncarried(&Fault::new(FaultCode::Failed, message));
        }
    }

    /// No carrier can be had now. The sockets stay, so that nobody else gets a port that somebody was told; who
    /// has come is turned away.
    fn keep_uncarried(&self, why: &Fault) {
        let mut slots = self.slots();
        *slots = std::mem::take(&mut *slots)
            .into_iter()
            .map(|(asked, binding)| match binding.unstuck() {
                Binding::Bound(held, socket) => {
                    socket.turn_away();
                    (asked, Binding::Stuck(held, socket, why.clone()))
                }
                other => (asked, other),
            })
            .collect();
    }

    fn carry(self: &Arc<Self>, hold: &mut Hold) -> std::io::Result<()> {
        let unwanted = std::mem::take(&mut *self.unwanted());
        if hold.carrier.is_none() && !self.slots().iter().any(is_new) {
            return Ok(());
        }
        let carrier = self.carrier(hold)?;
        let mut closing = unwanted.iter();
        closing.try_for_each(|(asked, _)| carrier.close(*asked))?;
        self.hand_over(carrier)
    }

    /// The carrier, beside the VMM that there is now.
    fn carrier<'a>(self: &Arc<Self>, hold: &'a mut Hold) -> std::io::Result<&'a mut Carrier> {
        let no_guest = || std::io::Error::other("the guest does not run");
        let vmm = self.target.vmm().ok_or_else(no_guest)?;
        let carrier = match hold.carrier.take() {
            Some(mut carrier) => match carrier.stay_with(&self.target, &vmm) {
                Ok(()) => carrier,
                Err(error) => {
                    // Nobody would find it beside a guest that it does not know.
                    carrier.finish_off();
                    return Err(error);
                }
            },
            None => {
                hold.serial += 1;
                Carrier::start(&self.target, &vmm, hold.serial, Arc::downgrade(self))?
            }
        };
        Ok(hold.carrier.insert(carrier))
    }

    /// Gives the carrier what is bound. Nobody who looks at the ports meanwhile waits for it.
    fn hand_over(&self, carrier: &mut Carrier) -> std::io::Result<()> {
        let copy = |(asked, binding): &Slot| {
            let socket = binding.own()?;
            Some((*asked, socket.as_fd().try_clone_to_owned()))
        };
        let bound: Vec<_> = self.slots().iter().filter_map(copy).collect();
        for (asked, socket) in bound {
            carrier.listen(asked, socket?.as_fd())?;
            if !self.note_carried(&asked) {
                carrier.close(asked)?;
            }
        }
        Ok(())
    }

    /// The carrier has one now; whether it is wanted still.
    fn note_carried(&self, which: &Publication) -> bool {
        let mut slots = self.slots();
        let is_it = |slot: &Slot| slot.0 == *which && is_new(slot);
        let Some(at) = slots.iter().position(is_it) else {
            return false;
        };
        let (asked, binding) = slots.remove(at);
        if let Binding::Bound(held, socket) = binding.unstuck() {
            slots.insert(at, (asked, Binding::Carried(held, Some(socket))));
        }
        true
    }

    /// Nothing is published any more, of a guest that goes on.
    fn let_go(&self, hold: &mut Hold) {
        if let Some(carrier) = hold.carrier.take() {
            carrier.end();
            // Before another carrier has connections; whoever does not hear it in time hears it from that.
            let forgetting = forget_others(&self.target.link, &[]);
            let limited = tokio::time::timeout(FORGET_LIMIT, forgetting);
            let _late = Handle::current().block_on(limited);
        }
        self.unwanted().clear();
    }

    /// A carrier is gone: its connections are reset. What it had is bound anew, for another.
    pub(super) fn lost(self: &Arc<Self>, serial: u64, why: &str) {
        let mut hold = self.hold();
        if hold
            .carrier
            .as_ref()
            .is_none_or(|carrier| carrier.serial != serial)
        {
            return;
        }
        tracing::warn!(sandbox = %self.name(), "the carrier of its published ports is gone: {why}");
        self.take_over(&mut hold);
        self.serve_now(&mut hold);
    }

    /// What a carrier had that is lost is for another.
    fn take_over(&self, hold: &mut Hold) {
        // It can be bound once all of the one before is gone.
        if let Some(carrier) = hold.carrier.take() {
            carrier.finish_off();
        }
        self.unwanted().clear();
        self.take_from_carrier(&mut self.slots());
    }

    /// What a carrier had that is gone is this daemon's own again: by the socket that it has kept, or bound anew.
    pub(super) fn take_from_carrier(&self, slots: &mut [Slot]) {
        for (asked, socket) in slots {
            let between = Fault::new(FaultCode::Failed, "its carrier is gone");
            *socket = match std::mem::replace(socket, Binding::Failed(between)) {
                Binding::Carried(held, Some(own)) => Binding::Bound(held, own),
                Binding::Carried(held, None) => self.bind_again(*asked, held),
                other => other.unstuck(),
            };
        }
    }

    /// Binds what a carrier had.
    fn bind_again(&self, asked: Publication, held: Held) -> Binding {
        let wanted = Published {
            asked,
            chosen: NonZeroU16::new(held.endpoint.port()),
        };
        drop(held);
        self.bind_or_say_why(&wanted)
    }
}

/// Whether no carrier has it yet.
const fn is_new((_, socket): &Slot) -> bool {
    socket.own().is_some()
}
