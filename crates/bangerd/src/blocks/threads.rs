//! Work on many pieces, by a few threads.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A few fill the bandwidth of the host's memory.
const THREADS: usize = 4;

/// Has each piece worked on once, by a few threads that each take the next. Each thread has something of its own
/// (buffers, a result), which is returned.
///
/// # Errors
/// The first that a thread had; the others finish theirs.
pub(crate) fn share_out<P: Sync, O: Default + Send>(
    pieces: &[P],
    work: impl Fn(&mut O, &P) -> io::Result<()> + Sync,
) -> io::Result<Vec<O>> {
    let next = AtomicUsize::new(0);
    let thread = || -> io::Result<O> {
        let mut own = O::default();
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(&mut own, piece)?;
        }
        Ok(own)
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(THREADS).min(pieces.len()))
            .map(|_| scope.spawn(thread))
            .collect();
        let own = thread();
        let joined = others.into_iter().map(|other| {
            let panicked = |_| Err(io::Error::other("a thread that worked on it has panicked"));
            other.join().unwrap_or_else(panicked)
        });
        std::iter::once(own).chain(joined).collect()
    })
}

#[cfg(test)]
mod t1 {
    use super::*;

    #[test]
    fn each_piece_is_worked_on_once() {
        let pieces: Vec<u64> = (1..=1000).collect();
        let add = |sum: &mut u64, piece: &u64| {
            *sum += piece;
            Ok(())
        };
        let sums = share_out(&pieces, add).expect("added");
        assert_eq!(sums.into_iter().sum::<u64>(), 500_500);
        let none: Vec<u64> = share_out(&[], add).expect("nothing to add");
        assert_eq!(none.into_iter().sum::<u64>(), 0);
    }

    #[test]
    fn what_fails_for_one_piece_fails_as_a_whole() {
        let pieces: Vec<u64> = (0..100).collect();
        let fail = |(): &mut (), piece: &u64| match piece {
            70 => Err(io::Error::other("no")),
            _ => Ok(()),
        };
        share_out(&pieces, fail).expect_err("failed");
    }
}
