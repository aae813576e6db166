//! The id of a sandbox: 128 random bits, written as 32 lower-case hexadecimal digits.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Identifies one sandbox for ever; never used again after it is deleted.
///
/// Host objects are named from it, so that a caller can never choose the name of one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SandboxId([u8; 16]);

impl SandboxId {
    /// Makes an id from 16 random bytes, which the caller supplies: this room has no randomness.
    #[must_use]
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The first eight digits: enough to read, and to name files and sockets within length limits
    /// (`sun_path` holds 108 bytes, unix(7)).
    #[must_use]
    pub fn short(&self) -> String {
        let mut whole = self.to_string();
        whole.truncate(8);
        whole
    }

    /// The 16 bytes of the id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SandboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SandboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SandboxId({self})")
    }
}

/// The text is not 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a sandbox id is 32 lower-case hexadecimal digits")]
pub struct BadId;

impl FromStr for SandboxId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let is_digit = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
        if text.len() != 32 || !text.as_bytes().iter().all(is_digit) {
            return Err(BadId);
        }
        u128::from_str_radix(text, 16)
            .map(|value| Self(value.to_be_bytes()))
            .map_err(|_| BadId)
    }
}

impl TryFrom<String> for SandboxId {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<SandboxId> for String {
    fn from(id: SandboxId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_reads_back_what_it_wrote(bytes: [u8; 16]) {
            let id = SandboxId::from_random(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert!(id.to_string().starts_with(&id.short()));
        }

        #[test]
        fn any_other_text_is_refused(text in "\\PC{0,40}") {
            prop_assume!(text.len() != 32);
            prop_assert_eq!(text.parse::<SandboxId>(), Err(BadId));
        }
    }

    #[test]
    fn upper_case_signs_and_spaces_are_refused() {
        for text in [
            "+0000000000000000000000000000000",
            "ABCDEF00000000000000000000000000",
            " 0000000000000000000000000000000",
        ] {
            assert_eq!(text.len(), 32);
            assert_eq!(text.parse::<SandboxId>(), Err(BadId), "{text:?}");
        }
    }
}
