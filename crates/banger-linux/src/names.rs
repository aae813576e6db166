//! Names of interfaces and tables, and the mark that says whose a link is.

use std::fmt;

/// Longest name of an interface: `IFNAMSIZ` of linux/if.h without its closing zero.
pub const MOST_NAME: usize = 15;
/// Longest mark: `IFALIASZ` of linux/if.h without its closing zero.
pub const MOST_MARK: usize = 255;

/// Why a text is no name or no mark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Its length.
    #[error("'{text}' has {length} bytes, 1 to {most} are allowed")]
    Length {
        /// What was given, at most 64 characters of it.
        text: String,
        /// Its bytes.
        length: usize,
        /// The limit.
        most: usize,
    },
    /// Its characters, or a word with a meaning of its own.
    #[error("'{text}' has characters that are not allowed here, or is a word of the kernel's own")]
    Characters {
        /// What was given.
        text: String,
    },
}

/// The name of an interface that may be created or asked for.
///
/// Stricter than the kernel's `dev_valid_name`: a name becomes a component of a path
/// (`/proc/sys/net`), an argument of a program and a part of rules, and `%` has the kernel choose
/// a number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// Accepts letters, digits, `-`, `_` and `.`, beginning with a letter or digit; not `all` and
    /// `default`, which mean every interface below `/proc/sys/net`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        within(text, MOST_NAME)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !begins || !text.chars().all(fits) || matches!(text, "all" | "default") {
            return Err(characters(text));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is written into the alias of every link that the caller makes (`IFLA_IFALIAS`): a link
/// with another alias, or none, belongs to somebody else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(String);

impl Mark {
    /// Accepts printable ASCII without spaces.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        within(text, MOST_MARK)?;
        if !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(characters(text));
        }
        Ok(Self(text.to_owned()))
    }

    /// The mark.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a table of nftables.
///
/// nft joins its arguments and parses them as one text, in which `;` begins another command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName(String);

impl TableName {
    /// Longest name that is accepted; the kernel's limit is 255 (`NFT_NAME_MAXLEN`).
    pub const MOST: usize = 64;

    /// Accepts letters, digits and `_`, beginning with a letter.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        within(text, Self::MOST)?;
        let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
        if !begins || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(characters(text));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn within(text: &str, most: usize) -> Result<(), InvalidName> {
    if (1..=most).contains(&text.len()) {
        return Ok(());
    }
    Err(InvalidName::Length {
        text: text.chars().take(64).collect(),
        length: text.len(),
        most,
    })
}

fn characters(text: &str) -> InvalidName {
    InvalidName::Characters {
        text: text.escape_debug().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_at_most_fifteen_plain_characters() {
        for good in ["lo", "br-fc", "tap-fc-1000", "eth0.100", "a23456789012345"] {
            assert_eq!(InterfaceName::parse(good).expect(good).as_str(), good);
        }
        for bad in [
            "",
            "a234567890123456",
            ".",
            "..",
            "a/b",
            "a b",
            "tap%d",
            "a:1",
            "all",
            "default",
            "-x",
            "ü",
            "a\n",
            "a\0",
        ] {
            assert!(InterfaceName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn marks_are_printable_and_fit_the_kernel_s_limit() {
        assert!(Mark::parse("banger:0123456789abcdef").is_ok());
        assert!(Mark::parse(&"x".repeat(255)).is_ok());
        for bad in [
            String::new(),
            "x".repeat(256),
            "a b".to_owned(),
            "a\0".to_owned(),
        ] {
            assert!(Mark::parse(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_name_of_a_table_is_one_word_of_nft_s_language() {
        assert_eq!(TableName::parse("banger").expect("fine").as_str(), "banger");
        let long = "t".repeat(65);
        for bad in [
            "",
            "t;",
            "t u",
            "1t",
            "-t",
            "t\nflush ruleset",
            "t\"",
            "$t",
            &long,
        ] {
            assert!(TableName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_error_is_one_bounded_line() {
        let long = InterfaceName::parse(&"n\n".repeat(5000)).expect_err("too long");
        assert!(long.to_string().len() < 200);
        let odd = InterfaceName::parse("a\nb").expect_err("a line end");
        assert_eq!(
            odd.to_string(),
            r"'a\nb' has characters that are not allowed here, or is a word of the kernel's own"
        );
    }
}
