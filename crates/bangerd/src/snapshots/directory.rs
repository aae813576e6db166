//! A snapshot that is there.

use super::manifest::{self, MANIFEST, Manifest, Part};
use super::unfinished::retire;
use super::{SnapshotError, Verified};
use crate::disks::DiskError;
use crate::vmm::Saved;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A snapshot: its files are as long as they should be; what is in them is for [`Snapshot::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Where it is.
    pub directory: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// What lies in a directory of snapshots.
#[derive(Debug, Default)]
pub struct Listed {
    /// Those that can be read, the oldest first.
    pub snapshots: Vec<Snapshot>,
    /// What cannot be read as one, and why.
    pub unreadable: Vec<(PathBuf, SnapshotError)>,
}

impl Snapshot {
    /// Reads what one says of itself, and compares the lengths of its files.
    ///
    /// # Errors
    /// [`SnapshotError::NotFound`]; the manifest is of a newer form, cannot be understood or is that of
    /// another snapshot; a file is not there or has another length.
    pub fn open(directory: &Path) -> Result<Self, SnapshotError> {
        let not_found = || SnapshotError::NotFound {
            directory: directory.to_owned(),
        };
        match directory.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_found()),
            Err(error) => return Err(DiskError::io("look at", directory)(error).into()),
            Ok(found) if !found.is_dir() => return Err(not_found()),
            Ok(_) => {}
        }
        let snapshot = Self {
            directory: directory.to_owned(),
            manifest: manifest::read(directory)?,
        };
        if let Some(tag) = &snapshot.manifest.tag
            && directory.file_name() != Some(tag.as_str().as_ref())
        {
            return Err(snapshot.damaged(MANIFEST, format!("is that of another, {tag}")));
        }
        for (part, expected) in &snapshot.manifest.files {
            let size = snapshot.file(*part)?.1;
            if size != expected.size {
                return Err(snapshot.damaged(
                    part.name(),
                    format!("has {size} bytes and not {}", expected.size),
                ));
            }
        }
        Ok(snapshot)
    }

    /// All of them in a directory; names with a dot are none. Where it is not there, there are none.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(parent: &Path) -> Result<Listed, SnapshotError> {
        let mut listed = Listed::default();
        let found = match fs::read_dir(parent) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listed),
            found => found.map_err(DiskError::io("list", parent))?,
        };
        for entry in found {
            let entry = entry.map_err(DiskError::io("list", parent))?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            match Self::open(&entry.path()) {
                Ok(snapshot) => listed.snapshots.push(snapshot),
                Err(error) => listed.unreadable.push((entry.path(), error)),
            }
        }
        let age = |one: &Self| (one.manifest.taken_at, one.directory.clone());
        listed.snapshots.sort_by_key(age);
        listed.unreadable.sort_by(|one, two| one.0.cmp(&two.0));
        Ok(listed)
    }

    /// The guest that can go on from it; none if it did not run.
    #[must_use]
    pub fn saved(&self) -> Option<Saved> {
        Some(Saved {
            memory: self.path(Part::Memory)?,
            devices: self.path(Part::Devices)?,
        })
    }

    /// The system disk, as it was.
    #[must_use]
    pub fn system_disk(&self) -> Option<PathBuf> {
        self.path(Part::SystemDisk)
    }

    /// The work disk, as it was.
    #[must_use]
    pub fn work_disk(&self) -> Option<PathBuf> {
        self.path(Part::WorkDisk)
    }

    /// Makes sure that each file is what was saved; what is known of one already is not read again.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`] with the first file that is not; the host refuses.
    pub fn verify(&self, verified: &Verified) -> Result<(), SnapshotError> {
        for (part, expected) in &self.manifest.files {
            let (file, _) = self.file(*part)?;
            let path = self.directory.join(part.name());
            let found = verified.digest_like(&file, expected);
            let found = found.map_err(DiskError::io("read", &path))?;
            if found.size != expected.size {
                let why = format!("has {} bytes and not {}", found.size, expected.size);
                return Err(self.damaged(part.name(), why));
            }
            if found.sha256 != expected.sha256 {
                return Err(self.damaged(part.name(), "is not what was saved".to_owned()));
            }
        }
        Ok(())
    }

    /// Bytes that it takes on the host. What it shares with another counts for each.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn size_on_disk(&self) -> Result<u64, SnapshotError> {
        let names = self.manifest.files.keys().map(|part| part.name());
        let mut bytes = 0;
        for name in names.chain([MANIFEST]) {
            let path = self.directory.join(name);
            let found = path.symlink_metadata();
            bytes += found.map_err(DiskError::io("look at", &path))?.blocks() * 512;
        }
        Ok(bytes)
    }

    /// Removes it: out of sight at once. A guest that went on from it keeps what it has open.
    ///
    /// # Errors
    /// [`SnapshotError::NotFound`] when somebody else has; the host refuses.
    pub fn remove(self) -> Result<(), SnapshotError> {
        retire(&self.directory)
    }

    /// Where a file of it is, if it has that.
    pub(super) fn path(&self, part: Part) -> Option<PathBuf> {
        let has = self.manifest.files.contains_key(&part);
        has.then(|| self.directory.join(part.name()))
    }

    /// Opens a file of it, and its length. A link is not followed.
    fn file(&self, part: Part) -> Result<(File, u64), SnapshotError> {
        let path = self.directory.join(part.name());
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let mut options = File::options();
        options.read(true).custom_flags(flags.bits().cast_signed());
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.damaged(part.name(), "is not there".to_owned()));
            }
            opened => opened.map_err(DiskError::io("open", &path))?,
        };
        let found = file.metadata().map_err(DiskError::io("look at", &path))?;
        if !found.is_file() {
            return Err(self.damaged(part.name(), "is no file".to_owned()));
        }
        Ok((file, found.size()))
    }

    fn damaged(&self, file: &str, why: String) -> SnapshotError {
        SnapshotError::Damaged {
            directory: self.directory.clone(),
            file: file.to_owned(),
            why,
        }
    }
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod t1;
