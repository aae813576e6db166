//! Where a sparse file has data.

use super::BLOCK;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::ops::Range;

/// Bytes of the longest piece: whole blocks.
const PIECE: u64 = 1 << 20;

/// The parts of a file's first `size` bytes that have data, in order, as its file system tells them (lseek(2),
/// `SEEK_DATA`): one that has no holes to tell of gives the whole. The file's own position is moved.
pub(crate) fn data(file: &File, size: u64) -> impl Iterator<Item = io::Result<Range<u64>>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let found = next(file, at, size).transpose()?;
        // After a failure there is nothing more to be had.
        at = found.as_ref().map_or(size, |range| range.end);
        Some(found)
    })
}

fn next(file: &File, at: u64, size: u64) -> io::Result<Option<Range<u64>>> {
    if at >= size {
        return Ok(None);
    }
    let start = match seek(file, SeekFrom::Data(at)) {
        // Nothing but a hole up to the end.
        Err(Errno::NXIO) => return Ok(None),
        found => found?,
    };
    let end = seek(file, SeekFrom::Hole(start))?;
    let range = start..end.min(size);
    Ok((!range.is_empty()).then_some(range))
}

/// Where there is data, in whole blocks, cut into pieces that do not overlap.
pub(crate) fn pieces(file: &File, size: u64) -> io::Result<Vec<Range<u64>>> {
    let block = BLOCK as u64;
    let (mut pieces, mut done) = (Vec::new(), 0);
    for extent in data(file, size) {
        let extent = extent?;
        let end = extent.end.next_multiple_of(block).min(size);
        let mut at = done.max(extent.start / block * block);
        while at < end {
            // Pieces end where those of any other file do.
            let to = (at / PIECE + 1).saturating_mul(PIECE).min(end);
            pieces.push(at..to);
            at = to;
        }
        done = done.max(end);
    }
    Ok(pieces)
}

#[cfg(test)]
mod t1 {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn found(file: &File, size: u64) -> Vec<Range<u64>> {
        data(file, size)
            .collect::<io::Result<_>>()
            .expect("readable")
    }

    #[test]
    fn what_was_written_lies_in_the_extents_and_holes_between_them() {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(10 << 20).expect("set");
        assert!(found(&file, 10 << 20).is_empty());
        let places = [0, 3 << 20, (10 << 20) - 1];
        for place in places {
            file.write_all_at(b"x", place).expect("written");
        }
        let extents = found(&file, 10 << 20);
        assert_eq!(extents.len(), 3, "{extents:?}");
        for (extent, place) in extents.iter().zip(places) {
            assert!(extent.contains(&place), "{extents:?}");
        }
    }

    #[test]
    fn nothing_beyond_the_size_is_told() {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(&[7; 10_000], 0).expect("written");
        assert_eq!(found(&file, 5000), std::slice::from_ref(&(0..5000)));
        assert!(found(&file, 0).is_empty());
    }

    #[test]
    fn what_cannot_be_sought_in_is_an_error_and_then_nothing() {
        let (pipe, _other) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let pipe = File::from(std::os::fd::OwnedFd::from(pipe));
        let mut extents = data(&pipe, 100);
        extents.next().expect("something").expect_err("a socket");
        assert!(extents.next().is_none());
    }
}
