//! The binary form of depmod's tables, which is the only one that kmod's `modprobe` reads: a trie
//! of keys with values, numbers big-endian, a node's children before the node itself. Pure.
//!
//! A node is: its prefix ended by zero, if it has one; first and last byte of its children and an
//! offset for each byte between, if it has children; the number of its values and each value, a
//! priority and a text ended by zero, if it has values. Which of the three there are stands in
//! the upper bits of the offset that leads to it.

use std::collections::BTreeMap;

const MAGIC: u32 = 0xb007_f457;
/// Version 2.1.
const VERSION: u32 = 0x0002_0001;

const HAS_PREFIX: u32 = 0x8000_0000;
const HAS_VALUES: u32 = 0x4000_0000;
const HAS_CHILDREN: u32 = 0x2000_0000;
/// The bits of an offset that are left for the place.
const LARGEST_OFFSET: usize = 0x0fff_ffff;

/// The longest key, in bytes; a longer one is left out. The longest of the kernel's have 100.
const LONGEST_KEY: usize = 512;

/// Values by key; a value's priority is the number of its module.
#[derive(Debug, Default)]
pub(super) struct TableIndex {
    keys: BTreeMap<Vec<u8>, Vec<(u32, String)>>,
}

type Entry<'a> = (&'a [u8], &'a [(u32, String)]);

impl TableIndex {
    /// Adds a value to a key. A key that the format cannot hold is left out.
    pub(super) fn insert(&mut self, key: &str, priority: u32, value: &str) {
        let is_plain = key.bytes().all(|byte| (1..128).contains(&byte));
        if is_plain && key.len() <= LONGEST_KEY && !value.contains('\0') {
            let values = self.keys.entry(key.as_bytes().to_vec()).or_default();
            values.push((priority, value.to_owned()));
        }
    }

    /// The whole table; none when it is longer than offsets can say.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut file = Vec::new();
        file.extend(MAGIC.to_be_bytes());
        file.extend(VERSION.to_be_bytes());
        file.extend([0; 4]);
        let entries: Vec<Entry<'_>> = self
            .keys
            .iter()
            .map(|(k, v)| (k.as_slice(), v.as_slice()))
            .collect();
        let root = write_node(&mut file, &entries, true)?;
        file.get_mut(8..12)?.copy_from_slice(&root.to_be_bytes());
        Some(file)
    }
}

/// How many first bytes all keys share; they are in order, so the outermost two decide.
fn shared(entries: &[Entry<'_>]) -> usize {
    let (Some((first, _)), Some((last, _))) = (entries.first(), entries.last()) else {
        return 0;
    };
    first
        .iter()
        .zip(*last)
        .take_while(|(one, other)| one == other)
        .count()
}

/// Writes the node of all keys, behind its children; the offset with its flags. Goes as deep as
/// the longest key at most.
fn write_node(file: &mut Vec<u8>, entries: &[Entry<'_>], is_root: bool) -> Option<u32> {
    // As depmod writes it, the first node has no prefix.
    let prefix_length = if is_root { 0 } else { shared(entries) };
    let prefix = entries
        .first()
        .and_then(|(key, _)| key.get(..prefix_length))
        .unwrap_or_default();
    let rest: Vec<Entry<'_>> = entries
        .iter()
        .filter_map(|(key, values)| Some((key.get(prefix_length..)?, *values)))
        .collect();
    let (ended, longer): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(key, _)| key.is_empty());
    let mut children = BTreeMap::new();
    for group in longer.chunk_by(|(one, _), (other, _)| one.first() == other.first()) {
        let below: Vec<Entry<'_>> = group
            .iter()
            .filter_map(|(key, values)| Some((key.get(1..)?, *values)))
            .collect();
        let byte = group.first().and_then(|(key, _)| key.first())?;
        children.insert(*byte, write_node(file, &below, false)?);
    }
    let mut offset = u32::try_from(file.len())
        .ok()
        .filter(|_| file.len() <= LARGEST_OFFSET)?;
    if !prefix.is_empty() {
        offset |= HAS_PREFIX;
        file.extend(prefix);
        file.push(0);
    }
    if let (Some((first, _)), Some((last, _))) =
        (children.first_key_value(), children.last_key_value())
    {
        offset |= HAS_CHILDREN;
        file.extend([*first, *last]);
        for byte in *first..=*last {
            file.extend(children.get(&byte).copied().unwrap_or(0).to_be_bytes());
        }
    }
    if let Some((_, values)) = ended.first() {
        offset |= HAS_VALUES;
        file.extend(u32::try_from(values.len()).ok()?.to_be_bytes());
        for (priority, value) in *values {
            file.extend(priority.to_be_bytes());
            file.extend(value.as_bytes());
            file.push(0);
        }
    }
    Some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(file: &[u8], at: usize) -> u32 {
        u32::from_be_bytes(file[at..at + 4].try_into().expect("has four"))
    }

    fn text(file: &[u8], at: usize) -> &[u8] {
        file[at..].split(|byte| *byte == 0).next().expect("has one")
    }

    /// Looks a key up as kmod does.
    fn look_up(file: &[u8], key: &[u8]) -> Vec<(u32, String)> {
        let (mut offset, mut key) = (number(file, 8), key);
        loop {
            let mut at = (offset & 0x0fff_ffff) as usize;
            if offset & HAS_PREFIX != 0 {
                let prefix = text(file, at);
                let Some(rest) = key.strip_prefix(prefix) else {
                    return Vec::new();
                };
                key = rest;
                at += prefix.len() + 1;
            }
            let mut next = 0;
            if offset & HAS_CHILDREN != 0 {
                let (first, last) = (file[at], file[at + 1]);
                if let Some(byte) = key.first().filter(|byte| (first..=last).contains(byte)) {
                    next = number(file, at + 2 + usize::from(byte - first) * 4);
                }
                at += 2 + (usize::from(last - first) + 1) * 4;
            }
            if key.is_empty() {
                let count = if offset & HAS_VALUES == 0 {
                    0
                } else {
                    number(file, at)
                };
                at += 4;
                let mut values = Vec::new();
                for _ in 0..count {
                    let value = text(file, at + 4);
                    values.push((
                        number(file, at),
                        String::from_utf8_lossy(value).into_owned(),
                    ));
                    at += 5 + value.len();
                }
                return values;
            }
            if next == 0 {
                return Vec::new();
            }
            (offset, key) = (next, &key[1..]);
        }
    }

    #[test]
    fn an_empty_table_is_a_header_without_flags() {
        let file = TableIndex::default().encode().expect("is short");
        assert_eq!(file, [0xb0, 7, 0xf4, 0x57, 0, 2, 0, 1, 0, 0, 0, 12]);
    }

    #[test]
    fn keys_that_the_format_cannot_hold_are_left_out() {
        let mut index = TableIndex::default();
        index.insert("é", 1, "a");
        index.insert(&"x".repeat(LONGEST_KEY + 1), 1, "a");
        index.insert("b", 1, "a\0b");
        assert!(index.keys.is_empty());
    }

    proptest! {
        #[test]
        fn every_key_is_found_with_its_values_and_no_other(
            keys in proptest::collection::btree_map("[a-c*]{0,6}", "[a-z]{0,3}", 0..40),
            other in "[a-c*]{0,6}",
        ) {
            let mut index = TableIndex::default();
            for (key, value) in &keys {
                index.insert(key, 7, value);
                index.insert(key, 9, "second");
            }
            let file = index.encode().expect("is short");
            for (key, value) in &keys {
                let expected = vec![(7, value.clone()), (9, "second".to_owned())];
                prop_assert_eq!(look_up(&file, key.as_bytes()), expected);
            }
            if !keys.contains_key(&other) {
                prop_assert!(look_up(&file, other.as_bytes()).is_empty());
            }
        }
    }
}
