//! Writing JSON: as much of it as rules need. The model links no serialiser of its own.

use std::fmt;

/// A JSON value to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json {
    /// `null`.
    Null,
    /// A whole number.
    Number(i32),
    /// A string.
    Text(String),
    /// `[…]`.
    List(Vec<Json>),
    /// `{…}`, in the order given.
    Object(Vec<(&'static str, Json)>),
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i32> for Json {
    fn from(number: i32) -> Self {
        Self::Number(number)
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

/// `{key: value}`.
pub(super) fn object(key: &'static str, value: impl Into<Json>) -> Json {
    Json::Object(vec![(key, value.into())])
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write_text(f, text),
            Self::List(list) => {
                f.write_str("[")?;
                for (index, value) in list.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (index, (key, value)) in members.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { "," })?;
                    write_text(f, key)?;
                    write!(f, ":{value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

/// A string with its quotes (RFC 8259, section 7).
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if u32::from(c) < 0x20 => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_written_without_white_space() {
        let value = object("a", vec![Json::Null, Json::from(-300), object("b", "c")]);
        assert_eq!(value.to_string(), r#"{"a":[null,-300,{"b":"c"}]}"#);
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text: String) {
            let written = Json::from(text.as_str()).to_string();
            prop_assert_eq!(serde_json::from_str::<String>(&written).ok(), Some(text));
        }
    }
}
