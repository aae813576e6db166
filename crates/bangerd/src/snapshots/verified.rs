//! What was found to be as it was saved, so that it need not be read again.

use super::digest::{FileDigest, digest};
use crate::checkpoints::{self, Sum};
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How long ago a file must have been written for a later write to have another time: file systems note times
/// in steps of the kernel's tick, of at most 10 ms.
const SETTLED: Duration = Duration::from_millis(20);

/// How far the time of a file is set back whose contents are known: more than [`SETTLED`].
const SET_BACK: Duration = Duration::from_secs(1);

/// How many files are remembered; with more, all are forgotten.
const MOST: usize = 4096;

/// Which file, and when it was written. The time of its last change of any kind (`ctime`) does not count: each
/// sandbox that shares a file by a link, and each that goes, changes that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    device: u64,
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Key {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            seconds: found.mtime(),
            nanoseconds: found.mtime_nsec(),
        }
    }
}

/// The digests of files that have not changed since they were read. For one daemon: it forgets with it.
#[derive(Debug, Default)]
pub struct Verified {
    known: Mutex<HashMap<Key, String>>,
    /// One file is read at a time: who wants the same one finds it known then.
    turn: Mutex<()>,
}

impl Verified {
    /// The digest of a file: what is known of it, or else what is read now.
    ///
    /// # Errors
    /// It cannot be read, or is written meanwhile.
    pub(crate) fn digest(&self, file: &File) -> io::Result<FileDigest> {
        let found = file.metadata()?;
        if let Some(known) = self.known(&found) {
            return Ok(known);
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let found = file.metadata()?;
        if let Some(known) = self.known(&found) {
            return Ok(known);
        }
        let settled = is_settled(&found);
        let digest = digest(file)?;
        if Key::of(&file.metadata()?) != Key::of(&found) {
            return Err(io::Error::other("it is written while it is read"));
        }
        if settled {
            self.remember(&found, &digest);
        }
        Ok(digest)
    }

    /// The digest of a file in the form of another: a sum is one that followed its changes.
    ///
    /// # Errors
    /// It cannot be read, or is written meanwhile.
    pub(crate) fn digest_like(&self, file: &File, form: &FileDigest) -> io::Result<FileDigest> {
        if !checkpoints::matches(form) {
            return self.digest(file);
        }
        let found = file.metadata()?;
        if let Some(known) = self.known(&found).filter(checkpoints::matches) {
            return Ok(known);
        }
        let sum = Sum::of(file)?.digest(found.size());
        if Key::of(&file.metadata()?) != Key::of(&found) {
            return Err(io::Error::other("it is written while it is read"));
        }
        if is_settled(&found) {
            self.remember(&found, &sum);
        }
        Ok(sum)
    }

    /// Remembers the sum of a file that has followed what was written to it, and that nobody writes to now. Its
    /// time is set back, so that any later write gives it another.
    ///
    /// # Errors
    /// The host refuses.
    pub(crate) fn remember_sum(&self, file: &File, sum: &FileDigest) -> io::Result<()> {
        if let Some(time) = SystemTime::now().checked_sub(SET_BACK) {
            file.set_modified(time)?;
            self.remember(&file.metadata()?, sum);
        }
        Ok(())
    }

    /// The digest of a file that nobody else knows of yet, which is to be used from now on.
    pub(super) fn digest_new(&self, file: &File) -> io::Result<FileDigest> {
        let digest = digest(file)?;
        let found = file.metadata()?;
        // Reading it may have taken long enough.
        if is_settled(&found) {
            self.remember(&found, &digest);
        }
        Ok(digest)
    }

    fn known(&self, found: &Metadata) -> Option<FileDigest> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let sha256 = known.get(&Key::of(found))?.clone();
        let size = found.size();
        Some(FileDigest { size, sha256 })
    }

    fn remember(&self, found: &Metadata, digest: &FileDigest) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(Key::of(found), digest.sha256.clone());
    }
}

/// Whether a write from now on would give it another time.
fn is_settled(found: &Metadata) -> bool {
    let age = found
        .modified()
        .ok()
        .and_then(|time| SystemTime::now().duration_since(time).ok());
    age.is_some_and(|age| age >= SETTLED)
}

#[cfg(test)]
mod t1 {
    use super::*;
    use std::os::unix::fs::FileExt;

    /// A file that was written long ago.
    fn old(bytes: &[u8]) -> File {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(bytes, 0).expect("written");
        age(&file, 100);
        file
    }

    fn age(file: &File, seconds: u64) {
        let time = SystemTime::now() - Duration::from_secs(seconds);
        file.set_modified(time).expect("set");
    }

    fn is_known(verified: &Verified, file: &File) -> bool {
        verified.known(&file.metadata().expect("there")).is_some()
    }

    #[test]
    fn a_file_is_read_once_until_it_is_written() {
        let (verified, file) = (Verified::default(), old(b"one"));
        let one = verified.digest(&file).expect("read");
        assert!(is_known(&verified, &file));
        assert_eq!(verified.digest(&file).expect("known"), one);
        file.write_all_at(b"two", 0).expect("written");
        assert_ne!(verified.digest(&file).expect("read"), one);
    }

    #[test]
    fn a_link_to_it_is_the_same_file() {
        let place = tempfile::tempdir().expect("a directory");
        let (one, two) = (place.path().join("one"), place.path().join("two"));
        std::fs::write(&one, "x").expect("written");
        let file = File::open(&one).expect("there");
        age(&File::options().write(true).open(&one).expect("there"), 100);
        let verified = Verified::default();
        verified.digest(&file).expect("read");
        std::fs::hard_link(&one, &two).expect("linked");
        assert!(is_known(&verified, &File::open(&two).expect("there")));
    }

    #[test]
    fn what_was_written_just_now_may_still_be_written_unnoticed_and_is_not_remembered() {
        let (verified, file) = (Verified::default(), old(b"one"));
        age(&file, 0);
        verified.digest(&file).expect("read");
        verified.digest_new(&file).expect("read");
        assert!(!is_known(&verified, &file));
        age(&file, 1);
        verified.digest_new(&file).expect("read");
        assert!(is_known(&verified, &file));
    }

    #[test]
    fn what_cannot_be_read_is_not_remembered() {
        let place = tempfile::tempdir().expect("a directory");
        let directory = File::open(place.path()).expect("opened");
        let verified = Verified::default();
        verified.digest(&directory).expect_err("a directory");
        assert!(!is_known(&verified, &directory));
    }

    #[test]
    fn the_memory_is_bounded() {
        let (verified, file) = (Verified::default(), old(b"one"));
        let found = file.metadata().expect("there");
        let digest = verified.digest(&file).expect("read");
        let mut key = Key::of(&found);
        {
            let mut known = verified.known.lock().expect("whole");
            while known.len() < MOST {
                key.inode += 1;
                known.insert(key, String::new());
            }
        }
        verified.remember(&found, &digest);
        assert_eq!(verified.known.lock().expect("whole").len(), 1);
    }
}
