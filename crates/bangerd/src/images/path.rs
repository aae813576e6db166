//! Names inside of an archive: hostile text made into a list of components.

/// Longest path of an entry or of a link's target, in bytes (`PATH_MAX` of Linux).
pub(crate) const LONGEST_PATH: usize = 4096;
/// Longest component, in bytes (`NAME_MAX`).
const LONGEST_NAME: usize = 255;

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It climbs.
    #[error("has a '..' in it")]
    Climbs,
    /// It contains a zero byte.
    #[error("has a zero byte in it")]
    Zero,
    /// Longer than Linux allows.
    #[error("is longer than 4096 bytes")]
    TooLong,
    /// One component is longer than Linux allows.
    #[error("has a component longer than 255 bytes")]
    LongName,
}

/// Splits a path into its components: a leading `/`, doubled `/` and `.` count for nothing, so no
/// component at all is the root directory.
pub(crate) fn components(path: &[u8]) -> Result<Vec<&[u8]>, BadPath> {
    if path.len() > LONGEST_PATH {
        return Err(BadPath::TooLong);
    }
    if path.contains(&0) {
        return Err(BadPath::Zero);
    }
    let mut found = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(BadPath::Climbs),
            long if long.len() > LONGEST_NAME => return Err(BadPath::LongName),
            name => found.push(name),
        }
    }
    Ok(found)
}

/// A path for a message: text as far as it is text, control characters escaped, cut when long.
pub(crate) fn shown(path: &[u8]) -> String {
    let cut = path.get(..200).unwrap_or(path);
    let mut text = String::new();
    for c in String::from_utf8_lossy(cut).chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    if cut.len() < path.len() {
        format!("{text}…")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dots_and_slashes_count_for_nothing() {
        let expected: Vec<&[u8]> = vec![b"usr", b"bin"];
        for path in [
            "usr/bin",
            "/usr/bin",
            "./usr/bin/",
            "usr//./bin",
            "//usr/bin//",
        ] {
            assert_eq!(components(path.as_bytes()), Ok(expected.clone()), "{path}");
        }
        for root in ["", ".", "/", "./", "././/"] {
            assert_eq!(components(root.as_bytes()), Ok(vec![]), "{root}");
        }
    }

    #[test]
    fn a_path_that_climbs_or_is_too_long_is_refused() {
        for path in ["..", "../x", "a/../b", "/..", "a/.."] {
            assert_eq!(components(path.as_bytes()), Err(BadPath::Climbs), "{path}");
        }
        assert_eq!(components(b"a\0b"), Err(BadPath::Zero));
        assert_eq!(components(&[b'a'; 256]), Err(BadPath::LongName));
        assert_eq!(components(&[b'/'; 4097]), Err(BadPath::TooLong));
        assert!(components(b"...").is_ok() && components(b"a..b").is_ok());
    }

    #[test]
    fn a_name_that_is_not_text_is_kept_and_can_be_shown() {
        assert_eq!(components(b"\xff/x"), Ok(vec![&b"\xff"[..], b"x"]));
        assert_eq!(shown(b"a\nb\xff"), "a\\nb\u{fffd}");
        assert!(shown(&[b'a'; 999]).ends_with('…'));
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_safe(path: Vec<u8>) {
            if let Ok(found) = components(&path) {
                for name in found {
                    prop_assert!(!name.is_empty() && name.len() <= LONGEST_NAME);
                    prop_assert!(name != b"." && name != b".." && !name.contains(&b'/') && !name.contains(&0));
                }
            }
            let _ = shown(&path);
        }

        #[test]
        fn components_joined_again_are_the_same_path(parts in prop::collection::vec("[a-z.]{1,9}", 0..9)) {
            let path = parts.join("/");
            if let Ok(found) = components(path.as_bytes()) {
                let joined = found.join(&b'/');
                prop_assert_eq!(components(&joined), Ok(found));
            }
        }
    }
}
