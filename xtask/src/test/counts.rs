//! What test runners say of a run, read from the lines they print. Pure.

/// How many tests passed, failed, and were left out by name (`#[ignore]`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Passed.
    pub(crate) passed: u64,
    /// Failed, crashed or timed out.
    pub(crate) failed: u64,
    /// Not run.
    pub(crate) not_run: u64,
}

/// A line without the colours of a terminal (`ESC [ … letter`).
pub(crate) fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        text.push_str(before);
        rest = after
            .split_once(|c: char| c.is_ascii_alphabetic())
            .map_or("", |(_, tail)| tail);
    }
    text.push_str(rest);
    text
}

/// The counts in nextest's closing line: `Summary [ 0.1s] 3 tests run: 2 passed, 1 failed, 4 skipped`.
/// A cancelled run says `2/3 tests run`; the one that was not reached is not run. Skipped ones are
/// those of other tiers, and are not counted.
pub(crate) fn of_nextest(line: &str) -> Option<Counts> {
    let (_, rest) = line.trim().strip_prefix("Summary [")?.split_once(']')?;
    let (run, results) = rest.split_once(':')?;
    let run = run.split_whitespace().next()?;
    let mut counts = Counts::default();
    if let Some((reached, all)) = run.split_once('/') {
        let all: u64 = all.parse().ok()?;
        counts.not_run = all.saturating_sub(reached.parse().ok()?);
    }
    // `2 passed (1 slow, 1 leaky)`: what stands in brackets is counted before them already.
    for part in outside_brackets(results).split(',') {
        let mut words = part.split_whitespace();
        let number: u64 = words.next()?.parse().ok()?;
        match words.next()? {
            "passed" => counts.passed += number,
            "failed" | "timed" | "exec" => counts.failed += number,
            "skipped" => {}
            _ => return None,
        }
    }
    Some(counts)
}

fn outside_brackets(text: &str) -> String {
    let mut depth = 0_u32;
    let outside = text.chars().filter(|c| match c {
        '(' => {
            depth += 1;
            false
        }
        ')' => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => depth == 0,
    });
    outside.collect()
}

/// The counts in one binary's closing line of the standard runner: `test result: ok. 2 passed; 0
/// failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s`.
pub(crate) fn of_standard(line: &str) -> Option<Counts> {
    let (_, results) = line
        .trim()
        .strip_prefix("test result: ")?
        .split_once(". ")?;
    let mut counts = Counts::default();
    for part in results.split(';') {
        let mut words = part.split_whitespace();
        let Some(Ok(number)) = words.next().map(str::parse::<u64>) else {
            continue;
        };
        match words.next()? {
            "passed" => counts.passed = number,
            "failed" => counts.failed = number,
            "ignored" => counts.not_run = number,
            _ => {}
        }
    }
    Some(counts)
}

/// How many tests of nextest's list in JSON match its filter.
pub(crate) fn listed(json: &str) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let suites = value.get("rust-suites")?.as_object()?.values();
    let tests = suites.filter_map(|suite| suite.get("testcases")?.as_object());
    let matching = tests.flat_map(serde_json::Map::values).filter(|test| {
        let status = test
            .get("filter-match")
            .and_then(|found| found.get("status"));
        status.and_then(serde_json::Value::as_str) == Some("matches")
    });
    u64::try_from(matching.count()).ok()
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.not_run += other.not_run;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u64, failed: u64, not_run: u64) -> Option<Counts> {
        Some(Counts {
            passed,
            failed,
            not_run,
        })
    }

    #[test]
    fn nextest_s_summary_is_read() {
        for (line, expected) in [
            (
                "     Summary [   0.025s] 3 tests run: 3 passed, 0 skipped",
                counts(3, 0, 0),
            ),
            (
                "Summary [1.0s] 1 test run: 1 passed (1 slow), 7 skipped",
                counts(1, 0, 0),
            ),
            (
                "Summary [1.0s] 4 tests run: 1 passed (1 slow, 1 leaky), 1 failed, 2 timed out, 7 skipped",
                counts(1, 3, 0),
            ),
            (
                "Summary [1.0s] 2/5 tests run: 1 passed, 1 exec failed, 0 skipped",
                counts(1, 1, 3),
            ),
            (
                "Summary [0.0s] 0 tests run: 0 passed, 9 skipped",
                counts(0, 0, 0),
            ),
            ("Summary of something else", None),
            ("Summary [1.0s] 1 test run: 1 unheard-of", None),
        ] {
            assert_eq!(of_nextest(line), expected, "{line}");
        }
    }

    #[test]
    fn the_standard_runner_s_result_is_read() {
        let line = "test result: FAILED. 2 passed; 1 failed; 4 ignored; 0 measured; 3 filtered out; finished in 0.00s";
        assert_eq!(of_standard(line), counts(2, 1, 4));
        assert_eq!(of_standard("running 3 tests"), None);
    }

    #[test]
    fn the_tests_that_match_are_counted_in_nextest_s_list() {
        let json = r#"{"test-count":3,"rust-suites":{"a":{"testcases":{
            "x":{"ignored":true,"filter-match":{"status":"matches"}},
            "y":{"ignored":false,"filter-match":{"status":"mismatch","reason":"ignored"}}}},
            "b":{"testcases":{}}}}"#;
        assert_eq!(listed(json), Some(1));
        assert_eq!(listed("{}"), None);
    }

    #[test]
    fn colours_are_taken_off() {
        assert_eq!(
            plain("\u{1b}[32;1m     Summary\u{1b}[0m [x]"),
            "     Summary [x]"
        );
        assert_eq!(plain("none"), "none");
        assert_eq!(plain("cut \u{1b}[3"), "cut ");
    }
}
