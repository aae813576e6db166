//! Journals written by hand, in the form that kernels of our guests give them: 64-bit numbers, sums of the third
//! form. That of e2fsprogs is in `t1`, that of a real guest in T3.

use super::*;
use proptest::prelude::*;

const SIZE: u64 = 16;
const TAG: u32 = SAME_UUID;

/// A journal, block by block.
struct Journal(Vec<Vec<u8>>);

fn seed() -> u32 {
    crc32c_raw(!0, &[9; 16])
}

fn put(block: &mut [u8], at: usize, number: u32) {
    block[at..at + 4].copy_from_slice(&number.to_be_bytes());
}

fn headed(kind: u32, sequence: u32) -> Vec<u8> {
    let mut block = vec![0; 4096];
    for (at, number) in [(0, JBD2_MAGIC), (4, kind), (8, sequence)] {
        put(&mut block, at, number);
    }
    block
}

fn summed(mut block: Vec<u8>, at: usize) -> Vec<u8> {
    let sum = crc32c_raw(seed(), &block);
    put(&mut block, at, sum);
    block
}

fn content(letter: u8) -> Vec<u8> {
    vec![letter; 4096]
}

impl Journal {
    /// Whose log begins at a block with a transaction.
    fn beginning(start: u32, sequence: u32) -> Self {
        let mut blocks = vec![content(0); usize::try_from(SIZE).expect("small")];
        let superblock = &mut blocks[0];
        superblock.copy_from_slice(&headed(4, 0));
        let fields = [
            (12, 4096),
            (16, 16),
            (20, 1),
            (24, sequence),
            (28, start),
            (40, 0x13),
        ];
        for (at, number) in fields {
            put(superblock, at, number);
        }
        superblock[48..64].fill(9);
        superblock[80] = 4;
        Self(blocks)
    }

    fn descriptor(sequence: u32, of: &[(u64, u32, Vec<u8>)]) -> Vec<u8> {
        let mut block = headed(DESCRIPTOR, sequence);
        for (number, (target, flags, content)) in of.iter().enumerate() {
            let last = if number + 1 == of.len() { LAST } else { 0 };
            let at = HEADER + 16 * number;
            let sum = crc32c_raw(crc32c_raw(seed(), &sequence.to_be_bytes()), content);
            let low = u32::try_from(target & 0xffff_ffff).expect("cut");
            let high = u32::try_from(target >> 32).expect("small");
            for (offset, number) in [(0, low), (4, TAG | flags | last), (8, high), (12, sum)] {
                put(&mut block, at + offset, number);
            }
        }
        summed(block, 4092)
    }

    fn commit(sequence: u32) -> Vec<u8> {
        summed(headed(COMMIT, sequence), COMMIT_SUM)
    }

    fn revoked(sequence: u32, target: u64) -> Vec<u8> {
        let mut block = headed(REVOKED, sequence);
        put(&mut block, HEADER, 24);
        block[16..24].copy_from_slice(&target.to_be_bytes());
        summed(block, 4092)
    }

    /// Blocks at places in the ring, from one on.
    fn with(mut self, at: usize, blocks: Vec<Vec<u8>>) -> Self {
        for (number, block) in blocks.into_iter().enumerate() {
            self.0[1 + (at - 1 + number) % 15] = block;
        }
        self
    }

    fn newest(&self) -> Result<BTreeMap<u64, Newest>, JournalError> {
        newest(SIZE, |block| {
            let block = usize::try_from(block).expect("small");
            Ok(self.0.get(block).cloned().unwrap_or_default())
        })
    }

    fn places(&self) -> Vec<(u64, u64)> {
        let newest = self.newest().expect("readable");
        let places = newest
            .iter()
            .map(|(block, newest)| (*block, newest.journal_block));
        places.collect()
    }
}

/// A transaction that writes these blocks.
fn writing(sequence: u32, targets: &[u64]) -> Vec<Vec<u8>> {
    let of: Vec<_> = targets.iter().map(|one| (*one, 0, content(b'x'))).collect();
    let mut blocks = vec![Journal::descriptor(sequence, &of)];
    blocks.extend(of.into_iter().map(|(_, _, content)| content));
    blocks.push(Journal::commit(sequence));
    blocks
}

#[test]
fn a_journal_that_was_written_out_holds_nothing() {
    let journal = Journal::beginning(0, 7).with(1, writing(7, &[100]));
    assert_eq!(journal.places(), []);
}

#[test]
fn the_last_of_several_transactions_counts_around_the_end_of_the_ring_as_well() {
    let high = 1 << 33;
    let log = [writing(7, &[100, 200]), writing(8, &[100, high])].concat();
    let journal = Journal::beginning(12, 7).with(12, log);
    assert_eq!(journal.places(), [(100, 2), (200, 14), (high, 3)]);
}

#[test]
fn what_was_not_committed_or_is_older_does_not_count() {
    let mut half = writing(8, &[200]);
    half.pop();
    let log = [writing(7, &[100]), half].concat();
    let journal = Journal::beginning(1, 7).with(1, log);
    assert_eq!(journal.places(), [(100, 2)]);
    let old = [writing(7, &[100]), writing(3, &[200])].concat();
    let journal = Journal::beginning(1, 7).with(1, old);
    assert_eq!(journal.places(), [(100, 2)]);
    // Torn while it was written.
    for (block, at) in [(0, 2000), (2, 1000)] {
        let mut torn = writing(8, &[200]);
        torn[block][at] ^= 1;
        let log = [writing(7, &[100]), torn].concat();
        let journal = Journal::beginning(1, 7).with(1, log);
        assert_eq!(journal.places(), [(100, 2)], "{block}");
    }
}

#[test]
fn a_block_that_was_revoked_is_what_it_is_at_its_place_until_it_is_written_again() {
    let revoking = vec![Journal::revoked(8, 100), Journal::commit(8)];
    let log = [writing(7, &[100, 200]), revoking].concat();
    let journal = Journal::beginning(1, 7).with(1, log.clone());
    assert_eq!(journal.places(), [(200, 3)]);
    let journal = Journal::beginning(1, 7).with(1, [log, writing(9, &[100])].concat());
    assert_eq!(journal.places(), [(100, 8), (200, 3)]);
}

#[test]
fn a_block_that_begins_like_one_of_the_journal_is_told_as_such() {
    let of = [(100, ESCAPED, content(0))];
    let log = vec![Journal::descriptor(7, &of), content(0), Journal::commit(7)];
    let journal = Journal::beginning(1, 7).with(1, log);
    let newest = journal.newest().expect("readable");
    assert!(newest[&100].is_escaped, "{newest:?}");
}

#[test]
fn a_committed_block_that_is_not_what_was_written_is_damage_and_an_unknown_form_is_refused() {
    let mut log = writing(7, &[100]);
    log[1][5] ^= 1;
    let journal = Journal::beginning(1, 7).with(1, log);
    assert!(matches!(journal.newest(), Err(JournalError::Damaged(_))));
    let mut unknown = Journal::beginning(1, 7);
    put(&mut unknown.0[0], 40, 0x33);
    assert!(matches!(unknown.newest(), Err(JournalError::Unknown(0x20))));
    for (at, number) in [(12, 1024), (16, 17), (20, 0), (28, 16)] {
        let mut wrong = Journal::beginning(1, 7);
        put(&mut wrong.0[0], at, number);
        assert!(
            matches!(wrong.newest(), Err(JournalError::Damaged(_))),
            "{at}"
        );
    }
}

#[test]
fn the_tags_of_every_form_have_their_lengths() {
    for (sums, is_wide, length) in [
        (Sums::Third, true, 16),
        (Sums::Third, false, 16),
        (Sums::Second, true, 14),
        (Sums::Second, false, 10),
        (Sums::None, true, 12),
        (Sums::None, false, 8),
    ] {
        let form = Form {
            is_wide,
            sums,
            seed: 0,
        };
        let mut block = headed(DESCRIPTOR, 1);
        // The first has a UUID behind it, the second is the last.
        put(&mut block, HEADER, 5);
        let second = HEADER + length + UUID;
        put(&mut block, second, 6);
        block[second + 7] = 10;
        let blocks: Vec<_> = form.tags(&block).iter().map(|tag| tag.block).collect();
        assert_eq!(blocks, [5, 6], "{sums:?} {is_wide}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_is_in_it_a_journal_is_read_to_an_end(
        flips in prop::collection::vec((0_usize..6, 0_usize..4096, any::<u8>()), 1..20),
    ) {
        let log = [writing(7, &[100, 200]), writing(8, &[100])].concat();
        let mut journal = Journal::beginning(1, 7).with(1, log);
        for (block, at, byte) in flips {
            journal.0[block][at] = byte;
        }
        let _read = journal.newest();
    }
}
