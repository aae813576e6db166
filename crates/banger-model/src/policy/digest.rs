//! A short number that tells two texts apart.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// FNV-1a over a text, 64 bits, written as 16 hexadecimal digits.
///
/// It finds what changed by accident. It is no proof against somebody who may change the rules:
/// whoever can do that is root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(u64);

impl Digest {
    /// The digest of everything that `write` writes.
    pub fn of(write: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result) -> Self {
        // Offset basis and prime: the FNV specification, draft-eastlake-fnv.
        let mut hasher = Hasher(0xcbf2_9ce4_8422_2325);
        // The hasher takes everything, and what is written has no errors of its own.
        let _always_ok = write(&mut hasher);
        Self(hasher.0)
    }

    pub(super) const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

/// Takes text.
struct Hasher(u64);

impl fmt::Write for Hasher {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        Ok(())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The text is not 16 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 16 lower-case hexadecimal digits")]
pub struct BadDigest;

impl FromStr for Digest {
    type Err = BadDigest;
    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let digits = text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.len() != 16 || !digits {
            return Err(BadDigest);
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| BadDigest)
    }
}

impl TryFrom<String> for Digest {
    type Error = BadDigest;
    fn try_from(text: String) -> Result<Self, BadDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vectors_hold() {
        for (text, digest) in [
            ("", "cbf29ce484222325"),
            ("a", "af63dc4c8601ec8c"),
            ("foobar", "85944171f73967e8"),
        ] {
            let found = Digest::of(|hasher| hasher.write_str(text));
            assert_eq!(found.to_string(), digest);
            assert_eq!(digest.parse(), Ok(found));
        }
        assert_eq!("CBF29CE484222325".parse::<Digest>(), Err(BadDigest));
        assert_eq!("+bf29ce484222325".parse::<Digest>(), Err(BadDigest));
    }
}
