//! The id of an operation, the same for its client, the daemon and the helper.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Write};
use std::str::FromStr;

/// `op-` and six characters of `0-9a-z`: it stands in every log line and error of the operation, on
/// both sides. The fixed form keeps a caller from writing lines of its own into the helper's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OpId([u8; 6]);

/// The text is no operation's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an operation's id is op- and six digits or lower-case letters")]
pub struct BadOp;

impl OpId {
    /// An id of random bytes, which the caller supplies.
    #[must_use]
    pub fn from_random(bytes: [u8; 6]) -> Self {
        // 32 of them, so that each is as likely as the others.
        const LETTERS: &[u8; 32] = b"0123456789abcdefghijkmnpqrstuvwx";
        Self(bytes.map(|byte| LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'0')))
    }
}

impl FromStr for OpId {
    type Err = BadOp;

    fn from_str(text: &str) -> Result<Self, BadOp> {
        let rest = text.strip_prefix("op-").ok_or(BadOp)?;
        let is_allowed = |b: u8| b.is_ascii_digit() || b.is_ascii_lowercase();
        let letters: [u8; 6] = rest.as_bytes().try_into().map_err(|_| BadOp)?;
        if !letters.into_iter().all(is_allowed) {
            return Err(BadOp);
        }
        Ok(Self(letters))
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
        op.to_string()
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("op-")?;
        self.0
            .iter()
            .try_for_each(|letter| f.write_char(char::from(*letter)))
    }
}
