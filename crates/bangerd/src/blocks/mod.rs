//! Memory and large files that are mostly holes, by blocks: where there is data, what differs, and making one the
//! same as another.
//!
//! This room does not know what the bytes are: disks, memory, snapshots. Everything here blocks.

mod extents;
mod same;
mod threads;

pub(crate) use extents::{data, pieces};
pub(crate) use same::make_same;
pub(crate) use threads::share_out;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Bytes that are looked at together: a page of memory on most machines, a block of most file systems.
pub(crate) const BLOCK: usize = 4096;

/// Whether there is nothing but zeros. Compared with a block of them, which the C library does a vector at a time.
pub(crate) fn is_zeros(bytes: &[u8]) -> bool {
    static ZEROS: [u8; BLOCK] = [0; BLOCK];
    bytes.chunks(BLOCK).all(|part| ZEROS.starts_with(part))
}

/// Makes zeros of what lies in any of the ranges; `at` is where the bytes begin in the file that they are of.
pub(crate) fn blank(bytes: &mut [u8], at: u64, ranges: &[Range<u64>]) {
    let end = at.saturating_add(bytes.len() as u64);
    for range in ranges {
        let part = range.start.max(at)..range.end.min(end);
        let place = |place: u64| usize::try_from(place.saturating_sub(at)).ok();
        if let (Some(start), Some(end)) = (place(part.start), place(part.end)) {
            bytes.get_mut(start..end).unwrap_or_default().fill(0);
        }
    }
}

/// The runs of blocks that are not the same.
pub(crate) fn differing(one: &[u8], two: &[u8]) -> Vec<Range<usize>> {
    let blocks = one.chunks(BLOCK).zip(two.chunks(BLOCK));
    runs(BLOCK, blocks.map(|(one, two)| (one.len(), one != two)))
}

/// The runs of pieces of `size` bytes that are not all zeros: one call for each costs less than one for each piece.
pub(crate) fn filled(bytes: &[u8], size: usize) -> Vec<Range<usize>> {
    let pieces = bytes.chunks(size);
    runs(size, pieces.map(|piece| (piece.len(), !is_zeros(piece))))
}

/// Joins those that are wanted, of pieces of `size` bytes, the last of which may be shorter.
fn runs(size: usize, pieces: impl Iterator<Item = (usize, bool)>) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (index, (length, _)) in pieces.enumerate().filter(|(_, (_, wanted))| *wanted) {
        let start = index * size;
        let end = start + length;
        match runs.last_mut() {
            Some(run) if run.end == start => run.end = end,
            _ => runs.push(start..end),
        }
    }
    runs
}

/// Writes a part of a file; zeros become a hole where the file system has those.
pub(crate) fn put(to: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    if is_zeros(bytes) && fallocate(to, hole, at, bytes.len() as u64).is_ok() {
        return Ok(());
    }
    to.write_all_at(bytes, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_run_and_the_last_piece_may_be_shorter() {
        let mut one = vec![0; 5 * BLOCK + 7];
        assert!(filled(&one, BLOCK).is_empty());
        for place in [BLOCK, 2 * BLOCK, 5 * BLOCK + 6] {
            one[place] = 1;
        }
        let expected = [BLOCK..3 * BLOCK, 5 * BLOCK..5 * BLOCK + 7];
        assert_eq!(filled(&one, BLOCK), expected);
        assert_eq!(differing(&one, &vec![0; one.len()]), expected);
        assert!(differing(&one, &one).is_empty());
        let halves = filled(&one, BLOCK / 2);
        assert_eq!(halves.len(), 3, "{halves:?}");
    }
}
