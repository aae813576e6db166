//! What every driver and every request needs, in one bag: where things are, what is configured, the
//! stores, the VMM. Built once; fields are shared and never change.

use crate::accelerators::Accelerators;
use crate::config::{BUILTIN_IMAGE, BUILTIN_KERNEL, Config};
use crate::events::Feed;
use crate::host_network::{Dependencies, Helper, HostNetwork};
use crate::images::{Image, ImageStore};
use crate::initramfs;
use crate::kernels::{Kernel, KernelStore};
use crate::layout::{Layout, SandboxPaths};
use crate::operation::new_id;
use crate::progress::Progress;
use crate::publish::Endpoints;
use crate::registry::Registry;
use crate::store::Store;
use crate::vmm::qemu::{self, Launcher, Places, Program};
use crate::vmm::{Accelerator, ExitReport, ProcessIdentity, Vmm};
use banger_model::{ArtifactName, SandboxId, Spec};
use banger_proto::fault::{Fault, FaultCode};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// The bag.
pub struct Services {
    /// Every path.
    pub layout: Layout,
    /// The owner's configuration.
    pub config: Config,
    /// Records.
    pub store: Store,
    /// Images.
    pub images: ImageStore,
    /// Kernels.
    pub kernels: KernelStore,
    /// The sandboxes that there are.
    pub registry: Arc<Registry>,
    /// What happens to sandboxes.
    pub feed: Feed,
    /// The host's network.
    pub host_network: HostNetwork,
    /// Which sandbox has which published port.
    pub endpoints: Arc<Endpoints>,
    /// The daemon's own program.
    pub executable: PathBuf,
    vmm: OnceCell<Arc<qemu::Qemu>>,
    accelerators: Accelerators,
    /// One lock per image or kernel that is being made, so that it is made once.
    makings: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services")
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

/// The files and programs of one boot.
pub struct BootFiles {
    /// The image.
    pub image: Image,
    /// The kernel.
    pub kernel: Kernel,
    /// The initramfs of that kernel.
    pub initramfs: PathBuf,
    /// What runs it.
    pub vmm: Arc<dyn Vmm>,
    /// On what.
    pub accelerator: Accelerator,
}

/// Runs blocking work on its own thread.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(Fault::new(
                FaultCode::Failed,
                format!("an error in banger itself: {error}"),
            ))
        })
}

impl Services {
    /// Fills the bag.
    #[must_use]
    pub fn new(
        layout: Layout,
        config: Config,
        store: Store,
        feed: Feed,
        executable: PathBuf,
    ) -> Self {
        Self {
            host_network: HostNetwork::new(Dependencies {
                helper: Helper::standalone(
                    &layout,
                    config.bridge.root_helper.as_deref(),
                    &executable,
                ),
                config: config.bridge.clone(),
                store: store.clone(),
            }),
            images: ImageStore::new(layout.clone()),
            kernels: KernelStore::new(layout.clone()),
            layout,
            config,
            store,
            registry: Arc::default(),
            feed,
            endpoints: Arc::default(),
            executable,
            vmm: OnceCell::new(),
            accelerators: Accelerators::default(),
            makings: Mutex::default(),
        }
    }

    /// The image, made first when it is the one that banger makes itself.
    ///
    /// # Errors
    /// Not found, or whatever making it gives.
    pub async fn image(
        self: &Arc<Self>,
        name: &ArtifactName,
        progress: &Progress,
    ) -> Result<Image, Fault> {
        let found = |services: &Self| services.images.get(name).map_err(Fault::from);
        match found(self) {
            Err(fault) if fault.code == FaultCode::NotFound && name.as_str() == BUILTIN_IMAGE => {}
            other => return other,
        }
        let (store, target, told) = (self.images.clone(), name.clone(), progress.clone());
        self.once(format!("image {name}"), progress, move || {
            match store.get(&target) {
                Ok(_) => Ok(()),
                Err(_) => store
                    .bootstrap(&target, &told)
                    .map(drop)
                    .map_err(Fault::from),
            }
        })
        .await?;
        found(self)
    }

    /// The kernel, fetched first when it is the one that banger finds itself.
    ///
    /// # Errors
    /// Not found, or whatever fetching it gives.
    pub async fn kernel(
        self: &Arc<Self>,
        name: &ArtifactName,
        progress: &Progress,
    ) -> Result<Kernel, Fault> {
        let found = |services: &Self| services.kernels.get(name).map_err(Fault::from);
        match found(self) {
            Err(fault) if fault.code == FaultCode::NotFound && name.as_str() == BUILTIN_KERNEL => {}
            other => return other,
        }
        let (store, target, told) = (self.kernels.clone(), name.clone(), progress.clone());
        self.once(format!("kernel {name}"), progress, move || {
            match store.get(&target) {
                Ok(_) => Ok(()),
                Err(_) => store
                    .import_default(&target, &told)
                    .map(drop)
                    .map_err(Fault::from),
            }
        })
        .await?;
        found(self)
    }

    /// Makes a thing once however many ask for it at the same time. The making goes on when whoever
    /// asked leaves: the next one finds it done.
    async fn once(
        &self,
        what: String,
        progress: &Progress,
        make: impl FnOnce() -> Result<(), Fault> + Send + 'static,
    ) -> Result<(), Fault> {
        let lock = {
            let mut makings = self.makings.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(makings.entry(what.clone()).or_default())
        };
        if lock.try_lock().is_err() {
            progress.stage(format!("waiting for another request that makes the {what}"));
        }
        let held = lock.lock_owned().await;
        let making = tokio::spawn(async move {
            let result = blocking(make).await;
            drop(held);
            result
        });
        making.await.unwrap_or_else(|error| {
            Err(Fault::new(
                FaultCode::Failed,
                format!("making the {what} broke off: {error}"),
            ))
        })
    }

    /// The VMM, found once.
    ///
    /// # Errors
    /// When there is no usable QEMU.
    pub async fn vmm(&self) -> Result<Arc<qemu::Qemu>, Fault> {
        self.vmm
            .get_or_try_init(|| async {
                let program = Program::survey(&Places::present(self.config.qemu.clone())).await?;
                Ok(Arc::new(qemu::Qemu::new(program, Launcher::this_program())))
            })
            .await
            .cloned()
    }

    /// The static agent: configured, named by `BANGER_AGENT`, or beside the daemon.
    #[must_use]
    pub fn agent(&self) -> PathBuf {
        if let Some(path) = &self.config.agent {
            return path.clone();
        }
        if let Some(path) = std::env::var_os("BANGER_AGENT") {
            return path.into();
        }
        self.executable
            .parent()
            .unwrap_or(Path::new("/"))
            .join("banger-agent")
    }

    /// Everything that a boot of the spec needs; what is missing is made.
    ///
    /// # Errors
    /// The fault of whatever is missing and cannot be made.
    pub async fn boot_files(
        self: &Arc<Self>,
        spec: &Spec,
        progress: &Progress,
    ) -> Result<BootFiles, Fault> {
        let vmm = self.vmm().await?;
        let image = self.image(&spec.image.value, progress).await?;
        let kernel = self.kernel(&spec.kernel.value, progress).await?;
        let initramfs = self.initramfs(&kernel).await?;
        let chosen = self.accelerators.choose(self, &vmm, &kernel, &initramfs);
        let accelerator = chosen.await?.accelerator;
        Ok(BootFiles {
            image,
            kernel,
            initramfs,
            vmm,
            accelerator,
        })
    }

    async fn initramfs(&self, kernel: &Kernel) -> Result<PathBuf, Fault> {
        let (kernel, agent, layout) = (kernel.clone(), self.agent(), self.layout.clone());
        blocking(move || initramfs::ensure(&kernel, &agent, &layout).map_err(Fault::from)).await
    }

    /// Waits for the end of a VMM.
    pub async fn ended(&self, process: &ProcessIdentity, paths: &SandboxPaths) -> ExitReport {
        let waited = match self.vmm().await {
            Ok(vmm) => vmm
                .exited(process, paths)
                .await
                .map_err(|error| error.to_string()),
            Err(fault) => Err(fault.message),
        };
        match waited {
            Ok(report) => report,
            Err(error) => {
                // Without a VMM program the process can still be waited for.
                tracing::warn!("cannot watch process {}: {error}", process.pid);
                let status = process.exited().await.ok().flatten();
                ExitReport {
                    status,
                    log_tail: String::new(),
                }
            }
        }
    }

    /// A sandbox is deleted.
    pub fn forget(&self, id: SandboxId) {
        self.host_network.detach(id, new_id());
        self.registry.remove(id);
    }
}
