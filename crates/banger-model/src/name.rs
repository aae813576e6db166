//! Names that people choose. A name is accepted as it is or refused; it is never rewritten.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The name of a sandbox: a DNS label (RFC 1123 section 2.1), because `<name>.vm` is its host name.
///
/// 1 to 63 characters of `a`–`z`, `0`–`9` and `-`, without `-` at either end. At least one letter,
/// so that a name can never be taken for a number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SandboxName(String);

/// The name of an image or a kernel: 1 to 64 characters of `a`–`z`, `A`–`Z`, `0`–`9`, `.`, `-`
/// and `_`, beginning with a letter or digit (so it can be neither an option nor `..`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArtifactName(String);

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing was given.
    #[error("the name is empty: give 1 to {longest} characters")]
    Empty {
        /// The longest name that is allowed, in characters.
        longest: usize,
    },
    /// More characters than allowed.
    #[error("the name {name:?} has {length} characters: at most {longest} are allowed")]
    TooLong {
        /// What was given.
        name: String,
        /// Its length in characters.
        length: usize,
        /// The longest name that is allowed, in characters.
        longest: usize,
    },
    /// A character outside of the allowed set.
    #[error("the name {name:?} has {found:?} in it: use only {allowed}")]
    Character {
        /// What was given.
        name: String,
        /// The first character that is not allowed.
        found: char,
        /// The allowed set, in words.
        allowed: &'static str,
    },
    /// Right characters in the wrong place.
    #[error("the name {name:?} {problem}")]
    Shape {
        /// What was given.
        name: String,
        /// What is wrong, in words.
        problem: &'static str,
    },
}

fn check(
    name: &str,
    longest: usize,
    allowed: &'static str,
    is_allowed: fn(char) -> bool,
) -> Result<(), BadName> {
    let length = name.chars().count();
    if length == 0 {
        return Err(BadName::Empty { longest });
    }
    if let Some(found) = name.chars().find(|c| !is_allowed(*c)) {
        return Err(BadName::Character {
            name: name.to_owned(),
            found,
            allowed,
        });
    }
    if length > longest {
        return Err(BadName::TooLong {
            name: name.to_owned(),
            length,
            longest,
        });
    }
    Ok(())
}

impl FromStr for SandboxName {
    type Err = BadName;

    fn from_str(name: &str) -> Result<Self, BadName> {
        let shape = |problem| BadName::Shape {
            name: name.to_owned(),
            problem,
        };
        check(
            name,
            63,
            "lower-case letters, digits and '-'",
            |c| matches!(c, 'a'..='z' | '0'..='9' | '-'),
        )?;
        if name.starts_with('-') || name.ends_with('-') {
            return Err(shape("begins or ends with '-': a DNS label must not"));
        }
        if !name.chars().any(|c| c.is_ascii_lowercase()) {
            return Err(shape(
                "has no letter in it: add one, so that it cannot be taken for a number",
            ));
        }
        Ok(Self(name.to_owned()))
    }
}

impl FromStr for ArtifactName {
    type Err = BadName;

    fn from_str(name: &str) -> Result<Self, BadName> {
        check(
            name,
            64,
            "letters, digits, '.', '-' and '_'",
            |c| matches!(c, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_'),
        )?;
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(BadName::Shape {
                name: name.to_owned(),
                problem: "does not begin with a letter or digit",
            });
        }
        Ok(Self(name.to_owned()))
    }
}

macro_rules! text_form {
    ($name:ty) => {
        impl $name {
            /// The name as text.
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
            type Error = BadName;
            fn try_from(name: String) -> Result<Self, BadName> {
                name.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}
text_form!(SandboxName);
text_form!(ArtifactName);

/// Words for names that nobody chose: short, easy to say and to tell apart.
const ADJECTIVES: [&str; 16] = [
    "amber", "brisk", "calm", "clever", "eager", "fair", "gentle", "happy", "keen", "lively",
    "lucky", "mellow", "quick", "quiet", "sunny", "witty",
];
const NOUNS: [&str; 16] = [
    "badger", "falcon", "heron", "ibex", "koala", "lemur", "lynx", "marten", "otter", "panda",
    "puffin", "raven", "robin", "stork", "tapir", "wombat",
];

impl SandboxName {
    /// A name for a sandbox whose owner gave none, from random bits; try again on a collision.
    ///
    /// 16 × 16 words × 1,000 numbers: two of a hundred sandboxes collide once in fifty.
    #[must_use]
    pub fn invented(random: u32) -> Self {
        let pick = |words: &'static [&'static str; 16], shift: u32| {
            words
                .get((random >> shift) as usize & 15)
                .copied()
                .unwrap_or("vm")
        };
        let number = (random >> 8) % 1000;
        Self(format!(
            "{}-{}-{number}",
            pick(&ADJECTIVES, 0),
            pick(&NOUNS, 4)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_dns_label_is_a_sandbox_name() {
        for name in ["a", "web", "web-2", "a0", &"a".repeat(63)] {
            assert_eq!(name.parse::<SandboxName>().expect(name).as_str(), name);
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        let long = "a".repeat(64);
        let cases = [
            ("", "empty"),
            ("-web", "begins or ends"),
            ("web-", "begins or ends"),
            ("Web", "'W'"),
            ("web.vm", "'.'"),
            ("wéb", "'é'"),
            ("a b", "' '"),
            ("a\nb", "'\\n'"),
            ("../x", "'.'"),
            ("42", "no letter"),
            (long.as_str(), "at most 63"),
        ];
        for (name, why) in cases {
            let error = name.parse::<SandboxName>().expect_err(name).to_string();
            assert!(error.contains(why), "{name:?}: {error}");
        }
    }

    #[test]
    fn an_artifact_name_is_neither_a_path_nor_an_option() {
        for name in ["debian", "cloud-6.1", "6.12", "A_b.c"] {
            assert!(name.parse::<ArtifactName>().is_ok(), "{name:?}");
        }
        for name in [
            "",
            "..",
            ".hidden",
            "-x",
            "a/b",
            "a b",
            "a\0b",
            &"a".repeat(65),
        ] {
            assert!(name.parse::<ArtifactName>().is_err(), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_name_is_unchanged(text in "\\PC{0,70}") {
            if let Ok(name) = text.parse::<SandboxName>() {
                prop_assert_eq!(name.as_str(), text);
            }
        }

        #[test]
        fn an_invented_name_is_a_name(random: u32) {
            let name = SandboxName::invented(random);
            prop_assert_eq!(name.as_str().parse(), Ok(name.clone()));
        }
    }
}
