//! Filters: which sandboxes a verb is about. The only place that decides what a filter matches.
//!
//! | filter | matches |
//! |---|---|
//! | `label=KEY` | a sandbox that has the label, whatever its value |
//! | `label=KEY=VALUE` | one whose label has this value |
//! | `state=STATE` | one in this state |
//! | `image=PATTERN` | one of such an image |
//! | `name=PATTERN` | one with such a name |
//!
//! In a pattern `*` stands for any characters and `?` for one. Of several filters each kind must
//! match: all that are about labels, and one of those about the same of the rest (as Docker has it).

use crate::SandboxState;
use crate::label::{BadLabel, LabelKey, LabelValue};
use std::collections::BTreeMap;
use std::{fmt, str::FromStr};

/// One filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// It has this label, with this value if one is given.
    Label(LabelKey, Option<LabelValue>),
    /// It is in this state.
    State(SandboxState),
    /// Its image's name fits.
    Image(Pattern),
    /// Its name fits.
    Name(Pattern),
}

/// A pattern: `*` is any number of characters, `?` is one, all others stand for themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

/// What of a sandbox filters are about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it is in its life.
    pub state: SandboxState,
    /// The name of its image.
    pub image: &'a str,
    /// Its labels, as a daemon shows them: perhaps one with other rules for them.
    pub labels: &'a BTreeMap<String, String>,
}

/// Why a filter was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    /// No such kind, or nothing behind it.
    #[error(
        "{text:?} is no filter: give label=KEY[=VALUE], state=STATE, image=PATTERN or name=PATTERN"
    )]
    Form {
        /// What was given.
        text: String,
    },
    /// A label that no sandbox can have.
    #[error(transparent)]
    Label(#[from] BadLabel),
    /// A state that there is not.
    #[error("{word:?} is no state: give one of {}", SandboxState::ALL.map(SandboxState::word).join(", "))]
    State {
        /// What was given.
        word: String,
    },
}

impl FromStr for Filter {
    type Err = BadFilter;
    fn from_str(text: &str) -> Result<Self, BadFilter> {
        let form = || BadFilter::Form {
            text: text.to_owned(),
        };
        let (kind, value) = text.split_once('=').ok_or_else(form)?;
        if value.is_empty() {
            return Err(form());
        }
        Ok(match kind {
            "label" => match value.split_once('=') {
                Some((key, value)) => Self::Label(key.parse()?, Some(value.parse()?)),
                None => Self::Label(value.parse()?, None),
            },
            "state" => Self::State(value.parse().map_err(|_| BadFilter::State {
                word: value.to_owned(),
            })?),
            "image" => Self::Image(Pattern(value.to_owned())),
            "name" => Self::Name(Pattern(value.to_owned())),
            _ => return Err(form()),
        })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(key, None) => write!(f, "label={key}"),
            Self::Label(key, Some(value)) => write!(f, "label={key}={value}"),
            Self::State(state) => write!(f, "state={state}"),
            Self::Image(pattern) => write!(f, "image={}", pattern.0),
            Self::Name(pattern) => write!(f, "name={}", pattern.0),
        }
    }
}

impl Pattern {
    /// Whether a text fits as a whole. Takes no longer than the product of both lengths.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut seen) = (0, 0);
        // Where the last star is, and how much of the text it has taken.
        let mut star = None;
        while seen < text.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, seen));
                    at += 1;
                }
                Some(c) if *c == '?' || text.get(seen) == Some(c) => {
                    at += 1;
                    seen += 1;
                }
                _ => {
                    let Some((star_at, taken)) = star else {
                        return false;
                    };
                    star = Some((star_at, taken + 1));
                    (at, seen) = (star_at + 1, taken + 1);
                }
            }
        }
        pattern.iter().skip(at).all(|c| *c == '*')
    }
}

impl Filter {
    fn fits(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::Label(key, wanted) => subject.labels.get(key.as_str()).is_some_and(|value| {
                wanted
                    .as_ref()
                    .is_none_or(|wanted| wanted.as_str() == value)
            }),
            Self::State(state) => subject.state == *state,
            Self::Image(pattern) => pattern.fits(subject.image),
            Self::Name(pattern) => pattern.fits(subject.name),
        }
    }
}

/// Whether a sandbox matches filters; without any, every one does.
#[must_use]
pub fn matches(filters: &[Filter], subject: &Subject<'_>) -> bool {
    let one_of = |is_such: fn(&Filter) -> bool| {
        let mut such = filters.iter().filter(|filter| is_such(filter)).peekable();
        such.peek().is_none() || such.any(|filter| filter.fits(subject))
    };
    let mut labels = filters
        .iter()
        .filter(|filter| matches!(filter, Filter::Label(..)));
    labels.all(|filter| filter.fits(subject))
        && one_of(|filter| matches!(filter, Filter::State(_)))
        && one_of(|filter| matches!(filter, Filter::Image(_)))
        && one_of(|filter| matches!(filter, Filter::Name(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filters(texts: &[&str]) -> Vec<Filter> {
        let read = |text: &&str| text.parse().unwrap_or_else(|error| panic!("{error}"));
        texts.iter().map(read).collect()
    }

    fn web(texts: &[&str]) -> bool {
        let labels = [("role", "web"), ("ci", ""), ("note", "a=b")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let subject = Subject {
            name: "web-1",
            state: SandboxState::Stopped,
            image: "debian-12",
            labels: &labels,
        };
        matches(&filters(texts), &subject)
    }

    #[test]
    fn each_kind_matches_what_it_says() {
        assert!(web(&[]));
        for text in [
            "label=role",
            "label=role=web",
            "label=ci",
            "label=ci=",
            "label=note=a=b",
            "state=stopped",
            "image=debian*",
            "image=debian-12",
            "name=web-?",
            "name=*",
        ] {
            assert!(web(&[text]), "{text}");
        }
        for text in [
            "label=rol",
            "label=role=",
            "label=role=we",
            "label=role=web2",
            "state=running",
            "image=debian",
            "name=web",
            "name=?eb",
            "name=WEB-1",
        ] {
            assert!(!web(&[text]), "{text}");
        }
    }

    #[test]
    fn all_labels_must_match_and_one_of_each_other_kind() {
        assert!(web(&["label=role=web", "label=ci"]));
        assert!(!web(&["label=role=web", "label=other"]));
        assert!(web(&["state=created", "state=stopped"]));
        assert!(web(&["name=x*", "name=web*", "image=d*"]));
        assert!(!web(&["name=web*", "image=x*"]));
        assert!(!web(&["state=stopped", "label=other"]));
    }

    #[test]
    fn what_is_no_filter_is_refused_with_the_choices() {
        for text in [
            "", "role", "=x", "label=", "state=", "labels=x", "id=3", "name=",
        ] {
            let error = text.parse::<Filter>().expect_err(text).to_string();
            assert!(error.contains("label=KEY[=VALUE]"), "{error}");
        }
        let state = "state=runing".parse::<Filter>().expect_err("none");
        assert!(state.to_string().contains("running, stopping"), "{state}");
        assert!("label=-x".parse::<Filter>().is_err());
    }

    #[test]
    fn a_pattern_of_stars_takes_no_longer_than_its_length_allows() {
        let pattern = Pattern("*a".repeat(200));
        assert!(!pattern.fits(&"a".repeat(199)));
        assert!(pattern.fits(&"ab".repeat(300).replace('b', "a")));
    }

    /// The same, by the definition.
    fn fits_by_definition(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => {
                (0..=text.len()).any(|taken| fits_by_definition(rest, &text[taken..]))
            }
            Some((c, rest)) => text.split_first().is_some_and(|(first, after)| {
                (*c == '?' || c == first) && fits_by_definition(rest, after)
            }),
        }
    }

    proptest! {
        #[test]
        fn patterns_match_by_their_definition(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = fits_by_definition(&chars(&pattern), &chars(&text));
            prop_assert_eq!(Pattern(pattern).fits(&text), expected);
        }

        #[test]
        fn what_is_taken_reads_back_as_it_was(text in "(label|state|image|name)=\\PC{0,20}") {
            if let Ok(filter) = text.parse::<Filter>() {
                prop_assert_eq!(filter.to_string().parse(), Ok(filter));
            }
        }
    }
}
