//! The images of one owner, as directories under [`Layout::images`].

use super::{
    bootstrap,
    error::ImageError,
    ext4::Ext4,
    import::{self, DISK, Limits, MANIFEST, Source},
    manifest::ImageManifest,
};
use crate::disks::whole;
use crate::{
    disks::{DiskError, staging::Staging},
    layout::Layout,
    progress::Progress,
};
use banger_model::ArtifactName;
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// One image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What it says of itself.
    pub manifest: ImageManifest,
    /// Its file system: read-only, shared by every sandbox of it.
    pub disk: PathBuf,
}

impl Image {
    /// What tells it from every other, one of the same name and archive included.
    #[must_use]
    pub fn identity(&self) -> String {
        format!("{}-{}", self.manifest.sha256, self.manifest.created)
    }
}

/// The images of one owner. Its functions block.
#[derive(Debug, Clone)]
pub struct ImageStore {
    layout: Layout,
}

impl ImageStore {
    /// The images of a layout; nothing is touched yet.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self { layout }
    }

    /// All images, by name.
    ///
    /// # Errors
    /// The directory cannot be read, or the manifest of an image cannot be understood.
    pub fn list(&self) -> Result<Vec<Image>, ImageError> {
        let all = self.layout.images();
        let found = match fs::read_dir(&all) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            found => found.map_err(DiskError::io("list", &all))?,
        };
        let mut names: Vec<ArtifactName> = Vec::new();
        for entry in found {
            let entry = entry.map_err(DiskError::io("list", &all))?;
            // What has no image's name was put there by somebody else.
            names.extend(
                entry
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse().ok()),
            );
        }
        names.sort();
        names.iter().map(|name| self.get(name)).collect()
    }

    /// One image.
    ///
    /// # Errors
    /// [`ImageError::NotFound`]; its manifest cannot be understood, or its disk is gone.
    pub fn get(&self, name: &ArtifactName) -> Result<Image, ImageError> {
        let directory = self.layout.image(name);
        if directory.symlink_metadata().is_err() {
            return Err(ImageError::NotFound { name: name.clone() });
        }
        let path = directory.join(MANIFEST);
        let manifest = ImageManifest::read(&path, name)?;
        let disk = directory.join(DISK);
        if !disk.is_file() {
            let why = format!(
                "it is the manifest of {}, which is not there",
                disk.display()
            );
            return Err(ImageError::Manifest { path, why });
        }
        let wrong = whole::what_is_wrong(&disk).unwrap_or(Some("it cannot be read"));
        if let Some(wrong) = wrong {
            let why = format!("{} is damaged: {wrong}", disk.display());
            return Err(ImageError::Manifest { path, why });
        }
        Ok(Image { manifest, disk })
    }

    /// Makes an image of a tar of a root file system: plain, or packed by gzip, xz or zstd. `origin`
    /// says in words where it came from.
    ///
    /// # Errors
    /// The name is taken; the archive is not a tar, cut, damaged, too large or for another
    /// processor; the host has no room. Nothing is left behind.
    pub fn import(
        &self,
        name: &ArtifactName,
        tar: &mut dyn Read,
        origin: &str,
        progress: &Progress,
    ) -> Result<Image, ImageError> {
        let source = Source {
            tar,
            origin,
            left_out: |_| false,
            added: Vec::new(),
            whole: &mut || Ok(()),
        };
        self.make(name, source, progress)
    }

    /// Makes an image of a distribution's packages: Debian with systemd, and what a developer's
    /// shell needs, through the host's `mmdebstrap`.
    ///
    /// # Errors
    /// As [`ImageStore::import`]; also when `mmdebstrap` is missing or fails.
    pub fn bootstrap(&self, name: &ArtifactName, progress: &Progress) -> Result<Image, ImageError> {
        self.require_free(name)?;
        let (command, origin) = bootstrap::command()?;
        bootstrap::run(command, progress, |stdout, whole| {
            let source = Source {
                tar: stdout,
                origin: &origin,
                left_out: bootstrap::left_out,
                added: bootstrap::added(),
                whole,
            };
            self.make(name, source, progress)
        })
    }

    /// Takes a disk that lies in a directory of staging, and was compared with what it should be, as an image.
    ///
    /// # Errors
    /// The name is taken, it is no file system, or the host refuses.
    pub(crate) fn adopt(
        &self,
        staging: &Path,
        disk: &Path,
        manifest: &ImageManifest,
    ) -> Result<(), ImageError> {
        self.require_free(&manifest.name)?;
        let built = staging.join("image");
        if let Some(why) = whole::what_is_wrong(disk).unwrap_or(Some("it cannot be read")) {
            return Err(ImageError::Manifest {
                path: disk.to_owned(),
                why: why.to_owned(),
            });
        }
        fs::create_dir(&built).map_err(DiskError::io("create", &built))?;
        fs::rename(disk, built.join(DISK)).map_err(DiskError::io("move", disk))?;
        manifest.write(&built.join(MANIFEST))?;
        match Staging::publish_from(&built, &self.layout.image(&manifest.name)) {
            Err(DiskError::Exists { .. }) => Err(ImageError::Exists {
                name: manifest.name.clone(),
            }),
            other => Ok(other?),
        }
    }

    /// Removes an image. Sandboxes that have its disk open keep it until they close it; that no
    /// other needs it is for the caller to know.
    ///
    /// # Errors
    /// [`ImageError::NotFound`]; the host refuses.
    pub fn delete(&self, name: &ArtifactName) -> Result<(), ImageError> {
        let directory = self.layout.image(name);
        if directory.symlink_metadata().is_err() {
            return Err(ImageError::NotFound { name: name.clone() });
        }
        Ok(Staging::retire(&self.layout, "deleted", &directory)?)
    }

    fn require_free(&self, name: &ArtifactName) -> Result<(), ImageError> {
        match self.layout.image(name).symlink_metadata() {
            Ok(_) => Err(ImageError::Exists { name: name.clone() }),
            Err(_) => Ok(()),
        }
    }

    fn make(
        &self,
        name: &ArtifactName,
        source: Source<'_>,
        progress: &Progress,
    ) -> Result<Image, ImageError> {
        self.require_free(name)?;
        import::import(
            &self.layout,
            name,
            source,
            Limits::default(),
            &Ext4,
            progress,
        )?;
        self.get(name)
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
