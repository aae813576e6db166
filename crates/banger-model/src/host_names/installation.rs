//! Which installation of banger an object of the host belongs to.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The random id of one state directory: 64 bits, written as 16 lower-case hexadecimal digits.
///
/// Whatever banger makes on the host carries it, so that no installation touches what another, or
/// another program, has made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Installation([u8; 8]);

impl Installation {
    /// Makes an id from 8 random bytes, which the caller supplies: this room has no randomness.
    #[must_use]
    pub const fn from_random(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The 8 bytes of the id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// What every link of this installation has as its alias: 23 bytes (`IFALIASZ` allows 255,
    /// linux/if.h).
    #[must_use]
    pub fn mark(&self) -> String {
        format!("banger:{self}")
    }
}

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Installation({self})")
    }
}

/// The text is not 16 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an installation's id is 16 lower-case hexadecimal digits")]
pub struct BadInstallation;

impl FromStr for Installation {
    type Err = BadInstallation;

    fn from_str(text: &str) -> Result<Self, BadInstallation> {
        let is_digit = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
        if text.len() != 16 || !text.as_bytes().iter().all(is_digit) {
            return Err(BadInstallation);
        }
        u64::from_str_radix(text, 16)
            .map(|value| Self(value.to_be_bytes()))
            .map_err(|_| BadInstallation)
    }
}

impl TryFrom<String> for Installation {
    type Error = BadInstallation;
    fn try_from(text: String) -> Result<Self, BadInstallation> {
        text.parse()
    }
}

impl From<Installation> for String {
    fn from(id: Installation) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_reads_back_what_it_wrote(bytes: [u8; 8]) {
            let id = Installation::from_random(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(id.mark().len(), 23);
        }
    }

    #[test]
    fn any_other_text_is_refused() {
        for text in [
            "",
            "0",
            "0123456789ABCDEF",
            "+123456789abcdef",
            "0123456789abcdef0",
        ] {
            assert_eq!(
                text.parse::<Installation>(),
                Err(BadInstallation),
                "{text:?}"
            );
        }
    }
}
