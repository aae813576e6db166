//! Guests of the bridge that are suspended: they have no place there, and their names wake them.

use super::dns::Waker;
use super::{HostNetwork, Wish};
use banger_model::SandboxId;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sleepers {
    all: Mutex<BTreeMap<SandboxId, Wish>>,
    waker: OnceLock<Waker>,
}

impl Sleepers {
    fn all(&self) -> MutexGuard<'_, BTreeMap<SandboxId, Wish>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What they will have when they go on.
    pub(super) fn wishes(&self) -> Vec<Wish> {
        self.all().values().cloned().collect()
    }

    /// Who wakes them, once somebody does.
    pub(super) fn waker(&self) -> Option<Waker> {
        self.waker.get().cloned()
    }
}

impl HostNetwork {
    /// Who wakes a guest whose name is asked for. To be called once, before names are served.
    pub fn wake_with(&self, waker: Waker) {
        let _named_before = self.sleepers.waker.set(waker);
    }

    /// A guest is suspended: its name stays known, and wakes it.
    pub fn sleeps(&self, id: SandboxId, wish: Wish) {
        let before = self.sleepers.all().insert(id, wish.clone());
        if before != Some(wish) {
            self.tell_names();
        }
    }

    /// A guest is not suspended, whatever else it is.
    pub fn sleeps_no_more(&self, id: SandboxId) {
        let slept = self.sleepers.all().remove(&id).is_some();
        if slept {
            self.tell_names();
        }
    }

    fn tell_names(&self) {
        if let Some(ready) = self.current() {
            ready.tell_names();
        }
    }
}
