//! A digest of a large file that can follow its changes.

use crate::blocks::{BLOCK, is_zeros, pieces, share_out};
use crate::snapshots::FileDigest;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Marks this form among digests of files.
const PREFIX: &str = "sum-";

/// The sum, lane by lane, of the SHA-256 of each block of 4 KiB that is not all zeros, with its place. It finds what
/// was damaged, cut off or exchanged; against somebody who makes files to deceive it, it is no proof, and needs to
/// be none: the files are their owner's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum([u64; 4]);

impl Sum {
    /// The sum of a whole file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(file: &File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let pieces = pieces(file, size)?;
        let sums = share_out(&pieces, |(sum, buffer): &mut (Self, Vec<u8>), piece| {
            let length = usize::try_from(piece.end - piece.start).map_err(io::Error::other)?;
            buffer.resize(length, 0);
            file.read_exact_at(buffer, piece.start)?;
            sum.add(piece.start, buffer);
            Ok(())
        })?;
        let sums = sums.into_iter().map(|(sum, _)| sum);
        Ok(sums.fold(Self::default(), Self::and))
    }

    /// Counts bytes in, which begin at a whole block.
    pub fn add(&mut self, at: u64, bytes: &[u8]) {
        for (offset, block) in (at..).step_by(BLOCK).zip(bytes.chunks(BLOCK)) {
            *self = self.and(Self::of_block(offset, block));
        }
    }

    /// Counts bytes out that were counted in.
    pub fn take(&mut self, at: u64, bytes: &[u8]) {
        for (offset, block) in (at..).step_by(BLOCK).zip(bytes.chunks(BLOCK)) {
            let of = Self::of_block(offset, block).0;
            for (lane, other) in self.0.iter_mut().zip(of) {
                *lane = lane.wrapping_sub(other);
            }
        }
    }

    /// As a digest of a file of this size.
    #[must_use]
    pub fn digest(self, size: u64) -> FileDigest {
        let lanes = self.0.map(|lane| format!("{lane:016x}")).concat();
        let sha256 = format!("{PREFIX}{lanes}");
        FileDigest { size, sha256 }
    }

    /// Reads it from such a digest.
    #[must_use]
    pub fn read(digest: &FileDigest) -> Option<Self> {
        let lanes = digest.sha256.strip_prefix(PREFIX)?;
        let lane = |index: usize| {
            let digits = lanes.get(index * 16..(index + 1) * 16)?;
            u64::from_str_radix(digits, 16).ok()
        };
        (lanes.len() == 64).then_some(())?;
        Some(Self([lane(0)?, lane(1)?, lane(2)?, lane(3)?]))
    }

    fn of_block(at: u64, block: &[u8]) -> Self {
        if is_zeros(block) {
            return Self::default();
        }
        let mut hasher = Sha256::new();
        hasher.update(at.to_le_bytes());
        hasher.update(block);
        let digest: [u8; 32] = hasher.finalize().into();
        let (lanes, _) = digest.as_chunks::<8>();
        let mut sum = Self::default();
        for (lane, bytes) in sum.0.iter_mut().zip(lanes) {
            *lane = u64::from_le_bytes(*bytes);
        }
        sum
    }

    fn and(mut self, other: Self) -> Self {
        for (lane, other) in self.0.iter_mut().zip(other.0) {
            *lane = lane.wrapping_add(other);
        }
        self
    }
}

/// Whether a digest is of this form.
#[must_use]
pub fn matches(digest: &FileDigest) -> bool {
    Sum::read(digest).is_some()
}

#[cfg(test)]
mod t1 {
    use super::*;
    use proptest::prelude::*;

    fn file(size: u64, writes: &[(u64, Vec<u8>)]) -> File {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(size).expect("set");
        for (at, bytes) in writes {
            file.write_all_at(bytes, *at).expect("written");
        }
        file
    }

    #[test]
    fn holes_and_zeros_are_the_same_and_place_and_content_count() {
        let of = |writes: &[(u64, Vec<u8>)]| Sum::of(&file(3 << 20, writes)).expect("read");
        assert_eq!(of(&[]), Sum::default());
        assert_eq!(of(&[(0, vec![0; 2 << 20])]), Sum::default());
        let one = of(&[(5000, vec![1; 9000])]);
        assert_ne!(one, of(&[(5001, vec![1; 9000])]));
        assert_ne!(one, of(&[(5000, vec![2; 9000])]));
        let digest = one.digest(3 << 20);
        assert_eq!(Sum::read(&digest), Some(one));
        assert!(matches(&digest));
    }

    #[test]
    fn other_digests_are_not_taken_for_sums() {
        for text in [
            "",
            "sum-",
            "sum-00",
            &"0".repeat(64),
            &format!("sum-{}", "ä".repeat(32)),
        ] {
            let sha256 = text.to_owned();
            assert!(!matches(&FileDigest { size: 1, sha256 }), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_sum_that_follows_changes_is_that_of_the_file(
            changes in prop::collection::vec((0_u64..64, any::<u8>()), 0..20),
        ) {
            let file = file(64 * 4096, &[(8192, vec![7; 40_000])]);
            let mut sum = Sum::of(&file).expect("read");
            for (block, byte) in changes {
                let (at, new) = (block * 4096, [byte; 4096]);
                let mut old = [0; 4096];
                file.read_exact_at(&mut old, at).expect("read");
                sum.take(at, &old);
                sum.add(at, &new);
                file.write_all_at(&new, at).expect("written");
            }
            prop_assert_eq!(sum, Sum::of(&file).expect("read"));
        }
    }
}
