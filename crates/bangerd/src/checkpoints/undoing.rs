//! Taking a sandbox back to a checkpoint.
//!
//! ```text
//!   verify ── `undo` says which ── end the VMM ── base back, by the logs ── disks as the base ── `resume/` ── newer ones go ── `undo` goes
//!                  │ killed here, the VMM lives: nothing was done, `undo` is removed
//!                  └ killed later: done again from the base on, by the next daemon
//! ```

use super::before::Before;
use super::directory::{Checkpoints, Kept};
use super::entry::{BASE, damaged, log_name};
use super::making::unshare;
use crate::blocks::make_same;
use crate::disks::DiskError;
use crate::layout::SandboxPaths;
use crate::snapshots::{self, Manifest, Part, SnapshotError, Verified, share};
use banger_model::{SandboxId, SandboxName};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// An undo that was decided on.
#[derive(Debug, Clone)]
pub struct Undo {
    checkpoints: Checkpoints,
    /// What it goes back to.
    pub target: Kept,
    /// Those after it, the newest first.
    newer: Vec<Kept>,
}

impl Undo {
    /// To the checkpoint with this number; none where that is not there.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub fn to(checkpoints: &Checkpoints, number: u32) -> Result<Option<Self>, SnapshotError> {
        let mut all = checkpoints.list()?;
        let Some(index) = all.iter().position(|kept| kept.number == number) else {
            return Ok(None);
        };
        let mut newer = all.split_off(index + 1);
        newer.reverse();
        Ok(all.pop().map(|target| Self {
            checkpoints: checkpoints.clone(),
            target,
            newer,
        }))
    }

    /// One that was begun, and is to be done again or given up.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub fn begun(checkpoints: &Checkpoints) -> Result<Option<Self>, SnapshotError> {
        let path = intent(checkpoints);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(DiskError::io("read", &path))?,
        };
        let number = text
            .trim()
            .parse()
            .map_err(|_| damaged(checkpoints.path(), "undo", "does not say where to"))?;
        let undo = Self::to(checkpoints, number)?;
        let gone = || {
            damaged(
                checkpoints.path(),
                "undo",
                format!("leads to {number}, which is gone"),
            )
        };
        undo.map(Some).ok_or_else(gone)
    }

    /// Whether one was begun.
    #[must_use]
    pub fn is_begun(checkpoints: &Checkpoints) -> bool {
        intent(checkpoints).exists()
    }

    /// Makes sure that all that is needed is as it was saved; what is known of a file is not read again.
    ///
    /// # Errors
    /// [`SnapshotError::Damaged`] with the first that is not; the host refuses.
    pub fn verify(&self, verified: &Verified) -> Result<(), SnapshotError> {
        let newest = self.newer.first().unwrap_or(&self.target);
        for (part, expected) in &newest.entry.parts {
            compare(verified, &self.checkpoints.base(*part), expected)?;
        }
        for kept in &self.newer {
            for (part, expected) in &kept.entry.logs {
                compare(verified, &kept.directory.join(log_name(*part)), expected)?;
            }
        }
        let devices = self.target.directory.join(Part::Devices.name());
        match &self.target.entry.devices {
            Some(expected) => compare(verified, &devices, expected),
            None => Err(damaged(
                &self.target.directory,
                Part::Devices.name(),
                "has no digest",
            )),
        }
    }

    /// From now on it is done, whatever comes.
    ///
    /// # Errors
    /// The host refuses, or has no room: nothing is begun then.
    pub fn intend(&self) -> Result<(), SnapshotError> {
        for part in [Part::SystemDisk, Part::WorkDisk] {
            let path = self.checkpoints.base(part);
            let synced = File::open(&path).and_then(|file| file.sync_data());
            synced.map_err(DiskError::io("write", &path))?;
        }
        let (path, text) = (
            intent(&self.checkpoints),
            format!("{}\n", self.target.number),
        );
        let unfinished = path.with_file_name(".undo");
        let written = fs::write(&unfinished, text)
            .and_then(|()| File::open(&unfinished)?.sync_all())
            .and_then(|()| fs::rename(&unfinished, &path))
            .and_then(|()| File::open(self.checkpoints.path())?.sync_all());
        Ok(written.map_err(DiskError::io("write", &path))?)
    }

    /// Nothing of it was done yet, and nothing is to be.
    ///
    /// # Errors
    /// The host refuses.
    pub fn give_up(checkpoints: &Checkpoints) -> Result<(), SnapshotError> {
        let path = intent(checkpoints);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DiskError::io("remove", &path)(error).into())
            }
            _ => Ok(()),
        }
    }

    /// Takes base and disks back. No VMM has them open. Done again, it comes to the same.
    ///
    /// # Errors
    /// There is no room, or the host refuses: to be done again.
    pub fn take_back(&self, paths: &SandboxPaths) -> Result<(), SnapshotError> {
        for gone in [paths.resume(), paths.origin()] {
            match snapshots::remove(&gone) {
                Err(SnapshotError::NotFound { .. }) => {}
                removed => removed?,
            }
        }
        for part in BASE {
            self.take_back_base(part)?;
        }
        for (part, disk) in [
            (Part::SystemDisk, paths.system_disk()),
            (Part::WorkDisk, paths.work_disk()),
        ] {
            let base = self.checkpoints.base(part);
            let made = || -> io::Result<()> {
                let base = File::open(&base)?;
                let mut options = File::options();
                let disk = options.read(true).write(true).open(&disk)?;
                make_same(&disk, &base, &|_, _| Ok(()))?;
                disk.sync_data()
            };
            made().map_err(DiskError::io("take back", &disk))?;
        }
        Ok(())
    }

    fn take_back_base(&self, part: Part) -> Result<(), SnapshotError> {
        let path = self.checkpoints.base(part);
        let logs: Vec<PathBuf> = self
            .newer
            .iter()
            .map(|kept| kept.directory.join(log_name(part)))
            .filter(|log| log.exists())
            .collect();
        if logs.is_empty() {
            return Ok(());
        }
        unshare(&path)?;
        let applied = || -> io::Result<()> {
            let base = File::options().read(true).write(true).open(&path)?;
            for log in &logs {
                Before::open(log)?.apply(&base)?;
            }
            match self.target.entry.parts.get(&part) {
                Some(digest) => base.set_len(digest.size),
                None => Ok(()),
            }
        };
        Ok(applied().map_err(DiskError::io("take back", &path))?)
    }

    /// Lets the next start go on from it, forgets those after it, and ends the undo.
    ///
    /// # Errors
    /// There is no room, or the host refuses: to be done again.
    pub fn finish(
        self,
        paths: &SandboxPaths,
        (id, name): (SandboxId, SandboxName),
        verified: &Verified,
    ) -> Result<(), SnapshotError> {
        let entry = &self.target.entry;
        for (part, sum) in &entry.parts {
            let path = self.checkpoints.base(*part);
            let known = File::open(&path);
            known
                .and_then(|file| verified.remember_sum(&file, sum))
                .map_err(DiskError::io("look at", &path))?;
        }
        match snapshots::remove(&paths.resume()) {
            Err(SnapshotError::NotFound { .. }) => {}
            removed => removed?,
        }
        let making = snapshots::Making::begin(&paths.resume())?;
        share(
            &self.checkpoints.base(Part::Memory),
            &making.file(Part::Memory),
        )?;
        let devices = self.target.directory.join(Part::Devices.name());
        share(&devices, &making.file(Part::Devices))?;
        let mut files = BTreeMap::new();
        files.extend(
            entry
                .parts
                .get(&Part::Memory)
                .map(|digest| (Part::Memory, digest.clone())),
        );
        files.extend(entry.devices.clone().map(|digest| (Part::Devices, digest)));
        making.publish_passing(Manifest {
            taken_at: entry.taken_at,
            sandbox: Some(name),
            tag: None,
            command: Some(entry.command.clone()),
            fingerprint: entry.fingerprint.clone(),
            suspended: Some(id),
            spec: entry.spec.clone(),
            files,
        })?;
        self.checkpoints.mark_undone(self.target.number)?;
        for kept in &self.newer {
            snapshots::remove(&kept.directory)?;
        }
        Self::give_up(&self.checkpoints)
    }
}

fn intent(checkpoints: &Checkpoints) -> PathBuf {
    checkpoints.path().join("undo")
}

fn compare(
    verified: &Verified,
    path: &Path,
    expected: &snapshots::FileDigest,
) -> Result<(), SnapshotError> {
    let opened = File::open(path).and_then(|file| verified.digest_like(&file, expected));
    let found = opened.map_err(DiskError::io("read", path))?;
    if found == *expected {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let above = path.parent().unwrap_or(path);
    Err(damaged(above, &name, "is not what was saved"))
}
