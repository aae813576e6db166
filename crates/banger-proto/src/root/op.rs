//! The id of an operation, as it crosses to the helper.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// `op-` and six characters of `0-9a-z`: it stands in every log line and error of the operation, on
/// both sides. The fixed form keeps a caller from writing lines of its own into the helper's log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OpId(String);

/// The text is no operation's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an operation's id is op- and six digits or lower-case letters")]
pub struct BadOp;

impl OpId {
    /// An id of random bytes, which the caller supplies.
    #[must_use]
    pub fn from_random(bytes: [u8; 6]) -> Self {
        const LETTERS: [char; 32] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'g',
            'h', 'i', 'j', 'k', 'm', 'n', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x',
        ];
        let letter = |byte: u8| LETTERS.get(usize::from(byte % 32)).copied().unwrap_or('0');
        Self("op-".chars().chain(bytes.map(letter)).collect())
    }
}

impl FromStr for OpId {
    type Err = BadOp;

    fn from_str(text: &str) -> Result<Self, BadOp> {
        let rest = text.strip_prefix("op-").ok_or(BadOp)?;
        let is_allowed = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
        if rest.len() != 6 || !rest.bytes().all(is_allowed) {
            return Err(BadOp);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for OpId {
    type Error = BadOp;
    fn try_from(text: String) -> Result<Self, BadOp> {
        text.parse()
    }
}

impl From<OpId> for String {
    fn from(op: OpId) -> Self {
        op.0
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
