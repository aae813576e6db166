//! Extended headers of POSIX tar (pax(1), "pax Extended Header"): records that describe the entry
//! after them.

use super::entry::Extent;

/// Records of one extended header, in order; on lookup the last of a name counts.
#[derive(Debug, Default, Clone)]
pub(crate) struct Records(Vec<(Vec<u8>, Vec<u8>)>);

/// Most parts that a sparse file may have.
pub(crate) const MOST_EXTENTS: usize = 1 << 20;

impl Records {
    /// Reads `LENGTH KEY=VALUE\n` records; values may contain anything, newlines included. `None`
    /// when a record does not fit its own length.
    pub(crate) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            // Some writers fill the rest of the block with zeros.
            if bytes.iter().all(|byte| *byte == 0) {
                break;
            }
            let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
            let length: usize = text(bytes.get(..space)?)?.parse().ok()?;
            let record = bytes.get(space + 1..length)?;
            let (last, record) = record.split_last()?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            let (key, value) = record.split_at_checked(equals)?;
            if *last != b'\n' || key.is_empty() {
                return None;
            }
            found.push((key.to_vec(), value.get(1..)?.to_vec()));
            bytes = bytes.get(length..)?;
        }
        Some(Self(found))
    }

    /// These records after those of `before`, so that these count.
    pub(crate) fn after(mut self, before: &Self) -> Self {
        let mut all = before.0.clone();
        all.append(&mut self.0);
        Self(all)
    }

    /// The value of a record, empty meaning that there is none (pax(1)).
    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        let found = self.0.iter().rev().find(|(name, _)| name == key.as_bytes());
        found.map(|(_, value)| &value[..]).filter(|v| !v.is_empty())
    }

    /// A record that is a whole number.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        text(self.get(key)?)?.parse().ok()
    }

    /// The modification time: seconds with an optional fraction.
    pub(crate) fn mtime(&self) -> Option<(i64, u32)> {
        let (seconds, fraction) = match text(self.get("mtime")?)?.split_once('.') {
            Some((seconds, fraction)) => (seconds.to_owned(), fraction.to_owned()),
            None => (text(self.get("mtime")?)?.to_owned(), String::new()),
        };
        let digits: String = fraction
            .chars()
            .chain("000000000".chars())
            .take(9)
            .collect();
        let nanoseconds: u32 = digits.parse().ok()?;
        let seconds_value: i64 = seconds.parse().ok()?;
        if seconds.starts_with('-') && nanoseconds > 0 {
            return Some((seconds_value.checked_sub(1)?, 1_000_000_000 - nanoseconds));
        }
        Some((seconds_value, nanoseconds))
    }

    /// The extended attributes, by full name; a later value of a name replaces an earlier.
    pub(crate) fn xattrs(&self) -> Vec<(String, Vec<u8>)> {
        let mut found: Vec<(String, Vec<u8>)> = Vec::new();
        for (key, value) in &self.0 {
            let name = key
                .strip_prefix(b"SCHILY.xattr.")
                .and_then(|name| String::from_utf8(name.to_vec()).ok());
            if let Some(name) = name {
                found.retain(|(other, _)| *other != name);
                found.push((name, value.clone()));
            }
        }
        found
    }

    /// The parts of a sparse file in GNU's formats 0.0 (one record per number) and 0.1 (one map);
    /// `None` when this is neither.
    pub(crate) fn sparse_map(&self) -> Option<Vec<Extent>> {
        let numbers: Vec<u64> = if let Some(map) = self.get("GNU.sparse.map") {
            text(map)?
                .split(',')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .ok()?
        } else {
            let wanted = |key: &[u8]| key == b"GNU.sparse.offset" || key == b"GNU.sparse.numbytes";
            let values = self.0.iter().filter(|(key, _)| wanted(key));
            values
                .map(|(_, v)| text(v)?.parse().ok())
                .collect::<Option<_>>()?
        };
        extents(&numbers)
    }
}

/// Pairs of offset and length; `None` when the numbers are odd, or too many.
pub(crate) fn extents(numbers: &[u64]) -> Option<Vec<Extent>> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() || pairs.is_empty() || pairs.len() > MOST_EXTENTS {
        return None;
    }
    let all = pairs.iter().map(|[offset, length]| Extent {
        offset: *offset,
        length: *length,
    });
    Some(all.collect())
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Records for tests.
#[cfg(test)]
pub(crate) mod samples {
    /// One record with its own length in front.
    pub(crate) fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let body = key.len() + value.len() + 3;
        let mut length = body + 1;
        while length != body + length.to_string().len() {
            length = body + length.to_string().len();
        }
        let mut record = format!("{length} {key}=").into_bytes();
        record.extend(value);
        record.push(b'\n');
        record
    }
}

#[cfg(test)]
mod tests {
    use super::{samples::record, *};
    use proptest::prelude::*;

    #[test]
    fn a_value_may_contain_newlines_and_the_last_of_a_name_counts() {
        let mut bytes = record("SCHILY.xattr.security.capability", b"\n\n=\0\n");
        bytes.extend(record("path", b"first"));
        bytes.extend(record("path", b"second"));
        let records = Records::parse(&bytes).expect("is well formed");
        assert_eq!(records.get("path"), Some(&b"second"[..]));
        assert_eq!(
            records.xattrs(),
            vec![("security.capability".to_owned(), b"\n\n=\0\n".to_vec())]
        );
    }

    #[test]
    fn times_have_fractions_and_may_lie_before_1970() {
        let time = |text: &str| {
            Records::parse(&record("mtime", text.as_bytes()))
                .expect("is well formed")
                .mtime()
        };
        assert_eq!(time("12"), Some((12, 0)));
        assert_eq!(time("12.5"), Some((12, 500_000_000)));
        assert_eq!(time("12.1234567899"), Some((12, 123_456_789)));
        assert_eq!(time("-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time("x"), None);
    }

    #[test]
    fn a_record_that_does_not_fit_is_refused() {
        for bytes in [
            &b"99 path=x\n"[..],
            b"5 a=b",
            b"x path=y\n",
            b"9 =value\n",
            b"0 a=b\n",
            b"2 \n",
        ] {
            assert!(Records::parse(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn sparse_maps_of_both_old_formats_are_read() {
        let expected = vec![
            Extent {
                offset: 0,
                length: 512,
            },
            Extent {
                offset: 4096,
                length: 10,
            },
        ];
        let new = Records::parse(&record("GNU.sparse.map", b"0,512,4096,10")).expect("parses");
        assert_eq!(new.sparse_map(), Some(expected.clone()));
        let mut old = Vec::new();
        for (offset, length) in [("0", "512"), ("4096", "10")] {
            old.extend(record("GNU.sparse.offset", offset.as_bytes()));
            old.extend(record("GNU.sparse.numbytes", length.as_bytes()));
        }
        assert_eq!(
            Records::parse(&old).expect("parses").sparse_map(),
            Some(expected)
        );
        assert_eq!(extents(&[1, 2, 3]), None);
    }

    proptest! {
        #[test]
        fn anything_can_be_parsed(bytes: Vec<u8>) {
            if let Some(records) = Records::parse(&bytes) {
                let _ = (records.mtime(), records.xattrs(), records.sparse_map());
            }
        }

        #[test]
        fn a_written_record_reads_back(key in "[a-zA-Z.]{1,30}", value in prop::collection::vec(any::<u8>(), 1..200)) {
            let records = Records::parse(&record(&key, &value)).expect("is well formed");
            prop_assert_eq!(records.get(&key), Some(&value[..]));
        }
    }
}
