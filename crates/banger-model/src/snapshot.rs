//! What a snapshot is called.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The longest tag, in characters.
const LONGEST: usize = 63;

/// What one snapshot of a sandbox is called: 1 to 63 characters of `a`–`z`, `0`–`9`, `.`, `-` and `_`,
/// beginning with a letter or digit. So it is neither an option nor a hidden name, and what has the name of a
/// directory that is still being made cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

/// Why a tag was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTag {
    /// Nothing was given.
    #[error("the tag is empty: give 1 to {LONGEST} characters")]
    Empty,
    /// More characters than allowed.
    #[error("the tag {tag:?} has {length} characters: at most {LONGEST} are allowed")]
    TooLong {
        /// What was given.
        tag: String,
        /// Its length in characters.
        length: usize,
    },
    /// A character outside of the allowed set.
    #[error(
        "the tag {tag:?} has {found:?} in it: use only lower-case letters, digits, '.', '-' and '_'"
    )]
    Character {
        /// What was given.
        tag: String,
        /// The first character that is not allowed.
        found: char,
    },
    /// It begins with what no tag begins with.
    #[error("the tag {tag:?} does not begin with a letter or digit")]
    Beginning {
        /// What was given.
        tag: String,
    },
}

impl FromStr for Tag {
    type Err = BadTag;

    fn from_str(text: &str) -> Result<Self, BadTag> {
        let tag = text.to_owned();
        let Some(first) = text.chars().next() else {
            return Err(BadTag::Empty);
        };
        let is_plain = |c: char| matches!(c, 'a'..='z' | '0'..='9');
        let is_allowed = |c: char| is_plain(c) || matches!(c, '.' | '-' | '_');
        if let Some(found) = text.chars().find(|c| !is_allowed(*c)) {
            return Err(BadTag::Character { tag, found });
        }
        let length = text.chars().count();
        if length > LONGEST {
            return Err(BadTag::TooLong { tag, length });
        }
        if !is_plain(first) {
            return Err(BadTag::Beginning { tag });
        }
        Ok(Self(tag))
    }
}

impl Tag {
    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Tag {
    type Error = BadTag;
    fn try_from(text: String) -> Result<Self, BadTag> {
        text.parse()
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_numbers_and_dates_are_tags() {
        let long = "a".repeat(63);
        for tag in [
            "a",
            "1",
            "before-upgrade",
            "v1.2_3",
            "20261128-174500",
            &long,
        ] {
            assert_eq!(tag.parse::<Tag>().expect(tag).as_str(), tag);
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        let long = "a".repeat(64);
        let cases = [
            ("", "empty"),
            (".hidden", "begin"),
            ("..", "begin"),
            ("-x", "begin"),
            ("_x", "begin"),
            ("Before", "'B'"),
            ("a/b", "'/'"),
            ("a b", "' '"),
            ("a\0", "'\\0'"),
            ("é", "'é'"),
            (long.as_str(), "at most 63"),
        ];
        for (tag, why) in cases {
            let error = tag.parse::<Tag>().expect_err(tag).to_string();
            assert!(error.contains(why), "{tag:?}: {error}");
        }
    }

    #[test]
    fn a_stored_tag_is_judged_like_a_given_one() {
        let tag: Tag = serde_json::from_str("\"one\"").expect("a tag");
        assert_eq!(serde_json::to_string(&tag).expect("text"), "\"one\"");
        serde_json::from_str::<Tag>("\"../one\"").expect_err("a path");
    }

    proptest! {
        #[test]
        fn an_accepted_tag_is_unchanged_and_one_part_of_a_path(text in "\\PC{0,70}") {
            if let Ok(tag) = text.parse::<Tag>() {
                prop_assert_eq!(tag.as_str(), &text);
                prop_assert!(!text.starts_with('.') && !text.contains('/'));
            }
        }
    }
}
