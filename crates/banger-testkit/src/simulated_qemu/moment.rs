//! The moment that a disk is of: at its beginning, which ext4 leaves to boot loaders.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What stands before it.
const STAMP: &[u8; 16] = b"simulated moment";

/// A number that nobody else has.
pub(super) fn another() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The moment of a disk, if a guest was ever halted with it.
pub(super) fn of(disk: &Path) -> Option<u64> {
    let mut bytes = [0; 24];
    let read = File::open(disk).and_then(|file| file.read_exact_at(&mut bytes, 0));
    read.ok()?;
    let (mark, moment) = bytes.split_first_chunk::<16>()?;
    let moment = moment.first_chunk::<8>()?;
    (mark == STAMP).then(|| u64::from_le_bytes(*moment))
}

/// The disk is of that moment from now on.
pub(super) fn write(disk: &Path, moment: u64) -> io::Result<()> {
    let bytes = [STAMP.as_slice(), &moment.to_le_bytes()].concat();
    let file = File::options().write(true).open(disk)?;
    file.write_all_at(&bytes, 0)
}
