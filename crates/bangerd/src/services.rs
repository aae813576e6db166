//! What every driver and every request needs, in one bag: where things are, what is configured, the
//! stores, the VMM. Built once; fields are shared and never change.

use crate::accelerators::Accelerators;
use crate::config::{BUILTIN_IMAGE, BUILTIN_KERNEL, Config};
use crate::events::Feed;
use crate::host_network::{Dependencies, Helper, HostNetwork};
use crate::images::{Image, ImageStore};
use crate::initramfs;
use crate::kernels::{Kernel, KernelSource, KernelStore};
use crate::layout::{Layout, SandboxPaths};
use crate::making::Makings;
use crate::operation::new_id;
use crate::progress::Progress;
use crate::publish::Endpoints;
use crate::registry::Registry;
use crate::snapshots::Verified;
use crate::store::Store;
use crate::supervise::{Moments, Origins, Pool, WantedTemplates};
use crate::vmm::qemu::{self, Launcher, Places, Program};
use crate::vmm::{Accelerator, ExitReport, ProcessIdentity, Vmm};
use banger_model::{ArtifactName, SandboxId, Spec};
use banger_proto::fault::{Fault, FaultCode};
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    /// What of snapshots was found to be as it was saved.
    pub verified: Arc<Verified>,
    /// Templates that are to be made.
    pub wanted_templates: WantedTemplates,
    /// What waits for whoever creates a machine.
    pub pool: Pool,
    /// Moments that several forks share.
    pub moments: Moments,
    /// What ephemeral forks were made of.
    pub origins: Origins,
    /// Which sandbox has which published port.
    pub endpoints: Arc<Endpoints>,
    /// The daemon's own program.
    pub executable: PathBuf,
    vmm: OnceCell<Arc<qemu::Qemu>>,
    accelerators: Accelerators,
    /// Images and kernels that are being made.
    makings: Makings,
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
        let of_helper = layout.clone();
        Self::apart(layout, &of_helper, config, store, feed, executable)
    }

    /// The same for who looks without being the daemon: its helper is another, with its socket and log
    /// in a layout of its own.
    #[must_use]
    pub fn apart(
        layout: Layout,
        of_helper: &Layout,
        config: Config,
        store: Store,
        feed: Feed,
        executable: PathBuf,
    ) -> Self {
        Self {
            host_network: HostNetwork::new(Dependencies {
                helper: Helper::standalone(
                    of_helper,
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
            verified: Arc::default(),
            wanted_templates: WantedTemplates::default(),
            pool: Pool::default(),
            moments: Moments::default(),
            origins: Origins::default(),
            endpoints: Arc::default(),
            executable,
            vmm: OnceCell::new(),
            accelerators: Accelerators::default(),
            makings: Makings::default(),
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
        self.make_image(name, progress).await
    }

    /// Makes an image of the host's own distribution, or waits for whoever makes it.
    ///
    /// # Errors
    /// Whatever making it gives.
    pub async fn make_image(
        &self,
        name: &ArtifactName,
        progress: &Progress,
    ) -> Result<Image, Fault> {
        let (store, target) = (self.images.clone(), name.clone());
        let make = move |progress: &Progress| match store.get(&target) {
            // Another has made it since it was looked for.
            Ok(_) => Ok(()),
            Err(_) => store
                .bootstrap(&target, progress)
                .map(drop)
                .map_err(Fault::from),
        };
        self.makings
            .once(format!("image {name}"), progress, make)
            .await?;
        Ok(self.images.get(name)?)
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
        self.fetch_kernel(name, None, progress).await
    }

    /// Takes a kernel in, or waits for whoever takes the same one in under the same name. Without a
    /// source it is what the host's package manager offers.
    ///
    /// # Errors
    /// `Conflict` when the name is taken; whatever importing it gives.
    pub async fn import_kernel(
        &self,
        name: &ArtifactName,
        source: Option<KernelSource>,
        progress: &Progress,
    ) -> Result<Kernel, Fault> {
        self.fetch_kernel(name, source, progress).await
    }

    async fn fetch_kernel(
        &self,
        name: &ArtifactName,
        source: Option<KernelSource>,
        progress: &Progress,
    ) -> Result<Kernel, Fault> {
        let what = match &source {
            None => format!("kernel {name}"),
            Some(source) => format!("kernel {name} from {source}"),
        };
        let (store, target) = (self.kernels.clone(), name.clone());
        let make = move |progress: &Progress| {
            let made = match (store.get(&target), &source) {
                // Another has made it since it was looked for.
                (Ok(_), None) => return Ok(()),
                (_, None) => store.import_default(&target, progress),
                (_, Some(source)) => store.import(&target, source, progress),
            };
            made.map(drop).map_err(Fault::from)
        };
        self.makings.once(what, progress, make).await?;
        Ok(self.kernels.get(name)?)
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
        self.origins.forget(id);
        self.registry.remove(id);
    }
}
