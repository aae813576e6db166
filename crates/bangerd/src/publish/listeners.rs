//! What is open for one sandbox.

use super::Target;
use super::endpoints::{Endpoints, Held};
use super::keeper::Carrier;
use super::slots::{Binding, Slot, with_ports};
use banger_model::SandboxName;
use banger_model::publish::{Publication, Published};
use banger_proto::carrier::Have;
use banger_proto::fault::Fault;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::task::AbortOnDropHandle;

/// How a published port is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortState {
    /// Nothing is bound: the guest does not run.
    Closed,
    /// It can be connected to.
    Open,
    /// It should be open and cannot be, for this reason.
    Trouble(String),
}

/// What is open, and the carrier that has it.
#[derive(Debug, Default)]
pub(super) struct Hold {
    pub(super) carrier: Option<Carrier>,
    /// How many carriers there were.
    pub(super) serial: u64,
}

/// The sockets of one sandbox's published ports. Dropping it lets its carrier go on.
pub struct Listeners {
    sandbox: Mutex<SandboxName>,
    pub(super) endpoints: Arc<Endpoints>,
    pub(super) target: Target,
    slots: Mutex<Vec<Slot>>,
    /// Carried still, and wanted no longer.
    unwanted: Mutex<Vec<(Publication, Held)>>,
    /// Taken before `slots`, and held while the carrier is talked to.
    hold: Mutex<Hold>,
    /// What waits for clients of a guest that is suspended.
    watch: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl std::fmt::Debug for Listeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listeners")
            .field("sandbox", &self.name())
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

impl Listeners {
    /// Of a sandbox, with nothing open yet.
    #[must_use]
    pub fn new(sandbox: SandboxName, endpoints: Arc<Endpoints>, target: Target) -> Self {
        Self {
            sandbox: Mutex::new(sandbox),
            endpoints,
            target,
            slots: Mutex::default(),
            unwanted: Mutex::default(),
            hold: Mutex::default(),
            watch: Mutex::default(),
        }
    }

    pub(super) fn name(&self) -> SandboxName {
        let name = self.sandbox.lock();
        name.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The sandbox has another name; connections go on.
    pub fn rename(&self, to: &SandboxName) {
        let mut name = self.sandbox.lock().unwrap_or_else(PoisonError::into_inner);
        self.endpoints.rename(&name, to);
        name.clone_from(to);
    }

    pub(super) fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hold(&self) -> MutexGuard<'_, Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watch(&self) -> MutexGuard<'_, Option<AbortOnDropHandle<()>>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn unwanted(&self) -> MutexGuard<'_, Vec<(Publication, Held)>> {
        self.unwanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Binds what is wanted and not bound yet. Returns what was wanted with the ports that were chosen.
    /// Clients wait until [`Self::serve`], which closes what is wanted no longer.
    ///
    /// # Errors
    /// Why one of them cannot be had; everything is as it was then.
    pub fn bind(&self, wanted: &[Published]) -> Result<Vec<Published>, Fault> {
        let mut slots = self.slots();
        let is_bound = |slots: &[Slot], asked: &Publication| {
            slots
                .iter()
                .any(|(other, socket)| other == asked && socket.held().is_some())
        };
        let missing = wanted.iter().filter(|one| !is_bound(&slots, &one.asked));
        let new = missing
            .map(|one| {
                let in_trouble = slots.iter().any(|(other, _)| *other == one.asked);
                let bound = match in_trouble {
                    // It is no reason against what is new.
                    true => self.bind_or_say_why(one),
                    false => self
                        .bind_for_start(one)
                        .map_err(|refused| refused.fault())?,
                };
                Ok((one.asked, bound))
            })
            .collect::<Result<Vec<Slot>, Fault>>()?;
        for (asked, socket) in std::mem::take(&mut *slots) {
            match socket {
                Binding::Failed(_) => {}
                socket if wanted.iter().any(|one| one.asked == asked) => {
                    slots.push((asked, socket));
                }
                Binding::Carried(held, _) => self.unwanted().push((asked, held)),
                Binding::Bound(..) | Binding::Stuck(..) => {}
            }
        }
        slots.extend(new);
        Ok(with_ports(wanted, &slots))
    }

    /// As [`Self::bind`] and [`Self::serve`], for a guest that runs already: a carrier of a daemon before goes
    /// on; what cannot be had is remembered with its reason, and tried again by [`Self::retry`].
    pub async fn adopt(self: &Arc<Self>, wanted: &[Published]) {
        let (listeners, wanted) = (Arc::clone(self), wanted.to_vec());
        let adopting = tokio::task::spawn_blocking(move || listeners.adopt_now(&wanted));
        // It breaks off with the daemon alone.
        let _leaving = adopting.await;
    }

    fn adopt_now(self: &Arc<Self>, wanted: &[Published]) {
        let mut hold = self.hold();
        if hold.carrier.is_none() {
            self.meet(&mut hold, wanted);
        }
        self.bind_missing(&mut self.slots(), wanted);
        self.serve_now(&mut hold);
    }

    /// Looks for a carrier that a daemon before has started, and takes what it has.
    fn meet(self: &Arc<Self>, hold: &mut Hold, wanted: &[Published]) {
        hold.serial += 1;
        let met = Carrier::meet(&self.target, hold.serial, Arc::downgrade(self));
        let (carrier, Have { sockets, .. }) = match met {
            Ok(met) => met,
            Err(error) => {
                if let Some(error) = Carrier::clear(&self.target.socket, error) {
                    tracing::warn!(sandbox = %self.name(), "its carrier is started anew: {error}");
                }
                return;
            }
        };
        hold.carrier = Some(carrier);
        for found in sockets {
            let asked = found.publication;
            let held = self.endpoints.hold(asked.protocol, found.at, &self.name());
            match wanted.iter().any(|one| one.asked == asked) {
                true => self.slots().push((asked, Binding::Carried(held, None))),
                false => self.unwanted().push((asked, held)),
            }
        }
    }

    /// Tries what could not be had once more, at the ports that are recorded.
    pub fn retry(self: &Arc<Self>, recorded: &[Published]) {
        let mut slots = self.slots();
        let stuck = |(_, socket): &Slot| matches!(socket, Binding::Stuck(..));
        let mut again = slots.iter().any(stuck);
        let failed = |(_, socket): &&mut Slot| matches!(socket, Binding::Failed(_));
        for (asked, socket) in slots.iter_mut().filter(failed) {
            let one = recorded.iter().find(|one| one.asked == *asked);
            if let Some(Ok(bound)) = one.map(|one| self.bind_as_recorded(one)) {
                tracing::info!(sandbox = %self.name(), "{asked} is published again");
                *socket = bound;
                again = true;
            }
        }
        drop(slots);
        if again && self.watch().is_some() {
            self.watch_for_clients();
        } else if again {
            let listeners = Arc::clone(self);
            tokio::task::spawn_blocking(move || listeners.serve_now(&mut listeners.hold()));
        }
    }

    /// Closes everything; connections are reset.
    pub async fn close(self: &Arc<Self>) {
        let listeners = Arc::clone(self);
        let closing = tokio::task::spawn_blocking(move || listeners.close_now());
        // It breaks off with the daemon alone.
        let _leaving = closing.await;
    }

    fn close_now(&self) {
        let mut hold = self.hold();
        self.watch().take();
        if let Some(carrier) = hold.carrier.take() {
            carrier.end();
        }
        let closed = std::mem::take(&mut *self.slots());
        drop(closed);
        self.unwanted().clear();
    }

    /// How a published port is now.
    #[must_use]
    pub fn state(&self, asked: &Publication) -> PortState {
        let slots = self.slots();
        match slots.iter().find(|(other, _)| other == asked) {
            None => PortState::Closed,
            Some((_, Binding::Failed(fault) | Binding::Stuck(_, _, fault))) => {
                PortState::Trouble(fault.message.clone())
            }
            Some((_, Binding::Bound(..) | Binding::Carried(..))) => PortState::Open,
        }
    }
}
