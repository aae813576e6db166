//! A log of what a file had where it was then written: applied, it takes the file back.
//!
//! A record is its place and its length, and the bytes; of zeros the length alone. Within one log no place occurs
//! twice, so that records may come in any order, and applying them twice is applying them once.

use super::sum::Sum;
use crate::blocks::{BLOCK, is_zeros, put};
use crate::snapshots::{FileDigest, digest};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Place and length.
const HEAD: usize = 16;
/// Marks a record of zeros.
const ZEROS: u64 = 1 << 63;
/// The longest record: more is damage.
const LONGEST: u64 = 16 << 20;

/// A log that is being written; by several threads, if they like.
#[derive(Debug)]
pub(super) struct Log(Mutex<File>);

impl Log {
    /// Begins one: the path must be free.
    ///
    /// # Errors
    /// The host refuses.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        let file = options
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self(Mutex::new(file)))
    }

    /// Notes what is about to be written over. What is written may be so once this returns.
    ///
    /// # Errors
    /// There is no room, or the host refuses.
    pub(super) fn note(&self, at: u64, old: &[u8]) -> io::Result<()> {
        let mut record = Vec::with_capacity(HEAD + old.len());
        let length = old.len() as u64;
        record.extend_from_slice(&at.to_le_bytes());
        if is_zeros(old) {
            record.extend_from_slice(&(length | ZEROS).to_le_bytes());
        } else {
            record.extend_from_slice(&length.to_le_bytes());
            record.extend_from_slice(old);
        }
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&record)
    }
}

/// A log that is read.
#[derive(Debug)]
pub(super) struct Before(File);

impl Before {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        File::open(path).map(Self)
    }

    pub(super) fn digest(&self) -> io::Result<FileDigest> {
        digest::digest(&self.0)
    }

    /// Puts what was there back.
    pub(super) fn apply(&self, to: &File) -> io::Result<()> {
        self.each(End::Whole, |at, old| put(to, at, old))
    }

    /// As [`Self::apply`], of a log whose writing was broken off: its last record may not be whole, and nothing
    /// was written over then.
    pub(super) fn take_back(&self, to: &File) -> io::Result<()> {
        self.each(End::MayBeTorn, |at, old| put(to, at, old))
    }

    /// The sum of a file after it was changed, from that before.
    pub(super) fn follow(&self, file: &File, mut sum: Sum) -> io::Result<Sum> {
        let size = file.metadata()?.len();
        let mut now = Vec::new();
        self.each(End::Whole, |at, old| {
            sum.take(at, old);
            // What was cut off is zeros.
            now.clear();
            now.resize(old.len(), 0);
            let length = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX);
            let length = length.min(now.len());
            if let Some(there) = now.get_mut(..length) {
                file.read_exact_at(there, at)?;
            }
            sum.add(at, &now);
            Ok(())
        })?;
        Ok(sum)
    }

    fn each(&self, end: End, mut each: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut file = BufReader::with_capacity(1 << 16, &self.0);
        rustix::fs::seek(&self.0, rustix::fs::SeekFrom::Start(0))?;
        let mut bytes = Vec::new();
        loop {
            let mut head = [0; HEAD];
            let read = read_up_to(&mut file, &mut head)?;
            if read == 0 {
                return Ok(());
            }
            let (numbers, _) = head.as_chunks::<8>();
            let &[at, length] = numbers else {
                return Err(damaged());
            };
            let (at, length) = (u64::from_le_bytes(at), u64::from_le_bytes(length));
            let (is_zeros, length) = (length & ZEROS != 0, length & !ZEROS);
            if read < HEAD && end == End::MayBeTorn {
                return Ok(());
            }
            let block = BLOCK as u64;
            if read < HEAD || length == 0 || length > LONGEST || at % block != 0 {
                return Err(damaged());
            }
            bytes.clear();
            bytes.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
            if !is_zeros && read_up_to(&mut file, &mut bytes)? < bytes.len() {
                return match end {
                    End::MayBeTorn => Ok(()),
                    End::Whole => Err(damaged()),
                };
            }
            each(at, &bytes)?;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    MayBeTorn,
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is cut off or damaged")
}

fn read_up_to(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod t1 {
    use super::*;
    use crate::blocks::make_same;
    use proptest::prelude::*;
    use std::fs;

    fn ground() -> (tempfile::TempDir, File, std::path::PathBuf) {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("file");
        fs::write(&path, vec![1; 64 << 10]).expect("written");
        let file = File::options().read(true).write(true).open(path);
        let log = place.path().join("log");
        (place, file.expect("there"), log)
    }

    /// Three parts are written over, and noted before.
    fn changed(file: &File, path: &Path) -> Before {
        let log = Log::create(path).expect("begun");
        for (at, with) in [(0_u64, 2_u8), (16 << 10, 0), (32 << 10, 3)] {
            let mut old = [0; 8192];
            file.read_exact_at(&mut old, at).expect("read");
            log.note(at, &old).expect("noted");
            put(file, at, &[with; 8192]).expect("written");
        }
        Before::open(path).expect("there")
    }

    fn all(file: &File) -> Vec<u8> {
        let size = file.metadata().expect("there").len();
        let mut bytes = vec![0; usize::try_from(size).expect("fits")];
        file.read_exact_at(&mut bytes, 0).expect("read");
        bytes
    }

    #[test]
    fn what_was_written_over_comes_back_and_twice_is_once() {
        let (_place, file, path) = ground();
        let before = changed(&file, &path);
        assert_ne!(all(&file), vec![1; 64 << 10]);
        for _ in 0..2 {
            before.apply(&file).expect("applied");
            assert_eq!(all(&file), vec![1; 64 << 10]);
        }
    }

    #[test]
    fn the_sum_follows_a_log() {
        let (_place, file, path) = ground();
        let sum = Sum::of(&file).expect("read");
        let before = changed(&file, &path);
        let after = before.follow(&file, sum).expect("followed");
        assert_eq!(after, Sum::of(&file).expect("read"));
    }

    #[test]
    fn a_log_that_was_cut_off_anywhere_is_damaged_and_what_is_whole_of_it_is_taken_back() {
        let (place, file, path) = ground();
        changed(&file, &path);
        let whole = fs::read(&path).expect("read");
        let record = HEAD + 8192;
        for length in [
            1,
            HEAD - 1,
            HEAD,
            HEAD + 5,
            record - 1,
            2 * record + 7,
            3 * record - 1,
        ] {
            let cut = place.path().join("cut");
            fs::write(&cut, &whole[..length]).expect("written");
            let before = Before::open(&cut).expect("there");
            assert!(before.apply(&file).is_err(), "{length}");
            before.take_back(&file).expect("taken back");
        }
    }

    #[test]
    fn what_is_no_log_is_damaged() {
        let (_place, file, path) = ground();
        for (at, length) in [(1_u64, 4096_u64), (0, 0), (0, LONGEST + 1), (0, u64::MAX)] {
            let mut bytes = at.to_le_bytes().to_vec();
            bytes.extend(length.to_le_bytes());
            bytes.extend([0; 4096]);
            fs::write(&path, bytes).expect("written");
            let before = Before::open(&path).expect("there");
            assert!(before.take_back(&file).is_err(), "{at} {length}");
        }
    }

    type Writes = Vec<(u64, u8)>;

    fn file(size: u64, writes: &Writes) -> File {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(size << 12).expect("set");
        for (block, byte) in writes {
            if *block < size {
                file.write_all_at(&[*byte; 4096], block << 12)
                    .expect("written");
            }
        }
        file
    }

    fn writes() -> impl Strategy<Value = Writes> {
        prop::collection::vec((0_u64..700, any::<u8>()), 0..30)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn files_become_the_same_and_the_log_leads_back(
            one in writes(), two in writes(), size in 1_u64..700, other in 1_u64..700,
        ) {
            let place = tempfile::tempdir().expect("a directory");
            let path = place.path().join("log");
            let (to, as_is) = (file(size, &one), file(other, &two));
            let (was, log) = (all(&to), Log::create(&path).expect("begun"));
            make_same(&to, &as_is, &|at, old| log.note(at, old)).expect("made");
            prop_assert_eq!(all(&to), all(&as_is));
            to.set_len(size << 12).expect("set");
            Before::open(&path).expect("there").apply(&to).expect("applied");
            to.set_len(size << 12).expect("set");
            prop_assert_eq!(all(&to), was);
        }
    }
}
