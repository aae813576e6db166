//! Whether a file still has all of the ext4 that it was made with: cheap enough for every start, and
//! enough to find one that was cut off. Its content is checked by `e2fsck` when it is made.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Where the superblock begins, and its fields (the kernel's documentation of ext4, "Super Block").
const SUPERBLOCK: u64 = 1024;
const BLOCKS_LOW: usize = 0x4;
const LOG_BLOCK_SIZE: usize = 0x18;
const BLOCKS_PER_GROUP: usize = 0x20;
const MAGIC: usize = 0x38;
const RESERVED_DESCRIPTORS: usize = 0xce;
const DESCRIPTOR_SIZE: usize = 0xfe;

/// Why a file is no whole ext4; `None` when it is one.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn what_is_wrong(path: &Path) -> io::Result<Option<&'static str>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let Some(block) = superblock(&file) else {
        return Ok(Some("it is cut off before its superblock"));
    };
    let Some(size) = size_of(&block) else {
        return Ok(Some("it is no ext4"));
    };
    Ok((length < size.bytes).then_some("it is cut off"))
}

/// How large a file system is, and can become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// What it has, in bytes.
    pub(crate) bytes: u64,
    /// What the room kept for its group descriptors is enough for, in bytes. Beyond that it would have
    /// to be laid out anew, which e2fsprogs 1.47.0 breaks off (seen), and leaves it damaged; what kernels
    /// of all ages make of it was not tried.
    pub(crate) most: u64,
}

/// How large the ext4 in a file is; `None` when there is none.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn size(path: &Path) -> io::Result<Option<Size>> {
    Ok(superblock(&File::open(path)?).and_then(|block| size_of(&block)))
}

fn superblock(file: &File) -> Option<[u8; 0x100]> {
    let mut block = [0; 0x100];
    file.read_exact_at(&mut block, SUPERBLOCK).ok()?;
    Some(block)
}

fn size_of(block: &[u8; 0x100]) -> Option<Size> {
    let number = |at: usize, length: usize| -> u64 {
        let bytes = block.get(at..at + length).unwrap_or_default();
        bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    if number(MAGIC, 2) != 0xef53 {
        return None;
    }
    let log = u32::try_from(number(LOG_BLOCK_SIZE, 4).min(6)).unwrap_or(0);
    let block_size = 1024_u64 << log;
    let blocks = number(BLOCKS_LOW, 4);
    let group = number(BLOCKS_PER_GROUP, 4).max(1);
    let descriptors = block_size / number(DESCRIPTOR_SIZE, 2).max(32);
    let held =
        blocks.div_ceil(group).div_ceil(descriptors.max(1)) + number(RESERVED_DESCRIPTORS, 2);
    let most = held.saturating_mul(descriptors).saturating_mul(group);
    Some(Size {
        bytes: blocks.saturating_mul(block_size),
        most: most.saturating_mul(block_size),
    })
}

#[cfg(test)]
mod t1 {
    use super::*;
    use crate::disks::make_sparse_ext4;

    #[test]
    fn a_whole_one_is_told_from_one_that_was_cut_off_and_from_anything_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("disk");
        make_sparse_ext4(&path, 64.try_into().expect("a size"), "x").expect("made");
        assert_eq!(what_is_wrong(&path).expect("readable"), None);
        let file = File::options().write(true).open(&path).expect("there");
        file.set_len((64 << 20) - 1).expect("cut");
        assert_eq!(
            what_is_wrong(&path).expect("readable"),
            Some("it is cut off")
        );
        file.set_len(1050).expect("cut");
        assert_eq!(
            what_is_wrong(&path).expect("readable"),
            Some("it is cut off before its superblock")
        );
        std::fs::write(&path, vec![7; 5000]).expect("written");
        assert_eq!(
            what_is_wrong(&path).expect("readable"),
            Some("it is no ext4")
        );
        assert!(what_is_wrong(&directory.path().join("none")).is_err());
    }
}
