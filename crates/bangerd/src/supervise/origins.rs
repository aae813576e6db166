//! What ephemeral forks were made of, kept for as long as somebody may ask what they have changed since.

use super::Supervisor;
use super::fork::Seed;
use crate::sandbox::{Against, Difference, Sandbox};
use banger_model::SandboxId;
use banger_proto::fault::{Fault, FaultCode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The origins of the ephemeral forks that there are. A daemon that is replaced forgets them.
#[derive(Debug, Default)]
pub struct Origins(Mutex<HashMap<SandboxId, Arc<Seed>>>);

impl Origins {
    fn all(&self) -> MutexGuard<'_, HashMap<SandboxId, Arc<Seed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep(&self, fork: SandboxId, seed: Arc<Seed>) {
        self.all().insert(fork, seed);
    }

    /// A fork is deleted.
    pub fn forget(&self, fork: SandboxId) {
        drop(self.all().remove(&fork));
    }

    /// Forgets those whose fork is a machine as any other by now. To be called from time to time.
    pub(super) fn retain(&self, is_ephemeral: impl Fn(SandboxId) -> bool) {
        self.all().retain(|fork, _| is_ephemeral(*fork));
    }
}

impl Supervisor {
    /// As [`Self::diff`], of an ephemeral fork with what it was made of.
    ///
    /// # Errors
    /// As there, and `Refused` where that is not known any more, or never was.
    pub async fn diff_from_origin(&self, fork: &Sandbox) -> Result<Difference, Fault> {
        let seed = self.services.origins.all().get(&fork.id).cloned();
        let seed = seed.ok_or_else(|| {
            let name = fork.record().name;
            let message = format!("what {name} was a fork of is not kept");
            Fault::new(FaultCode::Refused, message).with_remedy(format!(
                "compare it with its image: `banger vm diff {name}`"
            ))
        })?;
        let directory = seed.snapshot().directory.clone();
        let compared = self.diff(fork, Against::At(directory)).await;
        // Until then nothing removes it.
        drop(seed);
        compared
    }
}
