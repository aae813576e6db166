//! The bridge's name, which an administrator chooses within a fixed form.

use super::INTERFACE_NAME_MAX;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// `br-fc`, or `br-fc-` and a suffix of lower-case letters, digits and hyphens; at most 15 bytes.
///
/// It comes from the helper's command line only: the form keeps even a mistyped one off every
/// interface that is not a bridge of banger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BridgeName(String);

/// Why a bridge's name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no name for the bridge: give br-fc, or br-fc-SUFFIX of lower-case letters, digits and hyphens, at most 15 bytes"
)]
pub struct BadBridgeName {
    /// What was given.
    text: String,
}

impl BridgeName {
    /// The name without a suffix, which every bridge's name begins with.
    pub const DEFAULT: &'static str = "br-fc";

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for BridgeName {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl FromStr for BridgeName {
    type Err = BadBridgeName;

    fn from_str(text: &str) -> Result<Self, BadBridgeName> {
        let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = match text.strip_prefix(Self::DEFAULT) {
            Some("") => true,
            Some(rest) => rest.strip_prefix('-').is_some_and(|suffix| {
                !suffix.is_empty()
                    && text.len() <= INTERFACE_NAME_MAX
                    && suffix.bytes().all(is_allowed)
            }),
            None => false,
        };
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            let text = text.chars().take(40).collect();
            Err(BadBridgeName { text })
        }
    }
}

impl TryFrom<String> for BridgeName {
    type Error = BadBridgeName;
    fn try_from(text: String) -> Result<Self, BadBridgeName> {
        text.parse()
    }
}

impl From<BridgeName> for String {
    fn from(name: BridgeName) -> Self {
        name.0
    }
}

impl fmt::Display for BridgeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_and_suffixes_up_to_fifteen_bytes_are_names() {
        for name in ["br-fc", "br-fc-a", "br-fc-2", "br-fc-012345678"] {
            assert!(name.len() <= INTERFACE_NAME_MAX);
            assert_eq!(
                name.parse::<BridgeName>().map(String::from).as_deref(),
                Ok(name)
            );
        }
        assert_eq!(BridgeName::default().as_str().len(), 5);
    }

    #[test]
    fn any_other_interface_is_refused() {
        let others = [
            "",
            "br",
            "eth0",
            "docker0",
            "br-fcx",
            "br-fc-",
            "br-fc-A",
            "br-fc-a b",
            "br-fc-0123456789",
            "br-fc/..",
            "br-fc-\n",
            "br-fc-ä",
            " br-fc",
            "br-fc\0",
            "br-fc-*",
        ];
        for name in others {
            assert!(name.parse::<BridgeName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_refused_name_is_quoted_in_part() {
        let error = "x"
            .repeat(5000)
            .parse::<BridgeName>()
            .unwrap_err()
            .to_string();
        assert!(error.len() < 250, "{error}");
    }
}
