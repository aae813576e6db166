//! Whether guests can be accelerated: found out by booting one.
//!
//! That `/dev/kvm` opens, and even that a machine can be made in it, proves nothing: there are
//! hosts where both succeed and a stock kernel then spins for ever. So the real kernel is booted
//! under KVM up to the agent's answer, within a limit; what hangs is killed. What the boot showed is
//! remembered for as long as kernel, processor and VMM stay the same.

mod boot;
mod cache;
mod decision;

pub use boot::{state_of, sweep};
pub use cache::Key;
pub use decision::{Device, Wish};

use super::machine::Accelerator;
use super::{Vmm, VmmError};
use crate::layout::Layout;
use banger_model::SandboxId;
use decision::{Before, after_boot, before_boot};
use futures_util::future::BoxFuture;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long a guest may take to answer under KVM: it takes well under a second where KVM works.
pub const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// Waits until the guest's agent answers on its socket. It may wait for ever: the probe has its own
/// limit. An error says why it will never answer.
pub trait AgentAnswers: Send + Sync {
    /// See [`AgentAnswers`].
    fn answers<'a>(&'a self, agent_socket: &'a Path) -> BoxFuture<'a, Result<(), String>>;
}

/// What was chosen and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What guests are to be run with.
    pub accelerator: Accelerator,
    /// Why, one line.
    pub reason: String,
    /// What the user can do to have KVM, if anything is known.
    pub remedy: Option<String>,
    /// When a guest was booted to find out; none if that was not needed.
    pub probed_at: Option<SystemTime>,
    /// How long that took; zero if it was not needed.
    pub took: Duration,
}

/// What a probe needs.
#[derive(Clone)]
pub struct Prober {
    /// What boots the guest.
    pub vmm: Arc<dyn Vmm>,
    /// What asks its agent.
    pub agent: Arc<dyn AgentAnswers>,
    /// Where the cache is, and where the guest's directories are made.
    pub layout: Layout,
    /// `/dev/kvm`.
    pub device: PathBuf,
    /// See [`PROBE_LIMIT`].
    pub limit: Duration,
}

impl Prober {
    /// With the usual device and limit.
    #[must_use]
    pub fn new(vmm: Arc<dyn Vmm>, agent: Arc<dyn AgentAnswers>, layout: Layout) -> Self {
        Self {
            vmm,
            agent,
            layout,
            device: "/dev/kvm".into(),
            limit: PROBE_LIMIT,
        }
    }

    /// Chooses: what is configured, else what is remembered for `key`, else what a boot of
    /// `kernel` with `initramfs` shows. `id` names the guest's directories; it is never used again.
    ///
    /// A caller that goes away leaves the boot to end by itself: it is never left running.
    ///
    /// # Errors
    /// When the guest could not be started for a reason that says nothing about KVM, such as a
    /// missing kernel.
    pub async fn choose(
        &self,
        wish: Wish,
        key: &Key,
        id: SandboxId,
        kernel: &Path,
        initramfs: &Path,
    ) -> Result<Probe, VmmError> {
        if let Some(known) = self.known(wish, key) {
            return Ok(known);
        }
        let cache = self.layout.probe_cache();
        let boot = boot::Boot::new(self.clone(), id, kernel, initramfs);
        let task = tokio::spawn(boot_and_remember(boot, cache, key.clone()));
        task.await.unwrap_or_else(|error| {
            Err(VmmError::Process {
                doing: "boot a guest under KVM".to_owned(),
                source: error.into(),
            })
        })
    }
}

impl Prober {
    /// What can be said without a boot: what is configured or cannot be otherwise, else what is
    /// remembered for `key`.
    #[must_use]
    pub fn known(&self, wish: Wish, key: &Key) -> Option<Probe> {
        match before_boot(wish, &Device::survey(&self.device)) {
            Before::Settled(probe) => Some(probe),
            _ => cache::read(&self.layout.probe_cache(), key, SystemTime::now()),
        }
    }
}

/// Whether results of probe boots are remembered that hold no more; see `FAILURE_HOLDS`.
#[must_use]
pub fn is_stale(cache: &Path) -> bool {
    cache::is_stale(cache, SystemTime::now())
}

async fn boot_and_remember(boot: boot::Boot, cache: PathBuf, key: Key) -> Result<Probe, VmmError> {
    let outcome = boot.run().await?;
    let probe = after_boot(&outcome, SystemTime::now());
    if outcome.is_about_kvm() {
        // A cache that cannot be written only costs the next start another boot.
        if let Err(error) = cache::write(&cache, &key, &probe) {
            tracing::warn!(path = %cache.display(), %error, "the probe is not remembered");
        }
    }
    Ok(probe)
}

#[cfg(test)]
mod tests;
