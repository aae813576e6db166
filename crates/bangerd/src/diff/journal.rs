//! What the journal of an ext4 holds that is not at its place yet (jbd2: the kernel's documentation of ext4,
//! "Journal"). A guest that runs, was suspended or killed leaves it so; its kernel would write the blocks to
//! their places when it mounts. Here nothing is written: the blocks are read from where they are.

use mkext4::csum::crc32c_raw;
use mkext4::spec::{JBD2_MAGIC, JournalSuperblock};
use std::collections::BTreeMap;

/// Kinds of blocks of the journal itself.
const DESCRIPTOR: u32 = 1;
const COMMIT: u32 = 2;
const REVOKED: u32 = 5;

/// Features of a journal: revoked blocks, 64-bit numbers, checksums of the second and third form.
const WITH_REVOKED: u32 = 0x1;
const WIDE: u32 = 0x2;
const SUMS_2: u32 = 0x8;
const SUMS_3: u32 = 0x10;

/// Flags of a tag: the first bytes were taken out, the UUID is as before, it is the last.
const ESCAPED: u32 = 1;
const SAME_UUID: u32 = 2;
const LAST: u32 = 8;

/// What begins each block of the journal itself: mark, kind, number of the transaction.
const HEADER: usize = 12;
const UUID: usize = 16;
/// Where the sum of a commit block is.
const COMMIT_SUM: usize = 16;

/// Where the newest content of a block is: a block of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Newest {
    pub(super) journal_block: u64,
    pub(super) is_escaped: bool,
}

/// Why a journal cannot be read.
#[derive(Debug)]
pub(super) enum JournalError {
    /// A block of it cannot be read.
    Read(mkext4::Error),
    /// It is not as it should be.
    Damaged(&'static str),
    /// It has what is not known here.
    Unknown(u32),
}

impl From<mkext4::Error> for JournalError {
    fn from(error: mkext4::Error) -> Self {
        Self::Read(error)
    }
}

/// Reads a journal of so many blocks; `read` gives one of them.
pub(super) fn newest(
    blocks: u64,
    read: impl Fn(u64) -> Result<Vec<u8>, mkext4::Error>,
) -> Result<BTreeMap<u64, Newest>, JournalError> {
    let superblock = JournalSuperblock::decode(&read(0)?)?;
    if superblock.start == 0 {
        return Ok(BTreeMap::new());
    }
    let (first, start) = (u64::from(superblock.first), u64::from(superblock.start));
    let end = u64::from(superblock.maxlen);
    let is_sound =
        superblock.blocksize == 4096 && first > 0 && (first..end).contains(&start) && end <= blocks;
    if !is_sound {
        return Err(JournalError::Damaged("its sizes do not fit"));
    }
    let unknown = superblock.feature_incompat & !(WITH_REVOKED | WIDE | SUMS_2 | SUMS_3);
    if unknown != 0 {
        return Err(JournalError::Unknown(unknown));
    }
    let form = Form {
        is_wide: superblock.feature_incompat & WIDE != 0,
        sums: match superblock.feature_incompat {
            features if features & SUMS_3 != 0 => Sums::Third,
            features if features & SUMS_2 != 0 => Sums::Second,
            _ => Sums::None,
        },
        seed: crc32c_raw(!0, &superblock.uuid),
    };
    let mut log = Log {
        read,
        form,
        ring: first..end,
        at: start,
        left: end - first,
        sequence: superblock.sequence,
    };
    let mut all = vec![];
    while let Some(transaction) = log.transaction()? {
        all.push(transaction);
    }
    Ok(resolve(&all))
}

/// One transaction that was committed.
#[derive(Debug, Default)]
struct Transaction {
    blocks: Vec<(u64, Newest)>,
    revoked: Vec<u64>,
}

/// A block that a later transaction has revoked is not what an earlier one says of it: it is used for
/// something else since.
fn resolve(all: &[Transaction]) -> BTreeMap<u64, Newest> {
    let mut revoked = BTreeMap::new();
    for (number, transaction) in all.iter().enumerate() {
        revoked.extend(transaction.revoked.iter().map(|block| (*block, number)));
    }
    let mut newest = BTreeMap::new();
    for (number, transaction) in all.iter().enumerate() {
        let counts = |block: &u64| revoked.get(block).is_none_or(|last| *last < number);
        let blocks = transaction.blocks.iter().filter(|(block, _)| counts(block));
        newest.extend(blocks.copied());
    }
    newest
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sums {
    None,
    Second,
    Third,
}

#[derive(Debug, Clone, Copy)]
struct Form {
    is_wide: bool,
    sums: Sums,
    seed: u32,
}

/// A place in the ring of the log.
struct Log<R> {
    read: R,
    form: Form,
    ring: std::ops::Range<u64>,
    at: u64,
    /// Blocks that were not looked at: once round, all were.
    left: u64,
    sequence: u32,
}

impl<R: Fn(u64) -> Result<Vec<u8>, mkext4::Error>> Log<R> {
    /// The next transaction that was committed; none at the end, where the log holds what is older, or a
    /// transaction that was being written.
    fn transaction(&mut self) -> Result<Option<Transaction>, JournalError> {
        let mut found = Transaction::default();
        loop {
            let Some((_, block)) = self.next()? else {
                return Ok(None);
            };
            let header = [0, 4, 8].map(|at| number(&block, at, 4));
            let [mark, kind, sequence] = header;
            if mark != Some(JBD2_MAGIC.into()) || sequence != Some(self.sequence.into()) {
                return Ok(None);
            }
            match kind.and_then(|kind| u32::try_from(kind).ok()) {
                Some(DESCRIPTOR) if self.form.has_sum(&block) => {
                    if !self.described(&block, &mut found)? {
                        return Ok(None);
                    }
                }
                Some(REVOKED) if self.form.has_sum(&block) => {
                    found.revoked.extend(self.form.revoked(&block));
                }
                Some(COMMIT) if self.form.has_commit_sum(&block) => {
                    self.sequence = self.sequence.wrapping_add(1);
                    return Ok(Some(found));
                }
                _ => return Ok(None),
            }
        }
    }

    fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, JournalError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        let at = self.at;
        self.left = left;
        self.at = if at + 1 == self.ring.end {
            self.ring.start
        } else {
            at + 1
        };
        Ok(Some((at, (self.read)(at)?)))
    }

    /// The blocks that follow a descriptor; false where the log ends before.
    fn described(&mut self, block: &[u8], found: &mut Transaction) -> Result<bool, JournalError> {
        for tag in self.form.tags(block) {
            let Some((journal_block, content)) = self.next()? else {
                return Ok(false);
            };
            if !self.form.is_content(&tag, self.sequence, &content) {
                return Err(JournalError::Damaged(
                    "a block in it is not what was written",
                ));
            }
            let newest = Newest {
                journal_block,
                is_escaped: tag.flags & ESCAPED != 0,
            };
            found.blocks.push((tag.block, newest));
        }
        Ok(true)
    }
}

/// What a descriptor says of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag {
    block: u64,
    flags: u32,
    sum: u32,
}

impl Form {
    /// What is before the sum at the end of a block.
    fn body<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        let tail = if self.sums == Sums::None { 0 } else { 4 };
        let end = block.len().saturating_sub(tail);
        block.get(..end).unwrap_or_default()
    }

    fn has_sum(&self, block: &[u8]) -> bool {
        let body = self.body(block);
        let sum = crc32c_raw(crc32c_raw(self.seed, body), &[0; 4]);
        self.sums == Sums::None || number(block, body.len(), 4) == Some(sum.into())
    }

    fn has_commit_sum(&self, block: &[u8]) -> bool {
        let before = block.get(..COMMIT_SUM).unwrap_or_default();
        let after = block.get(COMMIT_SUM + 4..).unwrap_or_default();
        let sum = crc32c_raw(crc32c_raw(self.seed, before), &[0; 4]);
        let sum = crc32c_raw(sum, after);
        self.sums == Sums::None || number(block, COMMIT_SUM, 4) == Some(sum.into())
    }

    fn is_content(&self, tag: &Tag, sequence: u32, content: &[u8]) -> bool {
        let sum = crc32c_raw(crc32c_raw(self.seed, &sequence.to_be_bytes()), content);
        match self.sums {
            Sums::None => true,
            Sums::Second => sum & 0xffff == tag.sum,
            Sums::Third => sum == tag.sum,
        }
    }

    /// The length of a tag, and where in it are: flags, the upper half of the number, the sum; with the
    /// lengths of the first and the last.
    const fn tag(&self) -> (usize, [(usize, usize); 3]) {
        match (self.sums, self.is_wide) {
            (Sums::Third, _) => (16, [(4, 4), (8, 4), (12, 4)]),
            (Sums::Second, true) => (14, [(6, 2), (8, 4), (4, 2)]),
            (Sums::Second, false) => (10, [(6, 2), (0, 0), (4, 2)]),
            (Sums::None, true) => (12, [(6, 2), (8, 4), (4, 2)]),
            (Sums::None, false) => (8, [(6, 2), (0, 0), (4, 2)]),
        }
    }

    fn tags(&self, block: &[u8]) -> Vec<Tag> {
        let body = self.body(block);
        let (length, fields) = self.tag();
        let (mut tags, mut at) = (vec![], HEADER);
        loop {
            let field = |(place, length)| number(body, at + place, length);
            let [flags, high, sum] = fields.map(field);
            let low = number(body, at, 4).filter(|_| at + length <= body.len());
            let (Some(low), Some(flags), Some(high), Some(sum)) = (low, flags, high, sum) else {
                return tags;
            };
            let narrow = |number| u32::try_from(number).unwrap_or_default();
            let tag = Tag {
                block: high << 32 | low,
                flags: narrow(flags),
                sum: narrow(sum),
            };
            tags.push(tag);
            if tag.flags & LAST != 0 {
                return tags;
            }
            let uuid = if tag.flags & SAME_UUID == 0 { UUID } else { 0 };
            at += length + uuid;
        }
    }

    fn revoked(&self, block: &[u8]) -> Vec<u64> {
        let length = if self.is_wide { 8 } else { 4 };
        let used = number(block, HEADER, 4).and_then(|used| usize::try_from(used).ok());
        let end = used.unwrap_or_default().min(self.body(block).len());
        let entries = block.get(HEADER + 4..end).unwrap_or_default();
        let entries = entries.chunks_exact(length);
        entries
            .filter_map(|entry| number(entry, 0, length))
            .collect()
    }
}

/// A number as journals have it: the highest byte first. One of no bytes is zero.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    )
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
