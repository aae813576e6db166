//! Which pages of a process are its own: a pure reading of proc_pid_pagemap(5).

use std::ops::Range;

/// Bytes of an entry of the page map.
pub(super) const ENTRY: usize = size_of::<u64>();

/// The page is in memory (proc_pid_pagemap(5)).
const PRESENT: u64 = 1 << 63;
/// It was swapped out.
const SWAPPED: u64 = 1 << 62;
/// It belongs to a file, or to memory that is shared.
const OF_A_FILE: u64 = 1 << 61;

/// Whether the process has written to the page: then it is neither missing nor a file's. The kernel's one
/// page of zeros counts, too: it stands where something was only read.
const fn is_own(entry: u64) -> bool {
    entry & (PRESENT | SWAPPED) != 0 && entry & OF_A_FILE == 0
}

/// The runs of own pages among the entries of pages from `first` on, as numbers of pages.
pub(super) fn own(entries: &[u8], first: u64) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    let (entries, _) = entries.as_chunks::<ENTRY>();
    for (page, entry) in (first..).zip(entries) {
        if !is_own(u64::from_ne_bytes(*entry)) {
            continue;
        }
        match runs.last_mut() {
            Some(run) if run.end == page => run.end += 1,
            _ => runs.push(page..page + 1),
        }
    }
    runs
}

/// The runs cut into pieces of at most `most` pages.
pub(super) fn pieces(runs: &[Range<u64>], most: u64) -> Vec<Range<u64>> {
    let cut = |run: &Range<u64>| {
        let (start, end) = (run.start, run.end);
        let starts = (start..end).step_by(usize::try_from(most).unwrap_or(usize::MAX));
        starts.map(move |at| at..(at + most).min(end))
    };
    runs.iter().flat_map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(of: &[u64]) -> Vec<u8> {
        of.iter().flat_map(|entry| entry.to_ne_bytes()).collect()
    }

    #[test]
    fn own_pages_are_those_that_were_written() {
        let map = entries(&[
            0,
            PRESENT,
            SWAPPED,
            PRESENT | OF_A_FILE,
            SWAPPED | OF_A_FILE,
            OF_A_FILE,
            PRESENT | 0x7f_ffff,
        ]);
        assert_eq!(own(&map, 100), [101..103, 106..107]);
        assert!(own(&[], 0).is_empty());
    }

    #[test]
    fn runs_are_cut_into_pieces_without_a_gap() {
        assert_eq!(pieces(&[3..10, 20..21], 3), [3..6, 6..9, 9..10, 20..21]);
        assert!(pieces(&[], 3).is_empty());
    }
}
