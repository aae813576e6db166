//! Access control lists: the same list is written differently in `getxattr(2)`, which is what
//! archives carry, and in ext4's own blocks.

/// `ACL_EA_VERSION` of the attribute and `EXT4_ACL_VERSION` of ext4.
const VERSION_OF_ATTRIBUTE: u32 = 2;
const VERSION_OF_EXT4: u32 = 1;
/// `ACL_USER` and `ACL_GROUP`: the only kinds that name somebody.
const NAMED: [u16; 2] = [0x02, 0x08];

/// The form that ext4 stores; `None` when the value is no list.
pub(crate) fn as_ext4(value: &[u8]) -> Option<Vec<u8>> {
    let (version, entries) = value.split_first_chunk::<4>()?;
    let (entries, rest) = entries.as_chunks::<8>();
    if u32::from_le_bytes(*version) != VERSION_OF_ATTRIBUTE || !rest.is_empty() {
        return None;
    }
    let mut stored = VERSION_OF_EXT4.to_le_bytes().to_vec();
    for [tag_low, tag_high, permissions @ .., a, b, c, d] in entries {
        stored.extend([*tag_low, *tag_high]);
        stored.extend(permissions as &[u8; 2]);
        if NAMED.contains(&u16::from_le_bytes([*tag_low, *tag_high])) {
            stored.extend([*a, *b, *c, *d]);
        }
    }
    Some(stored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_entries_that_name_somebody_keep_their_number() {
        let owner = [1, 0, 7, 0, 0xff, 0xff, 0xff, 0xff];
        let user = [2, 0, 5, 0, 0xe8, 3, 0, 0];
        let list = [&[2, 0, 0, 0][..], &owner, &user].concat();
        let stored = [
            &[1, 0, 0, 0][..],
            &[1, 0, 7, 0],
            &[2, 0, 5, 0, 0xe8, 3, 0, 0],
        ]
        .concat();
        assert_eq!(as_ext4(&list), Some(stored));
        assert_eq!(as_ext4(&[1, 0, 0, 0]), None);
        assert_eq!(as_ext4(&list[..list.len() - 1]), None);
    }

    proptest! {
        #[test]
        fn any_value_can_be_tried(value: Vec<u8>) {
            let _ = as_ext4(&value);
        }
    }
}
