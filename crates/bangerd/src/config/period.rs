//! Lengths of time as people write them: a number of seconds, or `30min`, `2h`, `1h30min`.

use serde::Deserialize;
use std::time::Duration;

/// As it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Written {
    /// Seconds.
    Seconds(i64),
    /// With units.
    Text(String),
}

/// It is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give a number of seconds, or a time as 90s, 30min, 2h, 1h30min or 1d")]
pub(super) struct Bad;

/// Units with their seconds, the longest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400), ("h", 3600), ("min", 60), ("m", 60), ("s", 1)];

impl Written {
    pub(super) fn read(&self) -> Result<Duration, Bad> {
        match self {
            Self::Seconds(seconds) => u64::try_from(*seconds)
                .map(Duration::from_secs)
                .map_err(|_| Bad),
            Self::Text(text) => read(text),
        }
    }
}

/// Numbers, each with its unit; a number alone is seconds.
fn read(text: &str) -> Result<Duration, Bad> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let (mut rest, mut sum) = (text, 0_u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(Bad)?;
        let (number, behind) = rest.split_at_checked(digits).ok_or(Bad)?;
        let letters = behind
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(letters).ok_or(Bad)?;
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(Bad)?;
        let part = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*seconds));
        sum = part.and_then(|part| sum.checked_add(part)).ok_or(Bad)?;
        rest = behind;
    }
    (!text.is_empty())
        .then_some(Duration::from_secs(sum))
        .ok_or(Bad)
}

/// In the largest unit that it is a whole number of: `30 min`, `90 s`.
#[must_use]
pub fn show(time: Duration) -> String {
    let seconds = time.as_secs();
    let whole = |(_, unit): &&(&str, u64)| seconds > 0 && seconds.is_multiple_of(*unit);
    let (name, unit) = UNITS.iter().find(whole).unwrap_or(&("s", 1));
    format!("{} {name}", seconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_with_and_without_units() {
        for (text, seconds) in [
            ("0", 0),
            ("90", 90),
            ("90s", 90),
            ("30min", 1800),
            ("30m", 1800),
            ("2h", 7200),
            ("1h30min", 5400),
            ("1d", 86_400),
        ] {
            assert_eq!(read(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "h",
            "-1",
            "1w",
            "1.5h",
            "1h30",
            "1 h",
            "99999999999999999d",
            "é",
            "1hé",
        ] {
            assert_eq!(read(text), Err(Bad), "{text}");
        }
    }

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let shown = [0, 90, 1800, 5400, 7200, 86_400].map(|s| show(Duration::from_secs(s)));
        assert_eq!(shown, ["0 s", "90 s", "30 min", "90 min", "2 h", "1 d"]);
    }

    proptest! {
        #[test]
        fn what_is_told_reads_back(seconds in 0_u64..10_000_000, any in ".{0,20}") {
            let time = Duration::from_secs(seconds);
            prop_assert_eq!(read(&show(time).replace(' ', "")), Ok(time));
            let _ = read(&any);
        }
    }
}
