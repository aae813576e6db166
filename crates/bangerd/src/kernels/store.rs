//! The directories of kernels: what is there, what comes and what goes.

use super::{
    Kernel, KernelError, KernelSource, boot_modules, directory, distribution, import, manifest,
    package, source_files::SourceFiles,
};
use crate::disks::whole;
use crate::{
    disks::{DiskError, staging::Staging},
    layout::Layout,
    progress::Progress,
};
use banger_model::ArtifactName;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The kernels of one layout. Cheap to clone.
#[derive(Debug, Clone)]
pub struct KernelStore {
    layout: Layout,
}

impl KernelStore {
    /// The kernels below `layout.kernels()`; nothing is touched yet.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self { layout }
    }

    /// All kernels, by name. One that cannot be read is left out, and told to the log: it must not
    /// hide the others.
    ///
    /// # Errors
    /// When the directory itself cannot be read.
    pub fn list(&self) -> Result<Vec<Kernel>, KernelError> {
        let directory = self.layout.kernels();
        let listed = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(DiskError::io("list", &directory))?,
        };
        let mut kernels = Vec::new();
        for entry in listed {
            let entry = entry.map_err(DiskError::io("list", &directory))?;
            let name = entry.file_name().into_string().ok();
            let Some(name) = name.and_then(|name| name.parse().ok()) else {
                continue;
            };
            match self.get(&name) {
                Ok(kernel) => kernels.push(kernel),
                // Deleted meanwhile.
                Err(KernelError::Unknown(_)) => {}
                Err(error) => tracing::warn!(%name, %error, "kernel left out"),
            }
        }
        kernels.sort_by(|one, other| one.manifest.name.cmp(&other.manifest.name));
        Ok(kernels)
    }

    /// One kernel.
    ///
    /// # Errors
    /// [`KernelError::Unknown`]; or what is stored is damaged or newer.
    pub fn get(&self, name: &ArtifactName) -> Result<Kernel, KernelError> {
        let directory = self.existing(name)?;
        let manifest = manifest::read(&directory)?;
        let incomplete = |problem: &str| KernelError::Stored {
            directory: directory.clone(),
            problem: problem.to_owned(),
        };
        if manifest.name != *name {
            return Err(incomplete("its manifest has another name"));
        }
        let vmlinux = directory.join(import::VMLINUX);
        match vmlinux.metadata() {
            Ok(found) if found.is_file() && found.len() == manifest.length => {}
            Ok(_) => return Err(incomplete("its vmlinux is damaged: it has another length")),
            Err(_) => return Err(incomplete("its vmlinux is missing")),
        }
        let modules_disk = directory.join(import::MODULES_DISK);
        let has_modules = manifest.modules_sha256.is_some();
        if has_modules && !modules_disk.is_file() {
            return Err(incomplete("its modules.ext4 is missing"));
        }
        if has_modules
            && let Some(problem) =
                whole::what_is_wrong(&modules_disk).map_err(DiskError::io("read", &modules_disk))?
        {
            return Err(incomplete(&format!(
                "its modules.ext4 is damaged: {problem}"
            )));
        }
        Ok(Kernel {
            vmlinux,
            modules_disk: has_modules.then_some(modules_disk),
            boot_modules: boot_modules::list(&directory.join(import::BOOT_MODULES))?,
            manifest,
        })
    }

    /// Removes a kernel, also one that cannot be read. Guests that run with it are not disturbed;
    /// whether it is still named by a sandbox is the caller's to know.
    ///
    /// # Errors
    /// [`KernelError::Unknown`], or the host refuses.
    pub fn delete(&self, name: &ArtifactName) -> Result<(), KernelError> {
        let directory = self.existing(name)?;
        Ok(Staging::retire(&self.layout, "kernel", &directory)?)
    }

    /// Imports a kernel under a name that must be free.
    ///
    /// # Errors
    /// The name is taken, the source is not a kernel for this machine, or the host refuses; then
    /// nothing is left behind.
    pub fn import(
        &self,
        name: &ArtifactName,
        source: &KernelSource,
        progress: &Progress,
    ) -> Result<Kernel, KernelError> {
        self.check_free(name)?;
        source.check_there()?;
        let staging = Staging::new(&self.layout, "kernel")?;
        let packages = |packages: &[PathBuf]| {
            progress.stage("reading the package");
            package::collect(packages, staging.path(), progress)
        };
        let (files, origin) = match source {
            KernelSource::Package(path) => {
                let origin = format!("package file {}", path.display());
                (packages(std::slice::from_ref(path))?, origin)
            }
            KernelSource::Directory(path) => (
                directory::collect(path)?,
                format!("directory {}", path.display()),
            ),
            KernelSource::File(path) => {
                (directory::single(path)?, format!("file {}", path.display()))
            }
            KernelSource::DistributionPackage(wanted) => {
                let fetched = distribution::fetch(wanted, staging.path(), progress)?;
                (packages(&fetched)?, origin_of(&fetched))
            }
        };
        self.finish(&staging, name, files, origin, progress)
    }

    /// Imports the distribution's own kernel for virtual machines.
    ///
    /// # Errors
    /// As [`Self::import`]; and the host has no apt, or its package lists are empty.
    pub fn import_default(
        &self,
        name: &ArtifactName,
        progress: &Progress,
    ) -> Result<Kernel, KernelError> {
        self.check_free(name)?;
        let staging = Staging::new(&self.layout, "kernel")?;
        let fetched = distribution::fetch_default(staging.path(), progress)?;
        progress.stage("reading the package");
        let files = package::collect(&fetched, staging.path(), progress)?;
        self.finish(&staging, name, files, origin_of(&fetched), progress)
    }

    fn existing(&self, name: &ArtifactName) -> Result<PathBuf, KernelError> {
        let directory = self.layout.kernel(name);
        let is_there = directory.is_dir();
        is_there
            .then_some(directory)
            .ok_or_else(|| KernelError::Unknown(name.clone()))
    }

    /// Spares the work when the name is taken; publishing decides.
    fn check_free(&self, name: &ArtifactName) -> Result<(), KernelError> {
        match self.layout.kernel(name).symlink_metadata() {
            Ok(_) => Err(KernelError::Exists(name.clone())),
            Err(_) => Ok(()),
        }
    }

    fn finish(
        &self,
        staging: &Staging,
        name: &ArtifactName,
        files: SourceFiles,
        origin: String,
        progress: &Progress,
    ) -> Result<Kernel, KernelError> {
        let built = staging.path().join("kernel");
        fs::create_dir(&built).map_err(DiskError::io("create", &built))?;
        progress.check()?;
        import::build(files, &built, name, origin, progress)?;
        progress.check()?;
        match staging.publish(&built, &self.layout.kernel(name)) {
            Err(DiskError::Exists { .. }) => Err(KernelError::Exists(name.clone())),
            other => Ok(other?),
        }?;
        self.get(name)
    }
}

/// Downloaded packages in words: their file names say package, version and architecture.
fn origin_of(packages: &[PathBuf]) -> String {
    let names = packages.iter().filter_map(|path| Path::file_name(path));
    let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
    format!("distribution package {}", names.join(", "))
}

#[cfg(test)]
mod t1;
