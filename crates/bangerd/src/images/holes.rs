//! Sparse files as an image's builder wants them: whole blocks of data, whole blocks of nothing.

use super::{entry::Extent, geometry::BLOCK};
use mkext4::SparseSeg;

/// Where the next bytes of a file's data come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// So many zeros, to fill a block.
    Zeros(u64),
    /// So many bytes from the spool.
    Stored(u64),
}

/// Rounds the parts that have data outward to whole blocks: the segments of the whole file, and what
/// its data segments are made of. The parts are in order, apart and inside of the file.
pub(crate) fn rounded(data: &[Extent], size: u64) -> (Vec<SparseSeg>, Vec<Piece>) {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    let mut pieces = Vec::new();
    for part in data {
        let from = part.offset / BLOCK * BLOCK;
        let part_end = part.offset + part.length;
        if runs.last().is_none_or(|(_, end)| from > *end) {
            runs.push((from, from));
        }
        let to = part_end.next_multiple_of(BLOCK).min(size);
        let before = runs.last().map_or(from, |(_, end)| *end);
        // The block that this part begins in may have been filled with zeros to its end already.
        take_back(&mut pieces, before.saturating_sub(part.offset));
        push_zeros(&mut pieces, part.offset.saturating_sub(before));
        pieces.push(Piece::Stored(part.length));
        push_zeros(&mut pieces, to - part_end);
        if let Some((_, end)) = runs.last_mut() {
            *end = to;
        }
    }
    (segments(&runs, size), pieces)
}

fn push_zeros(pieces: &mut Vec<Piece>, count: u64) {
    if count > 0 {
        pieces.push(Piece::Zeros(count));
    }
}

fn take_back(pieces: &mut Vec<Piece>, count: u64) {
    if count == 0 {
        return;
    }
    if let Some(Piece::Zeros(zeros)) = pieces.pop() {
        push_zeros(pieces, zeros - count);
    }
}

fn segments(runs: &[(u64, u64)], size: u64) -> Vec<SparseSeg> {
    let mut all = Vec::new();
    let mut at = 0;
    for (from, to) in runs {
        if *from > at {
            all.push(SparseSeg::Hole(from - at));
        }
        all.push(SparseSeg::Data(to - from));
        at = *to;
    }
    if size > at {
        all.push(SparseSeg::Hole(size - at));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(offset: u64, length: u64) -> Extent {
        Extent { offset, length }
    }

    #[test]
    fn parts_of_one_block_share_it() {
        let (segments, pieces) = rounded(&[part(4096, 10), part(4196, 10), part(20000, 5)], 20005);
        let expected = [
            SparseSeg::Hole(4096),
            SparseSeg::Data(4096),
            SparseSeg::Hole(8192),
            SparseSeg::Data(3621),
        ];
        assert_eq!(segments, expected);
        let expected = [
            Piece::Stored(10),
            Piece::Zeros(90),
            Piece::Stored(10),
            Piece::Zeros(3986),
            Piece::Zeros(3616),
            Piece::Stored(5),
        ];
        assert_eq!(pieces, expected);
    }

    #[test]
    fn a_file_of_nothing_is_one_hole() {
        assert_eq!(rounded(&[], 5000), (vec![SparseSeg::Hole(5000)], vec![]));
    }

    proptest! {
        #[test]
        fn the_pieces_fill_the_data_segments_exactly(
            gaps in prop::collection::vec((0_u64..9000, 1_u64..9000), 0..12), tail in 0_u64..9000,
        ) {
            let mut at = 0;
            let mut data = Vec::new();
            for (gap, length) in gaps {
                data.push(part(at + gap, length));
                at += gap + length;
            }
            let size = at + tail;
            let (segments, pieces) = rounded(&data, size);
            let of_segments: u64 = segments.iter().map(|s| match s { SparseSeg::Data(n) | SparseSeg::Hole(n) => *n }).sum();
            prop_assert_eq!(of_segments, size);
            // The file written by pieces, segment by segment, has each part at its offset.
            let mut starts = Vec::new();
            let mut place = 0;
            for segment in &segments {
                match segment {
                    SparseSeg::Data(n) => { starts.extend(place..place + n); place += n; }
                    SparseSeg::Hole(n) => place += n,
                }
            }
            let mut given = 0;
            let mut found = Vec::new();
            for piece in pieces {
                match piece {
                    Piece::Zeros(n) => given += n,
                    Piece::Stored(n) => { found.push(part(starts[usize::try_from(given).expect("fits")], n)); given += n; }
                }
            }
            prop_assert_eq!(given, starts.len() as u64);
            prop_assert_eq!(found, data);
        }
    }
}
