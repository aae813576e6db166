//! Making a file the same as another, by what differs.

use super::{differing, pieces, put, share_out};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Writes to a file what another has in other ways, and sets its size. `before` is given what is about to be
/// written over or cut off, as whole blocks, each once.
///
/// # Errors
/// One cannot be read, the other not be written, or `before` refuses.
pub(crate) fn make_same(
    to: &File,
    as_is: &File,
    before: &(dyn Fn(u64, &[u8]) -> io::Result<()> + Sync),
) -> io::Result<()> {
    let (size, old_size) = (as_is.metadata()?.len(), to.metadata()?.len());
    let places = places(to, old_size, as_is, size)?;
    let compare = Compare {
        to,
        old_size,
        as_is,
        size,
        before,
    };
    if size > old_size {
        to.set_len(size)?;
    }
    compare.all(&places)?;
    if size < old_size {
        to.set_len(size)?;
    }
    Ok(())
}

/// Where either has data. A piece of one is within one MiB, and ends where those of the other may.
fn places(one: &File, one_size: u64, two: &File, two_size: u64) -> io::Result<Vec<Range<u64>>> {
    let mut all = BTreeMap::new();
    let both = [pieces(one, one_size)?, pieces(two, two_size)?].concat();
    for piece in both {
        let mib = piece.start >> 20;
        let found: &mut Range<u64> = all.entry(mib).or_insert_with(|| piece.clone());
        found.start = found.start.min(piece.start);
        found.end = found.end.max(piece.end);
    }
    Ok(all.into_values().collect())
}

struct Compare<'a> {
    to: &'a File,
    old_size: u64,
    as_is: &'a File,
    size: u64,
    before: &'a (dyn Fn(u64, &[u8]) -> io::Result<()> + Sync),
}

impl Compare<'_> {
    fn all(&self, places: &[Range<u64>]) -> io::Result<()> {
        let work =
            |(old, new): &mut (Vec<u8>, Vec<u8>), place: &Range<u64>| self.place(place, old, new);
        share_out(places, work).map(drop)
    }

    fn place(&self, place: &Range<u64>, old: &mut Vec<u8>, new: &mut Vec<u8>) -> io::Result<()> {
        let length = usize::try_from(place.end - place.start).map_err(io::Error::other)?;
        read(self.to, self.old_size, place.start, length, old)?;
        read(self.as_is, self.size, place.start, length, new)?;
        for run in differing(old, new) {
            let at = place.start + run.start as u64;
            let (old, new) = (old.get(run.clone()), new.get(run));
            (self.before)(at, old.unwrap_or_default())?;
            put(self.to, at, new.unwrap_or_default())?;
        }
        Ok(())
    }
}

/// Bytes of a file; beyond its size zeros.
fn read(file: &File, size: u64, at: u64, length: usize, into: &mut Vec<u8>) -> io::Result<()> {
    into.clear();
    into.resize(length, 0);
    let there = usize::try_from(size.saturating_sub(at)).unwrap_or(usize::MAX);
    match into.get_mut(..there.min(length)) {
        Some(there) => file.read_exact_at(there, at),
        None => Ok(()),
    }
}

#[cfg(test)]
mod t1 {
    use super::super::BLOCK;
    use super::*;
    use std::sync::Mutex;

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

    fn all(file: &File) -> Vec<u8> {
        let size = file.metadata().expect("there").len();
        let mut bytes = vec![0; usize::try_from(size).expect("fits")];
        file.read_exact_at(&mut bytes, 0).expect("read");
        bytes
    }

    #[test]
    fn nothing_is_written_before_it_is_noted() {
        let (to, as_is) = (file(4, &vec![(1, 1)]), file(4, &vec![(1, 2)]));
        let refuse = |_, _: &[u8]| Err(io::Error::other("no room"));
        make_same(&to, &as_is, &refuse).expect_err("refused");
        assert_eq!(all(&to), all(&file(4, &vec![(1, 1)])));
    }

    #[test]
    fn only_what_differs_is_written_where_data_was_given_up_and_behind_the_old_end_too() {
        let (to, as_is) = (
            file(300, &vec![(1, 1), (5, 1)]),
            file(301, &vec![(5, 2), (300, 3)]),
        );
        let noted = Mutex::new(Vec::new());
        let note = |at: u64, old: &[u8]| {
            noted
                .lock()
                .expect("whole")
                .push((at >> 12, old.len() / BLOCK));
            Ok(())
        };
        make_same(&to, &as_is, &note).expect("made");
        assert_eq!(all(&to), all(&as_is));
        let mut found = std::mem::take(&mut *noted.lock().expect("whole"));
        found.sort_unstable();
        assert_eq!(found, [(1, 1), (5, 1), (300, 1)]);
        make_same(&to, &as_is, &note).expect("the same");
        assert_eq!(*noted.lock().expect("whole"), []);
    }
}
