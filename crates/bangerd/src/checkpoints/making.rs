//! A checkpoint that is being made.

use super::before::{Before, Log};
use super::directory::{Checkpoints, Kept};
use super::entry::{self, BASE, Entry, Parts, Stamp, damaged, log_name};
use super::sum::Sum;
use crate::blocks::make_same;
use crate::disks::DiskError;
use crate::disks::staging::make_private_directory;
use crate::snapshots::{FileDigest, Part, SnapshotError, Verified, copying, digest};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which pages of the guest's memory may differ from the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// There is no base yet.
    New,
    /// Those that the guest has written since its VMM was started.
    Written,
    /// Any: the base is of another run.
    Any,
}

/// See the module. Dropped unpublished, it is taken back.
#[derive(Debug)]
pub struct Making {
    checkpoints: Checkpoints,
    before: Option<Kept>,
    /// See [`Pages`].
    pub pages: Pages,
    memory_log: Option<Log>,
    seen: Mutex<Parts<Stamp>>,
    published: AtomicBool,
}

impl Making {
    /// Begins one of a guest that runs, as this run, and went on from the memory in `origin` if that is there.
    /// Takes a copy of the base's memory where the guest uses that.
    ///
    /// # Errors
    /// There is no room, or the host refuses; what is there cannot be read.
    pub fn begin(
        checkpoints: &Checkpoints,
        run: &str,
        origin: &Path,
    ) -> Result<Self, SnapshotError> {
        make_private_directory(checkpoints.path())?;
        let before = checkpoints.list()?.pop();
        let path = checkpoints.making();
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(DiskError::io("create", &path))?;
        let mut making = Self {
            checkpoints: checkpoints.clone(),
            pages: Pages::New,
            before,
            memory_log: None,
            seen: Mutex::default(),
            published: AtomicBool::new(false),
        };
        if let Some(before) = &making.before {
            making.pages = match own_memory(&making.checkpoints, origin)? {
                true => Pages::Written,
                false if before.entry.run == run => Pages::Written,
                false => Pages::Any,
            };
            making.memory_log = Some(making.log(Part::Memory)?);
        }
        Ok(making)
    }

    /// Where the memory goes: into a new file, or over the base's.
    #[must_use]
    pub fn memory(&self) -> PathBuf {
        match self.pages {
            Pages::New => self.file(Part::Memory),
            Pages::Written | Pages::Any => self.checkpoints.base(Part::Memory),
        }
    }

    /// Notes what of the base's memory is about to be written over.
    ///
    /// # Errors
    /// There is no room, or the host refuses.
    pub fn note_memory(&self, at: u64, old: &[u8]) -> io::Result<()> {
        match &self.memory_log {
            Some(log) => log.note(at, old),
            None => Err(io::Error::other("there is no earlier memory")),
        }
    }

    /// Where the state of the devices goes.
    #[must_use]
    pub fn devices(&self) -> PathBuf {
        self.file(Part::Devices)
    }

    fn file(&self, part: Part) -> PathBuf {
        self.checkpoints.making().join(part.name())
    }

    fn log(&self, part: Part) -> Result<Log, DiskError> {
        let path = self.checkpoints.making().join(log_name(part));
        Log::create(&path).map_err(DiskError::io("create", &path))
    }

    /// Takes a disk in, to which nobody writes meanwhile.
    ///
    /// # Errors
    /// There is no room, or the host refuses.
    pub fn disk(&self, part: Part, disk: &Path) -> Result<(), SnapshotError> {
        let file = File::open(disk).map_err(DiskError::io("read", disk))?;
        let stamp = Stamp::of(&file).map_err(DiskError::io("look at", disk))?;
        match &self.before {
            None => drop(copying::copy(disk, &self.file(part))?),
            Some(before) if stamp.is_some() && before.entry.seen.get(&part) == stamp.as_ref() => {}
            Some(_) => {
                let (path, log) = (self.checkpoints.base(part), self.log(part)?);
                let base = File::options().read(true).write(true).open(&path);
                base.and_then(|base| make_same(&base, &file, &|at, old| log.note(at, old)))
                    .map_err(DiskError::io("copy into", &path))?;
            }
        }
        if let Some(stamp) = stamp {
            self.seen().insert(part, stamp);
        }
        Ok(())
    }

    /// Makes it a checkpoint. Its sums, digests and what was seen are filled in.
    ///
    /// # Errors
    /// There is no room, or the host refuses.
    pub fn publish(&self, entry: Entry, verified: &Verified) -> Result<(), SnapshotError> {
        let making = self.checkpoints.making();
        let (mut parts, mut logs) = (Parts::new(), Parts::new());
        for part in BASE {
            parts.insert(part, self.sum(part, &mut logs)?);
        }
        let devices = self.devices();
        let opened = File::open(&devices).and_then(|file| digest::digest(&file));
        let entry = Entry {
            parts: parts.clone(),
            logs,
            devices: Some(opened.map_err(DiskError::io("read", &devices))?),
            seen: std::mem::take(&mut *self.seen()),
            ..entry
        };
        entry::write(&making, &entry)?;
        if self.before.is_none() {
            self.place_base()?;
        }
        let number = self.before.as_ref().map_or(1, |before| before.number + 1);
        let place = self.checkpoints.place(number);
        fs::rename(&making, &place).map_err(DiskError::io("name", &place))?;
        self.published.store(true, Ordering::SeqCst);
        for (part, sum) in &parts {
            let path = self.checkpoints.base(*part);
            let remembered = File::open(&path);
            remembered
                .and_then(|file| verified.remember_sum(&file, sum))
                .map_err(DiskError::io("look at", &path))?;
        }
        Ok(())
    }

    /// The sum of a part of the base, as it is now.
    fn sum(&self, part: Part, logs: &mut Parts<FileDigest>) -> Result<FileDigest, SnapshotError> {
        let Some(before) = &self.before else {
            let path = self.file(part);
            let file = File::open(&path).map_err(DiskError::io("read", &path))?;
            let sum = Sum::of(&file).map_err(DiskError::io("read", &path))?;
            let size = file.metadata().map_err(DiskError::io("look at", &path))?;
            return Ok(sum.digest(size.len()));
        };
        let was = before
            .entry
            .parts
            .get(&part)
            .and_then(|digest| Some((digest, Sum::read(digest)?)));
        let Some((digest, sum)) = was else {
            return Err(damaged(&before.directory, entry::NAME, "has no sum"));
        };
        let log = self.checkpoints.making().join(log_name(part));
        if !log.exists() {
            return Ok(digest.clone());
        }
        let path = self.checkpoints.base(part);
        let followed = || -> io::Result<(FileDigest, FileDigest)> {
            let (base, log) = (File::open(&path)?, Before::open(&log)?);
            let sum = log.follow(&base, sum)?;
            Ok((sum.digest(base.metadata()?.len()), log.digest()?))
        };
        let (sum, log) = followed().map_err(DiskError::io("read", &path))?;
        logs.insert(part, log);
        Ok(sum)
    }

    fn seen(&self) -> MutexGuard<'_, Parts<Stamp>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place_base(&self) -> Result<(), SnapshotError> {
        let base = self.checkpoints.path().join("base");
        make_private_directory(&base)?;
        for part in BASE {
            let (from, to) = (self.file(part), self.checkpoints.base(part));
            fs::rename(&from, &to).map_err(DiskError::io("move", &from))?;
        }
        Ok(())
    }
}

/// Makes sure that the base's memory is nobody else's: the guest that went on from it reads it still, and a
/// snapshot may share it. Whether the guest went on from it.
fn own_memory(checkpoints: &Checkpoints, origin: &Path) -> Result<bool, SnapshotError> {
    let memory = checkpoints.base(Part::Memory);
    let found = memory
        .symlink_metadata()
        .map_err(DiskError::io("look at", &memory))?;
    let is_same = |origin: fs::Metadata| (origin.dev(), origin.ino()) == (found.dev(), found.ino());
    let went_on = origin.symlink_metadata().is_ok_and(is_same);
    unshare(&memory)?;
    Ok(went_on)
}

/// Makes a file one that no other name leads to, and that can be written.
pub(super) fn unshare(path: &Path) -> Result<(), SnapshotError> {
    let found = path
        .symlink_metadata()
        .map_err(DiskError::io("look at", path))?;
    if found.nlink() == 1 && found.mode() & 0o200 != 0 {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().display();
    let copy = path.with_file_name(format!(".{name}"));
    copying::copy(path, &copy)?;
    fs::rename(&copy, path).map_err(DiskError::io("replace", path))?;
    Ok(())
}

impl Drop for Making {
    fn drop(&mut self) {
        if self.published.load(Ordering::SeqCst) {
            return;
        }
        match self.checkpoints.clear_up() {
            Ok(None) => {}
            Ok(Some(why)) => tracing::warn!("all checkpoints are given up: {why}"),
            Err(error) => tracing::error!("checkpoints cannot be given up: {error}"),
        }
    }
}
