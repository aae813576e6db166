//! JSON that knows whether it is what was written.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The form on disk. The digest is that of the text of what is said, without spaces.
#[derive(Serialize, Deserialize)]
struct Stored {
    form: u32,
    sha256: String,
    says: Value,
}

/// What every form has, older and newer.
#[derive(Deserialize)]
struct Numbered {
    form: u32,
}

/// Why such a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Its form is this one, and newer.
    Newer(u32),
    /// Why it cannot be understood.
    Damaged(String),
}

fn digest_of(says: &Value) -> serde_json::Result<String> {
    let sum = Sha256::digest(serde_json::to_vec(says)?);
    Ok(sum.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The text, with an end of line.
///
/// # Errors
/// It has no form in JSON.
pub(crate) fn to_json<T: Serialize>(form: u32, says: &T) -> serde_json::Result<Vec<u8>> {
    let says = serde_json::to_value(says)?;
    let mut text = serde_json::to_vec_pretty(&Stored {
        form,
        sha256: digest_of(&says)?,
        says,
    })?;
    text.push(b'\n');
    Ok(text)
}

/// What a text says, whose form may be as new as `known`.
///
/// # Errors
/// See [`Unreadable`].
pub(crate) fn from_json<T: DeserializeOwned>(known: u32, text: &[u8]) -> Result<T, Unreadable> {
    let damaged = |error: serde_json::Error| Unreadable::Damaged(error.to_string());
    let Numbered { form } = serde_json::from_slice(text).map_err(damaged)?;
    if form > known {
        return Err(Unreadable::Newer(form));
    }
    let stored: Stored = serde_json::from_slice(text).map_err(damaged)?;
    if digest_of(&stored.says).map_err(damaged)? != stored.sha256 {
        let why = "it is not what was written".to_owned();
        return Err(Unreadable::Damaged(why));
    }
    serde_json::from_value(stored.says).map_err(damaged)
}
