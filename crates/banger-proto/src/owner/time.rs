//! Moments, in a form that sorts as text and that people read.

use banger_model::snapshot::Tag;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const MS_A_DAY: u64 = 86_400_000;

/// A moment in UTC to the millisecond, written as `2026-11-24T02:13:00.123Z` (RFC 3339).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UtcTime(u64);

/// The text is no such moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as 2026-11-24T02:13:00.123Z")]
pub struct BadTime;

impl UtcTime {
    /// The last that is written with four digits of a year.
    const LAST: u64 = 253_402_300_799_999;

    /// So many milliseconds after the beginning of 1970; what is later than the year 9999 becomes its
    /// end.
    #[must_use]
    pub fn from_ms(ms: u64) -> Self {
        Self(ms.min(Self::LAST))
    }

    /// Milliseconds since the beginning of 1970.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0
    }
}

impl UtcTime {
    /// As a tag, to the second: `20261128-174505`. `None` after the year 9999.
    #[must_use]
    pub fn tag(self) -> Option<Tag> {
        let text = self.to_string();
        let seconds = text.get(..19)?.replace(['-', ':'], "").replace('T', "-");
        seconds.parse().ok()
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0 / MS_A_DAY);
        let ms = self.0 % MS_A_DAY;
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
            ms % 1000
        )
    }
}

/// Year, month and day of a day since 1970: counted in eras of 400 years, which have the same number of
/// days each, in years that begin with March, so that the leap day is their last.
fn civil(day: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    // From the first of March of the year 0.
    let day = day + 719_468;
    let (era, of_era) = (day / ERA, day % ERA);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year + u64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

/// The day since 1970; the inverse of [`civil`].
fn day_of(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = year.checked_sub(u64::from(month <= 2))?;
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day.checked_sub(1)?;
    let (era, of_era) = (year / 400, year % 400);
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    (era * 146_097 + of_era).checked_sub(719_468)
}

impl FromStr for UtcTime {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        let part = |from: usize, to: usize| -> Option<u64> {
            let digits = text.get(from..to)?;
            let all = digits.bytes().all(|byte| byte.is_ascii_digit());
            all.then(|| digits.parse().ok()).flatten()
        };
        let read = || {
            let day = day_of(part(0, 4)?, part(5, 7)?, part(8, 10)?)?;
            let seconds = part(11, 13)? * 3600 + part(14, 16)? * 60 + part(17, 19)?;
            Some(Self(day * MS_A_DAY + seconds * 1000 + part(20, 23)?))
        };
        // Written back it has to be the same: no month 13, no leap second, nothing behind it.
        let time: Option<Self> = read();
        time.filter(|time| time.to_string() == text).ok_or(BadTime)
    }
}

impl TryFrom<String> for UtcTime {
    type Error = BadTime;
    fn try_from(text: String) -> Result<Self, BadTime> {
        text.parse()
    }
}

impl From<UtcTime> for String {
    fn from(time: UtcTime) -> Self {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_moment_is_a_tag_that_says_when() {
        let tag = UtcTime::from_ms(1_795_887_905_999).tag().expect("a tag");
        assert_eq!(tag.as_str(), "20261128-174505");
    }

    #[test]
    fn moments_are_written_as_the_calendar_has_them() {
        // From `date -u -d @SECONDS`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_799, "2000-02-29T23:59:59.000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(UtcTime::from_ms(seconds * 1000).to_string(), text);
        }
        let last = UtcTime::from_ms(u64::MAX);
        assert_eq!(last.to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2026-11-24",
            "2026-13-01T00:00:00.000Z",
            "2026-02-30T00:00:00.000Z",
            "2026-01-00T00:00:00.000Z",
            "2026-01-01T24:00:00.000Z",
            "2026-01-01T00:00:60.000Z",
            "2026-01-01T00:00:00.000",
            "2026-01-01T00:00:00.000Zx",
            "2026-01-01 00:00:00.000Z",
            "0000-01-01T00:00:00.000Z",
            "+026-01-01T00:00:00.000Z",
            "2026-01-01T00:00:00.0é0Z",
        ] {
            assert_eq!(text.parse::<UtcTime>(), Err(BadTime), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_read_back_and_sorts_as_text(a in 0..=UtcTime::LAST, b in 0..=UtcTime::LAST) {
            let (a, b) = (UtcTime::from_ms(a), UtcTime::from_ms(b));
            prop_assert_eq!(a.to_string().parse(), Ok(a));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,32}") {
            let _ = text.parse::<UtcTime>();
        }
    }
}
