//! A digest of a large file that is mostly holes.

use crate::blocks::{self, BLOCK, is_zeros};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Bytes that are read at a time: whole blocks.
const PIECE: usize = 64 * BLOCK;

/// What tells a file from every other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDigest {
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256, in hexadecimal: of each block of 4 KiB that is not all zeros its offset and its bytes, then the
    /// size. So it says what is in the file, and not where its file system keeps holes, which a copy may have
    /// elsewhere; and holes cost nothing.
    pub sha256: String,
}

/// Digests a file from its beginning to its end.
///
/// # Errors
/// It cannot be read, or becomes shorter meanwhile.
pub fn digest(file: &File) -> io::Result<FileDigest> {
    digest_without(file, &[])
}

/// As if there were zeros in these ranges.
///
/// # Errors
/// As [`digest`].
pub fn digest_without(file: &File, ranges: &[Range<u64>]) -> io::Result<FileDigest> {
    let size = file.metadata()?.len();
    let (block, piece) = (BLOCK as u64, PIECE as u64);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; PIECE];
    // Up to here everything is digested: a multiple of a block, or the size.
    let mut done = 0;
    for extent in blocks::data(file, size) {
        let extent = extent?;
        let mut at = done.max(extent.start / block * block);
        let end = extent.end.next_multiple_of(block).min(size);
        while at < end {
            let length = (end - at).min(piece);
            let bytes = usize::try_from(length)
                .ok()
                .and_then(|l| buffer.get_mut(..l));
            let bytes = bytes.unwrap_or_default();
            file.read_exact_at(bytes, at)?;
            blocks::blank(bytes, at, ranges);
            update(&mut hasher, bytes, at);
            at += length;
        }
        done = done.max(end);
    }
    hasher.update(size.to_le_bytes());
    let sum = hasher.finalize();
    Ok(FileDigest {
        size,
        sha256: sum.iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}

fn update(hasher: &mut Sha256, bytes: &[u8], at: u64) {
    for (offset, block) in (at..).step_by(BLOCK).zip(bytes.chunks(BLOCK)) {
        if !is_zeros(block) {
            hasher.update(offset.to_le_bytes());
            hasher.update(block);
        }
    }
}

#[cfg(test)]
mod t1 {
    use super::*;
    use proptest::prelude::*;

    fn file(size: u64, writes: &[(u64, &[u8])]) -> File {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(size).expect("set");
        for (at, bytes) in writes {
            file.write_all_at(bytes, *at).expect("written");
        }
        file
    }

    fn of(size: u64, writes: &[(u64, &[u8])]) -> FileDigest {
        digest(&file(size, writes)).expect("readable")
    }

    #[test]
    fn holes_and_zeros_are_the_same() {
        let zeros = vec![0; 1 << 20];
        let sparse = of(1 << 20, &[(5000, b"x")]);
        let full = of(1 << 20, &[(0, &zeros), (5000, b"x")]);
        assert_eq!(sparse, full);
        assert_eq!(sparse.sha256.len(), 64);
    }

    #[test]
    fn what_and_where_and_how_long_all_count() {
        let one = of(100_000, &[(5000, b"x")]);
        assert_ne!(one, of(100_000, &[(5000, b"y")]));
        assert_ne!(one, of(100_000, &[(9096, b"x")]));
        assert_ne!(one.sha256, of(100_001, &[(5000, b"x")]).sha256);
        assert_eq!(of(0, &[]).size, 0);
    }

    /// A form that other daemons have written: it stays.
    #[test]
    fn the_form_is_that_of_every_release() {
        let known = of(10_000, &[(4097, b"banger"), (9999, b"!")]);
        insta::assert_snapshot!(known.sha256);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_flipped_bit_is_noticed(
            size in 1_u64..300_000, writes in prop::collection::vec((0_u64..300_000, any::<u8>()), 0..8),
            place in any::<prop::sample::Index>(), bit in 0_u8..8,
        ) {
            let place = place.index(usize::try_from(size).expect("fits")) as u64;
            let one = file(size, &[]);
            for (at, byte) in &writes {
                one.write_all_at(&[*byte], at % size).expect("written");
            }
            let before = digest(&one).expect("readable");
            let mut byte = [0];
            one.read_exact_at(&mut byte, place).expect("read");
            one.write_all_at(&[byte[0] ^ (1 << bit)], place).expect("written");
            prop_assert_ne!(&before, &digest(&one).expect("readable"));
            one.write_all_at(&byte, place).expect("written");
            prop_assert_eq!(before, digest(&one).expect("readable"));
        }
    }
}
