//! Which accelerator each kernel gets: asked of the probe once in a daemon's life, remembered between
//! daemons by the probe's own cache.

use crate::config::AcceleratorChoice;
use crate::guest::Link;
use crate::host;
use crate::kernels::Kernel;
use crate::services::Services;
use crate::vmm::Vmm;
use crate::vmm::probe::{AgentAnswers, Key, Probe, Prober, Wish};
use crate::vmm::qemu::Qemu;
use banger_model::SandboxId;
use banger_proto::fault::{Fault, FaultCode};
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// What was chosen, by the kernel's digest. Each kernel is probed once however many ask: the others wait,
/// and one of them goes on when the first leaves. Those of another kernel do not wait.
#[derive(Debug, Default)]
pub struct Accelerators(Mutex<HashMap<String, Arc<OnceCell<Probe>>>>);

impl Accelerators {
    /// Chooses for a kernel; the first time on this host by booting it.
    ///
    /// # Errors
    /// When the guest of the probe could not be started for a reason that says nothing about KVM.
    pub async fn choose(
        &self,
        services: &Services,
        vmm: &Arc<Qemu>,
        kernel: &Kernel,
        initramfs: &Path,
    ) -> Result<Probe, Fault> {
        let chosen = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(kernel.manifest.sha256.clone()).or_default())
        };
        let probing = chosen.get_or_try_init(|| probe(services, vmm, kernel, initramfs));
        probing.await.cloned()
    }
}

async fn probe(
    services: &Services,
    vmm: &Arc<Qemu>,
    kernel: &Kernel,
    initramfs: &Path,
) -> Result<Probe, Fault> {
    let (wish, key) = (wish(services), key(vmm, kernel)?);
    let random = host::random().map_err(|e| Fault::from_error(FaultCode::Failed, &e))?;
    let id = SandboxId::from_random(random);
    let prober = prober(services, vmm);
    let probing = prober.choose(wish, &key, id, &kernel.vmlinux, initramfs);
    Ok(probing.await?)
}

/// What is known for a kernel without booting it, now or in an earlier daemon's life.
///
/// # Errors
/// When the host cannot be looked at.
pub fn known(
    services: &Services,
    vmm: &Arc<Qemu>,
    kernel: &Kernel,
) -> Result<Option<Probe>, Fault> {
    let key = key(vmm, kernel)?;
    Ok(prober(services, vmm).known(wish(services), &key))
}

fn prober(services: &Services, vmm: &Arc<Qemu>) -> Prober {
    let vmm: Arc<dyn Vmm> = Arc::<Qemu>::clone(vmm);
    Prober::new(vmm, Arc::new(Hello), services.layout.clone())
}

fn key(vmm: &Qemu, kernel: &Kernel) -> Result<Key, Fault> {
    let read = |path: &str| {
        std::fs::read_to_string(path).map_err(|e| Fault::from_error(FaultCode::Failed, &e))
    };
    let (cpuinfo, release) = (read("/proc/cpuinfo")?, read("/proc/sys/kernel/osrelease")?);
    Ok(Key::new(
        &kernel.manifest.sha256,
        &cpuinfo,
        &release,
        &vmm.program,
    ))
}

fn wish(services: &Services) -> Wish {
    match services.config.accelerator {
        AcceleratorChoice::Auto => Wish::Auto,
        AcceleratorChoice::Kvm => Wish::Kvm,
        AcceleratorChoice::Tcg => Wish::Tcg,
    }
}

/// Asks a probe's guest for its hello.
struct Hello;

impl AgentAnswers for Hello {
    fn answers<'a>(&'a self, agent_socket: &'a Path) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let met = Link::meet(agent_socket, Duration::from_secs(60)).await;
            met.map(drop).map_err(|error| error.to_string())
        })
    }
}
