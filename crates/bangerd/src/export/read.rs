//! Reading an export: nothing of it is used before all of it was compared with what its manifest says, and that
//! with its signature.

use super::error::of_stream;
use super::form::{Form, PartName};
use super::piece::{self, Meter};
use super::{ExportError, key};
use crate::disks::{DiskError, space};
use crate::progress::Progress;
use crate::snapshots::{FileDigest, Making, Manifest, Snapshot, SnapshotError, Verified};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Whose exports are taken, by their public keys.
#[derive(Debug, Clone, Default)]
pub struct Trust(pub Vec<String>);

/// An export of which the manifest was read: it is that of somebody who is trusted.
pub struct Incoming<'a> {
    /// What it says of itself.
    pub form: Form,
    from: &'a mut dyn Read,
}

/// What an export had in it, compared with what it says: all of it lies in the directory that was given.
#[derive(Debug)]
pub struct Unpacked {
    /// Its disks, and what is saved of its guest.
    pub snapshot: Snapshot,
    /// Its image's disk, if it came with it.
    pub image: Option<PathBuf>,
}

impl<'a> Incoming<'a> {
    /// Reads what one says of itself.
    ///
    /// # Errors
    /// It is none, a newer one, damaged, cut off; its key is not among those that are trusted.
    pub fn open(from: &'a mut dyn Read, trust: &Trust) -> Result<Self, ExportError> {
        let (form, signer) = Form::read(from)?;
        let key = key::shown(&signer);
        let is_it = |known: &String| known.eq_ignore_ascii_case(&key);
        if !trust.0.iter().any(is_it) {
            return Err(ExportError::Unknown { key });
        }
        Ok(Self { form, from })
    }

    /// Reads the rest into a directory that is there and empty. Nothing lies anywhere else, and whatever fails, the
    /// directory is for the caller to remove.
    ///
    /// # Errors
    /// It is damaged or cut off; there is no room.
    pub fn unpack(
        self,
        directory: &Path,
        verified: &Verified,
        progress: &Progress,
    ) -> Result<Unpacked, ExportError> {
        let Self { form, from } = self;
        // Disks are copied once more when the sandbox is made of them.
        space::require(directory, form.data() * 2)?;
        let making = Making::begin(&directory.join("snapshot")).map_err(of_snapshot)?;
        let image = directory.join("image.ext4");
        let mut meter = Meter::of(progress, &form);
        for (name, part) in &form.parts {
            let path = name.of_snapshot();
            let path = path.map_or_else(|| image.clone(), |part| making.file(part));
            let file = file(&path)?;
            piece::read(from, (&file, &path), part, &mut meter)?;
        }
        if from.read(&mut [0]).map_err(of_stream)? != 0 {
            return Err(ExportError::Damaged("it goes on behind its end".into()));
        }
        progress.stage("checking what was read");
        let published = making.publish(manifest(&form), verified);
        let unpacked = Unpacked {
            snapshot: published.map_err(of_snapshot)?,
            image: form.parts.contains_key(&PartName::Image).then_some(image),
        };
        unpacked.compare(&form, verified)?;
        Ok(unpacked)
    }
}

fn file(path: &Path) -> Result<File, DiskError> {
    let mut options = File::options();
    options.read(true).write(true).create_new(true).mode(0o600);
    options.open(path).map_err(DiskError::io("create", path))
}

impl Unpacked {
    fn compare(&self, form: &Form, verified: &Verified) -> Result<(), ExportError> {
        let mut found = self.snapshot.manifest.files.clone();
        for (name, part) in &form.parts {
            let digest = match (name.of_snapshot(), &self.image) {
                (Some(part), _) => found.remove(&part),
                (None, Some(image)) => Some(digest(image, verified)?),
                (None, None) => None,
            };
            if digest.as_ref() != Some(&part.digest) {
                let why = format!("its {name:?} is not what was exported").to_lowercase();
                return Err(ExportError::Damaged(why));
            }
        }
        Ok(())
    }
}

fn digest(path: &Path, verified: &Verified) -> Result<FileDigest, DiskError> {
    let digest = File::open(path).and_then(|file| verified.digest(&file));
    digest.map_err(DiskError::io("read", path))
}

/// As of a snapshot that is nobody's.
fn manifest(form: &Form) -> Manifest {
    Manifest {
        taken_at: form.taken_at,
        sandbox: None,
        tag: None,
        command: None,
        suspended: None,
        fingerprint: form.fingerprint.clone(),
        spec: form.spec.clone(),
        files: BTreeMap::new(),
    }
}

fn of_snapshot(error: SnapshotError) -> ExportError {
    match error {
        SnapshotError::Disk(error) => ExportError::Disk(error),
        other => ExportError::Damaged(other.to_string()),
    }
}
