//! Sandboxes that come from one file.

use super::Supervisor;
use super::export::only_its_own;
use super::fork::Beginning;
use crate::disks::staging::Staging;
use crate::export::{self, Form, ImagePart, Incoming, PartName, Trust, Unpacked};
use crate::host;
use crate::images::{Image, ImageManifest};
use crate::operation::Going;
use crate::progress::Progress;
use crate::registry::Reservation;
use crate::sandbox::Sandbox;
use crate::services::blocking;
use crate::store;
use banger_model::spec::{NetworkMode, Source, Sourced, Spec};
use banger_model::{ArtifactName, SandboxName};
use banger_proto::fault::{Fault, FaultCode};
use std::env::consts::ARCH;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

/// What was read of an export; it lies in a directory that goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Imported {
    staging: Staging,
    unpacked: Unpacked,
    spec: Spec,
    image: ImageOf,
}

/// Where the image of an import is.
#[derive(Debug)]
enum ImageOf {
    Here(ArtifactName),
    /// In the export; to be kept as this.
    New(Box<ImageManifest>),
}

impl Supervisor {
    /// Gives a sandbox that is to come from a file its id and name.
    ///
    /// # Errors
    /// `Conflict` when the name is taken.
    pub(crate) fn hold_import(&self, name: Option<&SandboxName>) -> Result<Reservation, Fault> {
        self.hold(None, name, None)
    }

    /// Reads an export into a directory of its own. Blocks.
    ///
    /// # Errors
    /// What is wrong with it; that its image or a place for it is missing, or the host too small for it.
    pub(crate) fn read_import(
        &self,
        from: &mut dyn Read,
        trust: Option<String>,
        progress: &Progress,
    ) -> Result<Imported, Fault> {
        let layout = &self.services.layout;
        let own = export::key::public(&export::key::own(&layout.export_key())?);
        let mut known = self.services.config.trusted_exporters.clone();
        known.extend([own].into_iter().chain(trust));
        progress.stage("reading the machine");
        let incoming = Incoming::open(from, &Trust(known))?;
        // Before all the rest is read.
        let spec = self.spec_of_import(&incoming.form)?;
        let image = self.image_of_import(&incoming.form)?;
        let staging = Staging::new(layout, "import").map_err(|error| error.fault())?;
        let unpacked = incoming.unpack(staging.path(), &self.services.verified, progress)?;
        Ok(Imported {
            staging,
            unpacked,
            spec,
            image,
        })
    }

    /// Makes a sandbox of what was read. When that fails, nothing is left of it.
    ///
    /// # Errors
    /// As a creation.
    pub(crate) async fn import(
        &self,
        mut reservation: Reservation,
        imported: Imported,
        going: &Going,
    ) -> Result<Arc<Sandbox>, Fault> {
        let Imported {
            staging,
            unpacked,
            mut spec,
            image,
        } = imported;
        let op = going.progress.op();
        if let Some(subnet) = self.subnet(&mut spec, op).await? {
            reservation.address(&subnet)?;
        }
        spec.image = Sourced::new(image.name().clone(), Source::Request);
        let new = self.keep_image(image, &staging, unpacked.image).await?;
        let origin = Beginning::Import(Arc::new(unpacked.snapshot));
        let made = self.create(reservation, spec, origin, None, going).await;
        drop(staging);
        if let (Err(_), Some(image)) = (&made, new) {
            self.remove_unused_image(image).await;
        }
        made
    }

    /// What it was, judged as a new one's on this host.
    fn spec_of_import(&self, form: &Form) -> Result<Spec, Fault> {
        let then = store::read_spec(&form.spec).map_err(unreadable)?;
        let services = &self.services;
        let kernel = match services.kernels.get(&then.kernel.value) {
            Ok(_) => then.kernel.clone(),
            Err(_) => Sourced::new(services.config.default_kernel.0.clone(), Source::Config),
        };
        let network = match (then.network.value, services.host_network.availability()) {
            (NetworkMode::Bridge, Err(_)) => NetworkMode::User,
            (mode, _) => mode,
        };
        let spec = Spec {
            kernel,
            network: Sourced::new(network, Source::Host),
            ..only_its_own(then)
        };
        let room = host::room(&services.layout.state);
        super::judge(&super::sizes_of(&spec), host::size(), room)?;
        let parts = [
            (PartName::System, spec.system_disk.value.bytes()),
            (PartName::Work, spec.work_disk.value.bytes()),
            (PartName::Memory, spec.memory.value.bytes()),
        ];
        let size = |name| form.parts.get(&name).map_or(0, |part| part.digest.size);
        match parts.iter().find(|(name, most)| size(*name) > *most) {
            Some((name, _)) => Err(unreadable(format!("its {name:?} is larger").to_lowercase())),
            None => Ok(spec),
        }
    }

    /// The image that is here already, or a name for the one that comes with it.
    fn image_of_import(&self, form: &Form) -> Result<ImageOf, Fault> {
        let (all, wanted) = (self.services.images.list()?, &form.image);
        let is_it = |image: &&Image| {
            let manifest = &image.manifest;
            (&manifest.sha256, manifest.created) == (&wanted.sha256, wanted.created)
        };
        if let Some(image) = all.iter().find(is_it) {
            return Ok(ImageOf::Here(image.manifest.name.clone()));
        }
        if ![ARCH, "unknown"].contains(&wanted.architecture.as_str()) {
            let message = format!(
                "its image is for another processor: {}",
                wanted.architecture
            );
            return Err(Fault::new(FaultCode::Refused, message)
                .with_remedy(format!("import it on a host with {}", wanted.architecture)));
        }
        if !form.parts.contains_key(&PartName::Image) {
            let message = format!("its image {:?} is neither here nor in it", wanted.name);
            return Err(
                Fault::new(FaultCode::Refused, message).with_remedy("export it without --no-image")
            );
        }
        // What machines are made of unasked is not another host's to say.
        let is_default = |name: &ArtifactName| *name == self.services.config.default_image.0;
        let is_free = |name: &ArtifactName| all.iter().all(|one| one.manifest.name != *name);
        let names = [wanted.name.clone(), format!("imported-{}", wanted.created)];
        let mut names = names.iter().filter_map(|name| name.parse().ok());
        let name = names.find(|name| is_free(name) && !is_default(name));
        let name = name.ok_or_else(|| {
            let message = format!("there is another image {:?} already", wanted.name);
            Fault::new(FaultCode::Conflict, message).with_remedy("see `banger image list`")
        })?;
        Ok(ImageOf::New(Box::new(manifest(name, form))))
    }

    /// Takes the image in that came with it; its name, if it is a new one.
    async fn keep_image(
        &self,
        image: ImageOf,
        staging: &Staging,
        disk: Option<PathBuf>,
    ) -> Result<Option<ArtifactName>, Fault> {
        let (ImageOf::New(mut manifest), Some(disk)) = (image, disk) else {
            return Ok(None);
        };
        let name = manifest.name.clone();
        let (store, staging) = (self.services.images.clone(), staging.path().to_owned());
        let adopting = blocking(move || {
            manifest.size = host::used(&disk);
            Ok(store.adopt(&staging, &disk, &manifest)?)
        });
        adopting.await?;
        Ok(Some(name))
    }

    async fn remove_unused_image(&self, image: ArtifactName) {
        let all = self.services.registry.all();
        if all.iter().any(|one| one.record().spec.image.value == image) {
            return;
        }
        let store = self.services.images.clone();
        if let Err(fault) = blocking(move || Ok(store.delete(&image)?)).await {
            tracing::warn!("cannot remove the image of a failed import: {fault}");
        }
    }
}

impl ImageOf {
    fn name(&self) -> &ArtifactName {
        match self {
            Self::Here(name) => name,
            Self::New(manifest) => &manifest.name,
        }
    }
}

fn manifest(name: ArtifactName, form: &Form) -> ImageManifest {
    let ImagePart {
        sha256,
        architecture,
        init,
        created,
        entries,
        ..
    } = form.image.clone();
    ImageManifest {
        name,
        sha256,
        origin: format!("an export of the machine {}", form.name),
        architecture,
        init,
        created,
        entries,
        size: 0,
    }
}

fn unreadable(why: impl std::fmt::Display) -> Fault {
    let message = format!("the export does not say what it is of: {why}");
    Fault::new(FaultCode::BadRequest, message)
        .with_remedy("export it again, with the newer banger if the two differ")
}
