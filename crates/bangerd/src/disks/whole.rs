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
const MAGIC: usize = 0x38;

/// Why a file is no whole ext4; `None` when it is one.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn what_is_wrong(path: &Path) -> io::Result<Option<&'static str>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut block = [0; 0x40];
    if file.read_exact_at(&mut block, SUPERBLOCK).is_err() {
        return Ok(Some("it is cut off before its superblock"));
    }
    let field = |at: usize| -> u32 {
        let bytes = block
            .get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    if block.get(MAGIC..MAGIC + 2) != Some(&[0x53, 0xef]) {
        return Ok(Some("it is no ext4"));
    }
    let size = u64::from(field(BLOCKS_LOW))
        .checked_shl(10 + field(LOG_BLOCK_SIZE).min(6))
        .unwrap_or(u64::MAX);
    Ok((length < size).then_some("it is cut off"))
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
