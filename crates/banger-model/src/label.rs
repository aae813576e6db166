//! Labels: what people write on a sandbox to find it again. They mean nothing to banger.
//!
//! The rules are those of Kubernetes' label keys and Docker's values, bounded so that a thousand
//! sandboxes with all their labels still make a list that is read at once.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::{fmt, str::FromStr};

/// The longest key, in characters (all of them ASCII): a DNS prefix and a name, as `example.com/role`.
pub const LONGEST_KEY: usize = 128;
/// The longest value, in bytes.
pub const LONGEST_VALUE: usize = 256;
/// The most labels that one sandbox has.
pub const MOST: usize = 64;

/// The key of a label: 1 to [`LONGEST_KEY`] characters of `a`–`z`, `A`–`Z`, `0`–`9`, `.`, `-`, `_` and
/// `/`, with a letter or digit at either end; so neither `=` nor a last `-` can belong to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LabelKey(String);

/// The value of a label: at most [`LONGEST_VALUE`] bytes of text in one line; may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LabelValue(String);

/// Labels of one sandbox, each key once.
pub type Labels = BTreeMap<LabelKey, LabelValue>;

/// A label as it is written: `KEY=VALUE`, or `KEY` with an empty value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its key.
    pub key: LabelKey,
    /// Its value.
    pub value: LabelValue,
}

/// A change of labels as it is written: a [`Label`] that is set, or `KEY-` for one that is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LabelChange {
    /// It is there afterwards, with this value.
    Set(Label),
    /// It is not there afterwards.
    Remove(LabelKey),
}

/// Why a label was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLabel {
    /// Not what a key may be.
    #[error(
        "{key:?} is no key of a label: use 1 to {LONGEST_KEY} letters, digits, '.', '-', '_' and '/', \
         with a letter or digit at either end"
    )]
    Key {
        /// What was given.
        key: String,
    },
    /// A value that is too long.
    #[error("the value of a label has {length} bytes: at most {LONGEST_VALUE} are allowed")]
    Long {
        /// Its length in bytes.
        length: usize,
    },
    /// A value with control characters in it.
    #[error("the value {value:?} of a label has a control character in it: use text in one line")]
    Control {
        /// What was given.
        value: String,
    },
    /// More labels than a sandbox may have.
    #[error("{count} labels are too many: a sandbox has at most {MOST}")]
    Many {
        /// How many it would have.
        count: usize,
    },
}

impl FromStr for LabelKey {
    type Err = BadLabel;
    fn from_str(key: &str) -> Result<Self, BadLabel> {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
        let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let fits = key.len() <= LONGEST_KEY && key.chars().all(inner);
        if fits && end(key.chars().next()) && end(key.chars().next_back()) {
            return Ok(Self(key.to_owned()));
        }
        Err(BadLabel::Key {
            key: key.to_owned(),
        })
    }
}

impl FromStr for LabelValue {
    type Err = BadLabel;
    fn from_str(value: &str) -> Result<Self, BadLabel> {
        if value.len() > LONGEST_VALUE {
            return Err(BadLabel::Long {
                length: value.len(),
            });
        }
        if value.chars().any(char::is_control) {
            return Err(BadLabel::Control {
                value: value.to_owned(),
            });
        }
        Ok(Self(value.to_owned()))
    }
}

impl FromStr for Label {
    type Err = BadLabel;
    fn from_str(text: &str) -> Result<Self, BadLabel> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        Ok(Self {
            key: key.parse()?,
            value: value.parse()?,
        })
    }
}

impl FromStr for LabelChange {
    type Err = BadLabel;
    fn from_str(text: &str) -> Result<Self, BadLabel> {
        match text.strip_suffix('-') {
            Some(key) if !text.contains('=') => Ok(Self::Remove(key.parse()?)),
            _ => Ok(Self::Set(text.parse()?)),
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value.as_str() {
            "" => write!(f, "{}", self.key),
            value => write!(f, "{}={value}", self.key),
        }
    }
}

impl fmt::Display for LabelChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(label) => write!(f, "{label}"),
            Self::Remove(key) => write!(f, "{key}-"),
        }
    }
}

impl TryFrom<String> for LabelChange {
    type Error = BadLabel;
    fn try_from(text: String) -> Result<Self, BadLabel> {
        text.parse()
    }
}

impl From<LabelChange> for String {
    fn from(change: LabelChange) -> Self {
        change.to_string()
    }
}

macro_rules! text_form {
    ($($name:ty),+) => {
        $(
            impl $name {
                /// As text.
                #[must_use]
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }
            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }
            impl TryFrom<String> for $name {
                type Error = BadLabel;
                fn try_from(text: String) -> Result<Self, BadLabel> {
                    text.parse()
                }
            }
            impl From<$name> for String {
                fn from(text: $name) -> Self {
                    text.0
                }
            }
        )+
    };
}
text_form!(LabelKey, LabelValue);

/// What labels are after changes, done one after the other. Removing one that is not there is a
/// success.
///
/// # Errors
/// [`BadLabel::Many`].
pub fn change(labels: &Labels, changes: &[LabelChange]) -> Result<Labels, BadLabel> {
    let mut labels = labels.clone();
    for change in changes.iter().cloned() {
        match change {
            LabelChange::Set(Label { key, value }) => {
                labels.insert(key, value);
            }
            LabelChange::Remove(key) => {
                labels.remove(&key);
            }
        }
    }
    check(&labels)?;
    Ok(labels)
}

/// Whether labels are few enough for one sandbox.
///
/// # Errors
/// [`BadLabel::Many`].
pub fn check(labels: &Labels) -> Result<(), BadLabel> {
    match labels.len() {
        ..=MOST => Ok(()),
        count => Err(BadLabel::Many { count }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn changes(texts: &[&str]) -> Vec<LabelChange> {
        texts
            .iter()
            .map(|text| text.parse().expect("a change"))
            .collect()
    }

    fn shown(labels: &Labels) -> String {
        let texts = labels.iter().map(|(key, value)| format!("{key}={value}"));
        texts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_label_is_a_key_with_or_without_a_value() {
        for (text, key, value) in [
            ("role=web", "role", "web"),
            ("ci", "ci", ""),
            ("ci=", "ci", ""),
            ("example.com/team_a=x=y z", "example.com/team_a", "x=y z"),
            ("note=größer", "note", "größer"),
        ] {
            let label: Label = text.parse().expect(text);
            assert_eq!((label.key.as_str(), label.value.as_str()), (key, value));
            assert_eq!(label.to_string(), text.trim_end_matches('='));
        }
    }

    #[test]
    fn keys_and_values_that_would_break_a_line_or_a_change_are_refused() {
        let long_key = "k".repeat(LONGEST_KEY + 1);
        let long_value = format!("k={}", "v".repeat(LONGEST_VALUE + 1));
        for text in [
            "",
            "=v",
            "-k",
            "k.",
            "/k",
            "a b=c",
            "ä=1",
            "k=a\nb",
            "k=\u{1b}[31m",
            "k-=v",
            &long_key,
            &long_value,
        ] {
            assert!(text.parse::<Label>().is_err(), "{text:?}");
        }
        assert!("k".repeat(LONGEST_KEY).parse::<LabelKey>().is_ok());
        assert!("v".repeat(LONGEST_VALUE).parse::<LabelValue>().is_ok());
    }

    #[test]
    fn changes_set_and_remove_one_after_the_other() {
        let before = change(&Labels::new(), &changes(&["role=web", "ci"])).expect("few");
        let after = change(&before, &changes(&["role=db", "ci-", "none-", "a=1"])).expect("few");
        assert_eq!(shown(&after), "a=1 role=db");
        let again = change(&after, &changes(&["a-", "a=2"])).expect("few");
        assert_eq!(shown(&again), "a=2 role=db");
    }

    #[test]
    fn a_sandbox_has_no_more_labels_than_allowed() {
        let all: Vec<LabelChange> = (0..=MOST)
            .map(|number| format!("k{number}").parse().expect("a label"))
            .collect();
        let most = change(&Labels::new(), &all[..MOST]).expect("as many as allowed");
        assert_eq!(
            change(&most, &all[MOST..]),
            Err(BadLabel::Many { count: MOST + 1 })
        );
        // One that goes makes room for one that comes.
        assert!(change(&most, &changes(&["k0-", "new"])).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_taken_reads_back_as_it_was(text in "\\PC{0,40}") {
            if let Ok(change) = text.parse::<LabelChange>() {
                prop_assert_eq!(change.to_string().parse(), Ok(change));
            }
        }
    }
}
