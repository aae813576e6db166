//! How large an ext4 must be so that a tree fits. All sizes are in blocks of 4 KiB; too large costs
//! nothing, because the file is sparse, so the estimate is a bound, not a guess.

use super::tree::{Node, NodeKind};

/// Bytes of a block.
pub(crate) const BLOCK: u64 = 4096;
/// Blocks of a group: what one block of bitmap can mark.
const GROUP: u64 = 8 * BLOCK;
/// Inodes of a block, at 256 bytes each.
const INODES_IN_BLOCK: u64 = 16;
/// Inodes before the first of ours: ten reserved ones and `lost+found`.
const RESERVED_INODES: u64 = 11;
/// The journal, which a disk that is only read never uses: the smallest that ext4 allows.
pub(crate) const JOURNAL: u32 = 1024;
/// Extents in one block of an extent tree.
const EXTENTS_IN_BLOCK: u64 = 340;
/// Longest extent of initialised data, in blocks.
const LONGEST_EXTENT: u64 = 1 << 15;

/// Size of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// All blocks: whole groups.
    pub(crate) blocks: u64,
    /// Inodes, reserved ones included.
    pub(crate) inodes: u32,
}

/// A bound on the blocks that one node takes.
pub(crate) fn blocks_of(node: &Node) -> u64 {
    let attributes = u64::from(!node.meta.xattrs.is_empty());
    attributes
        + match &node.kind {
            NodeKind::File {
                data: None, size, ..
            } => {
                let blocks = size.div_ceil(BLOCK);
                blocks + extent_blocks(blocks / LONGEST_EXTENT)
            }
            NodeKind::File {
                data: Some(data), ..
            } => {
                let blocks: u64 = data
                    .iter()
                    .map(|part| part.length.div_ceil(BLOCK) + 1)
                    .sum();
                blocks + extent_blocks(blocks / LONGEST_EXTENT + data.len() as u64)
            }
            NodeKind::Directory(names) => {
                // 8 bytes and the name, rounded up to 4; leaves of an index may be half empty.
                let bytes: u64 = names
                    .keys()
                    .map(|name| 8 + name.len().next_multiple_of(4) as u64)
                    .sum();
                let blocks = 2 + 2 * bytes.div_ceil(BLOCK - 300);
                blocks + extent_blocks(blocks / 16)
            }
            NodeKind::Symlink(_) => 1,
            NodeKind::Char { .. } | NodeKind::Block { .. } | NodeKind::Fifo => 0,
        }
}

fn extent_blocks(extents: u64) -> u64 {
    if extents < 2 {
        0
    } else {
        2 + extents.div_ceil(EXTENTS_IN_BLOCK) * 2
    }
}

/// The smallest whole number of groups that holds so many blocks of content and so many inodes;
/// `None` when no ext4 of 32-bit block numbers can.
pub(crate) fn fitting(content: u64, inodes: u64) -> Option<Geometry> {
    let inodes = inodes.checked_add(RESERVED_INODES)?;
    // Extents are cut where metadata lies in their way: a hundredth more is far above that.
    let content = content.checked_add(content / 100 + u64::from(JOURNAL) + 64)?;
    let mut groups = content.div_ceil(GROUP).max(inodes.div_ceil(GROUP)).max(1);
    while groups.checked_mul(GROUP)? < overhead(groups, inodes).checked_add(content)? {
        groups += 1 + groups / 64;
    }
    let blocks = groups * GROUP;
    (blocks < u64::from(u32::MAX)).then_some(Geometry {
        blocks,
        inodes: u32::try_from(inodes).ok()?,
    })
}

/// Blocks of superblocks, descriptors, bitmaps and inode tables, as if every group had a backup.
/// A table that would be cut by a backup is laid behind it, which wastes at most one more table.
fn overhead(groups: u64, inodes: u64) -> u64 {
    let descriptors = (groups * 32).div_ceil(BLOCK);
    let table = inodes.div_ceil(groups).div_ceil(INODES_IN_BLOCK);
    groups * (1 + descriptors + 2 + table) + table * (2 + groups / 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_tree_takes_one_group_and_a_huge_one_is_refused() {
        let smallest = fitting(0, 1).expect("fits");
        assert_eq!((smallest.blocks, smallest.inodes), (GROUP, 12));
        assert_eq!(fitting(1 << 32, 1), None);
        assert_eq!(fitting(u64::MAX, u64::MAX), None);
    }

    proptest! {
        #[test]
        fn there_is_room_for_what_was_asked(content in 0_u64..1 << 28, inodes in 1_u64..4_000_000) {
            let found = fitting(content, inodes).expect("fits");
            let groups = found.blocks / GROUP;
            prop_assert!(found.blocks >= content + overhead(groups, inodes));
            prop_assert!(u64::from(found.inodes) <= groups * GROUP);
            prop_assert!(found.blocks <= 2 * (content + inodes) + 3 * GROUP, "{} blocks", found.blocks);
        }
    }
}
