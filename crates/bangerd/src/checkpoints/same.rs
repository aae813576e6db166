//! Making a file the same as another, by what differs.

use super::before::put;
use super::sum::{BLOCK, pieces};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that compare: a few fill the bandwidth of the host's memory.
const THREADS: usize = 4;

/// Writes to a file what another has in other ways, and sets its size. `before` is given what is about to be
/// written over or cut off, as whole blocks, each once.
///
/// # Errors
/// One cannot be read, the other not be written, or `before` refuses.
pub(super) fn make_same(
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
        let next = AtomicUsize::new(0);
        let work = || -> io::Result<()> {
            let (mut old, mut new) = (Vec::new(), Vec::new());
            while let Some(place) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                self.place(place, &mut old, &mut new)?;
            }
            Ok(())
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads.min(THREADS).min(places.len()))
                .map(|_| scope.spawn(work))
                .collect();
            let own = work();
            let joined = others.into_iter().map(|thread| {
                let panicked = |_| Err(io::Error::other("a thread that compares has panicked"));
                thread.join().unwrap_or_else(panicked)
            });
            joined.fold(own, io::Result::and)
        })
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

/// The runs of blocks that are not the same.
pub(crate) fn differing(one: &[u8], two: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (index, (one, two)) in one.chunks(BLOCK).zip(two.chunks(BLOCK)).enumerate() {
        if one == two {
            continue;
        }
        let start = index * BLOCK;
        let end = start + one.len();
        match runs.last_mut() {
            Some(run) if run.end == start => run.end = end,
            _ => runs.push(start..end),
        }
    }
    runs
}

#[cfg(test)]
mod t1 {
    use super::super::before::Before;
    use super::super::before::Log;
    use super::*;
    use proptest::prelude::*;

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

    #[test]
    fn nothing_is_written_before_it_is_noted() {
        let (to, as_is) = (file(4, &vec![(1, 1)]), file(4, &vec![(1, 2)]));
        let refuse = |_, _: &[u8]| Err(io::Error::other("no room"));
        make_same(&to, &as_is, &refuse).expect_err("refused");
        assert_eq!(all(&to), all(&file(4, &vec![(1, 1)])));
    }
}
