//! Writing an export.

use super::ExportError;
use super::form::{Form, ImagePart, PartForm, PartName};
use super::piece::{self, Meter};
use crate::blocks::data;
use crate::diff::Secrets;
use crate::disks::DiskError;
use crate::progress::Progress;
use crate::snapshots::digest::digest_without;
use crate::snapshots::{Snapshot, Verified};
use ring::signature::Ed25519KeyPair;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What goes into an export.
#[derive(Debug)]
pub struct Contents<'a> {
    /// The moment that is exported.
    pub snapshot: &'a Snapshot,
    /// What the sandbox is called.
    pub name: String,
    /// See [`Form::spec`].
    pub spec: String,
    /// What its image is.
    pub image: ImagePart,
    /// The image's disk, where it goes with it.
    pub image_disk: Option<PathBuf>,
    /// Whether its memory goes with it.
    pub memory: bool,
    /// What of its disks does not; none where they are written as they are.
    pub blank: Option<Secrets>,
}

/// A sandbox that can be written: its files are open, and known.
#[derive(Debug)]
pub struct Outgoing {
    form: Form,
    /// In the order of their names, with what of them is blank.
    files: Vec<(File, Vec<Range<u64>>)>,
}

impl Outgoing {
    /// Opens and digests what goes into it.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn of(contents: Contents<'_>, verified: &Verified) -> Result<Self, ExportError> {
        let snapshot = contents.snapshot;
        let saved = snapshot.saved().filter(|_| contents.memory);
        let fingerprint = saved
            .as_ref()
            .and_then(|_| snapshot.manifest.fingerprint.clone());
        let (memory, devices) = saved.map(|saved| (saved.memory, saved.devices)).unzip();
        let paths = BTreeMap::from([
            (PartName::Image, contents.image_disk),
            (PartName::System, snapshot.system_disk()),
            (PartName::Work, snapshot.work_disk()),
            (PartName::Devices, devices),
            (PartName::Memory, memory),
        ]);
        let blanked = contents.blank.as_ref().map(|blank| blank.paths.clone());
        let blank = contents.blank.unwrap_or_default();
        let mut blank = BTreeMap::from([
            (PartName::System, blank.system),
            (PartName::Work, blank.work),
        ]);
        let (mut parts, mut files) = (BTreeMap::new(), vec![]);
        for (name, path) in paths {
            let Some(path) = path else { continue };
            let blank = blank.remove(&name).unwrap_or_default();
            let looked = look(&path, &blank, verified);
            let (file, part) = looked.map_err(DiskError::io("read", &path))?;
            files.push((file, blank));
            parts.insert(name, part);
        }
        let form = Form {
            form: Form::NEWEST,
            taken_at: snapshot.manifest.taken_at,
            name: contents.name,
            spec: contents.spec,
            image: contents.image,
            fingerprint,
            blanked,
            parts,
        };
        Ok(Self { form, files })
    }

    /// Writes it.
    ///
    /// # Errors
    /// A file cannot be read, nobody reads what is written, or it was cancelled.
    pub fn write(
        &self,
        key: &Ed25519KeyPair,
        into: &mut dyn Write,
        progress: &Progress,
    ) -> Result<(), ExportError> {
        self.form.write(key, into)?;
        let mut meter = Meter::of(progress, &self.form);
        for ((file, blank), part) in self.files.iter().zip(self.form.parts.values()) {
            piece::write((file, blank), part.digest.size, into, &mut meter)?;
        }
        into.flush().map_err(ExportError::Stream)
    }
}

fn look(path: &Path, blank: &[Range<u64>], verified: &Verified) -> io::Result<(File, PartForm)> {
    let file = File::open(path)?;
    let digest = match blank {
        [] => verified.digest(&file)?,
        _ => digest_without(&file, blank)?,
    };
    let extents = data(&file, digest.size).map(|extent| extent.map(|at| at.end - at.start));
    let data = extents.sum::<io::Result<u64>>()?;
    Ok((file, PartForm { digest, data }))
}
