//! The checkpoints of one sandbox, as they lie on the disk.

use super::before::Before;
use super::entry::{self, BASE, Entry, log_name};
use crate::disks::DiskError;
use crate::snapshots::{self, Part, SnapshotError, clear_unfinished};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is being made.
const MAKING: &str = ".making";
/// That one is the state that the sandbox was taken back to.
const UNDONE: &str = "undone";

/// The directory of a sandbox's checkpoints.
#[derive(Debug, Clone)]
pub struct Checkpoints(PathBuf);

/// A checkpoint that is there.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Counts up.
    pub number: u32,
    /// Where.
    pub directory: PathBuf,
    /// What it says of itself.
    pub entry: Entry,
    /// The sandbox was taken back to it: its command is undone.
    pub undone: bool,
    /// Bytes that it takes on the host.
    pub bytes: u64,
}

impl Checkpoints {
    /// Those in a directory, which need not be there.
    #[must_use]
    pub const fn of(directory: PathBuf) -> Self {
        Self(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// A file of the base.
    #[must_use]
    pub fn base(&self, part: Part) -> PathBuf {
        self.0.join("base").join(part.name())
    }

    pub(super) fn making(&self) -> PathBuf {
        self.0.join(MAKING)
    }

    pub(super) fn place(&self, number: u32) -> PathBuf {
        self.0.join(format!("{number:08}"))
    }

    /// All that lead to the newest, the oldest first. Where the base is not whole there are none.
    ///
    /// # Errors
    /// The directory, or what one of them says, cannot be read.
    pub fn list(&self) -> Result<Vec<Kept>, SnapshotError> {
        let mut all = Vec::new();
        if !BASE.iter().all(|part| self.base(*part).exists()) {
            return Ok(all);
        }
        for number in self.numbers()? {
            all.push(self.open(number)?);
        }
        // What comes before a gap leads nowhere.
        let number = |index: usize| all.get(index).map_or(0, |kept: &Kept| kept.number);
        let gap = (1..all.len())
            .rev()
            .find(|index| number(*index) != number(index - 1) + 1);
        Ok(all.split_off(gap.unwrap_or(0)))
    }

    fn open(&self, number: u32) -> Result<Kept, SnapshotError> {
        let directory = self.place(number);
        Ok(Kept {
            number,
            entry: entry::read(&directory)?,
            undone: directory.join(UNDONE).exists(),
            bytes: used(&directory),
            directory,
        })
    }

    pub(super) fn numbers(&self) -> Result<Vec<u32>, SnapshotError> {
        let found = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            found => found.map_err(DiskError::io("list", &self.0))?,
        };
        let name = |entry: io::Result<fs::DirEntry>| -> Option<u32> {
            entry.ok()?.file_name().to_str()?.parse().ok()
        };
        let mut numbers: Vec<u32> = found.filter_map(name).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Bytes that the base takes on the host.
    #[must_use]
    pub fn base_bytes(&self) -> u64 {
        used(&self.0.join("base"))
    }

    /// Removes the oldest until no more than so many are there, that take no more than so many bytes with the
    /// base; the newest stays. Gives how many went.
    ///
    /// # Errors
    /// The host refuses.
    pub fn keep_within(&self, most: usize, bytes: u64) -> Result<usize, SnapshotError> {
        let all = self.list()?;
        let mut taken = self.base_bytes() + all.iter().map(|kept| kept.bytes).sum::<u64>();
        let mut left = all.len();
        let mut oldest = all.iter().peekable();
        while left > 1 && (left > most || taken > bytes) {
            let Some(kept) = oldest.next() else { break };
            snapshots::remove(&kept.directory)?;
            (taken, left) = (taken.saturating_sub(kept.bytes), left - 1);
            if let Some(first) = oldest.peek() {
                taken = taken.saturating_sub(remove_logs(&first.directory)?);
            }
        }
        Ok(all.len() - left)
    }

    /// Gives all of them up.
    ///
    /// # Errors
    /// The host refuses.
    pub fn clear(&self) -> Result<(), SnapshotError> {
        match snapshots::remove(&self.0) {
            Err(SnapshotError::NotFound { .. }) => Ok(()),
            removed => removed,
        }
    }

    /// Takes back what was being made when the daemon, or the making, ended. Where that cannot be done all of
    /// them are given up: then this gives why.
    ///
    /// # Errors
    /// Nor could they be.
    pub fn clear_up(&self) -> Result<Option<SnapshotError>, SnapshotError> {
        match self.take_back() {
            Ok(()) => Ok(None),
            Err(why) => {
                self.clear()?;
                Ok(Some(why))
            }
        }
    }

    fn take_back(&self) -> Result<(), SnapshotError> {
        let making = self.making();
        if making.exists()
            && let Some(newest) = self.list()?.last()
        {
            for part in BASE {
                self.take_back_part(&making, part, &newest.entry)?;
            }
        }
        clear_unfinished(&self.0)?;
        clear_unfinished(&self.0.join("base"))?;
        Ok(())
    }

    fn take_back_part(&self, making: &Path, part: Part, was: &Entry) -> Result<(), SnapshotError> {
        let log = making.join(log_name(part));
        if !log.exists() {
            return Ok(());
        }
        let path = self.base(part);
        let taken_back = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .and_then(|base| {
                Before::open(&log)?.take_back(&base)?;
                match was.parts.get(&part) {
                    Some(digest) => base.set_len(digest.size),
                    None => Ok(()),
                }
            });
        Ok(taken_back.map_err(DiskError::io("take back", &path))?)
    }

    /// Notes that the sandbox was taken back to one.
    pub(super) fn mark_undone(&self, number: u32) -> Result<(), SnapshotError> {
        let path = self.place(number).join(UNDONE);
        File::create(&path).map_err(DiskError::io("make", &path))?;
        Ok(())
    }
}

/// Logs of the oldest lead to one that is gone.
fn remove_logs(directory: &Path) -> Result<u64, SnapshotError> {
    let mut freed = 0;
    for part in BASE {
        let path = directory.join(log_name(part));
        let bytes = path
            .symlink_metadata()
            .map_or(0, |found| found.blocks() * 512);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(DiskError::io("remove", &path)(error).into());
            }
            _ => freed += bytes,
        }
    }
    Ok(freed)
}

/// Bytes of the files in a directory.
fn used(directory: &Path) -> u64 {
    let Ok(found) = fs::read_dir(directory) else {
        return 0;
    };
    let blocks = |entry: fs::DirEntry| entry.metadata().map_or(0, |found| found.blocks());
    found.flatten().map(|entry| blocks(entry) * 512).sum()
}
