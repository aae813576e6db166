//! Small things in words: sizes, ages, text of unknown origin.

pub use banger_model::size::show_bytes;
use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

/// Text that may come from a guest, fit for a terminal: control characters, which could move the
/// cursor or write into the clipboard, and direction marks are shown as `�`.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_harmful) {
        let replace = |c| if is_harmful(c) { '\u{fffd}' } else { c };
        text.chars().map(replace).collect::<String>().into()
    } else {
        text.into()
    }
}

/// Control characters (Unicode category Cc) and the marks that turn the direction of text.
pub(super) fn is_harmful(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Mebibytes in words.
#[must_use]
pub fn mib(mib: u64) -> String {
    show_bytes(mib.saturating_mul(banger_model::size::MIB))
}

/// Seconds since 1970, now.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// How long ago, in its largest unit: `5s`, `3min`, `2h`, `4d`.
#[must_use]
pub fn age(then: u64, now: u64) -> String {
    match now.saturating_sub(then) {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}min", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// `1 sandbox`, `2 sandboxes`.
#[must_use]
pub fn count(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_direction_marks_never_reach_the_terminal() {
        assert_eq!(harmless("plain ü"), "plain ü");
        for evil in [
            "\u{1b}]52;c;AAAA\u{7}",
            "a\rb",
            "\u{9b}31m",
            "a\u{202e}b",
            "a\nb",
        ] {
            assert!(!harmless(evil).chars().any(is_harmful), "{evil:?}");
        }
    }

    #[test]
    fn ages_use_their_largest_unit() {
        let ages = [0, 59, 60, 3599, 3600, 86_399, 86_400, 864_000].map(|age_s| age(0, age_s));
        assert_eq!(
            ages,
            ["0s", "59s", "1min", "59min", "1h", "23h", "1d", "10d"]
        );
        assert_eq!(age(5, 3), "0s");
    }
}
