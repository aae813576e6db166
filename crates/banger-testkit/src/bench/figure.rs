//! What one figure came to, and what it should have.

use super::statistics::Samples;
use serde_json::{Value, json};
use std::fmt::{self, Write as _};

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds: less is better.
    Milliseconds,
    /// MiB per second: more is better.
    Rate,
    /// MiB: less is better.
    Mebibytes,
    /// So many a second: more is better.
    PerSecond,
}

impl Unit {
    const fn more_is_better(self) -> bool {
        matches!(self, Self::Rate | Self::PerSecond)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Milliseconds => "ms",
            Self::Rate => "MiB/s",
            Self::Mebibytes => "MiB",
            Self::PerSecond => "/s",
        })
    }
}

/// What to reach; both bounds are on medians. A rate must be at least the bound, all else at most.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Goal {
    /// For the ratio to the bare mechanism.
    pub ratio: Option<f64>,
    /// For the figure itself.
    pub value: Option<f64>,
}

/// A figure that was measured, or could not be.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    name: &'static str,
    count: usize,
    p50: f64,
    p99: f64,
    worst: f64,
    unit: Unit,
    bare: Option<f64>,
    goal: Goal,
    /// Why there is nothing of the above but the goal.
    not_run: Option<String>,
}

impl Figure {
    /// A time, a size, or so many a second, with the bare mechanism's where there is one. The p99 is
    /// what 99 % of the runs reach: where more is better, the first percentile. The worst is what all reach.
    #[must_use]
    pub fn new(name: &'static str, unit: Unit, ours: &Samples, bare: Option<&Samples>) -> Self {
        Self {
            name,
            count: ours.count(),
            p50: ours.median(),
            p99: ours.percentile(if unit.more_is_better() { 1 } else { 99 }),
            worst: ours.percentile(if unit.more_is_better() { 0 } else { 100 }),
            unit,
            bare: bare.map(Samples::median),
            goal: Goal::default(),
            not_run: None,
        }
    }

    /// One that needs what this machine has not, with the reason and how to get it.
    #[must_use]
    pub fn not_run(name: &'static str, unit: Unit, why: String) -> Self {
        Self {
            name,
            count: 0,
            p50: f64::NAN,
            p99: f64::NAN,
            worst: f64::NAN,
            unit,
            bare: None,
            goal: Goal::default(),
            not_run: Some(why),
        }
    }

    /// The rate of `mib` MiB in each of these times in milliseconds. Its p99 is the rate of the p99
    /// of times: what 99 % of the runs reach.
    #[must_use]
    pub fn rate(name: &'static str, mib: f64, ours: &Samples, bare: Option<&Samples>) -> Self {
        let rate = |ms: f64| mib / ms * 1000.0;
        Self {
            p50: rate(ours.median()),
            p99: rate(ours.percentile(99)),
            worst: rate(ours.percentile(100)),
            bare: bare.map(|bare| rate(bare.median())),
            ..Self::new(name, Unit::Rate, ours, None)
        }
    }

    /// The same with what to reach.
    #[must_use]
    pub const fn with_goal(mut self, ratio: Option<f64>, value: Option<f64>) -> Self {
        self.goal = Goal { ratio, value };
        self
    }

    /// How many times the bare mechanism it is.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        self.bare.map(|bare| self.p50 / bare)
    }

    /// The goal in words; `None` for a figure that only explains another.
    #[must_use]
    pub fn goal(&self) -> Option<String> {
        let sign = if self.unit.more_is_better() {
            '≥'
        } else {
            '≤'
        };
        let ratio = self.goal.ratio.map(|bound| format!("{sign} {bound} ×"));
        let value = self.goal.value;
        let value = value.map(|bound| format!("{sign} {bound} {}", self.unit));
        let bounds: Vec<String> = ratio.into_iter().chain(value).collect();
        (!bounds.is_empty()).then(|| bounds.join(" and "))
    }

    /// Whether the goal is reached; `None` without one, and for what was not run. A ratio that has no bare
    /// mechanism reaches nothing.
    #[must_use]
    pub fn holds(&self) -> Option<bool> {
        if self.not_run.is_some() {
            return None;
        }
        let within = |value: f64, bound: f64| {
            if self.unit.more_is_better() {
                value >= bound
            } else {
                value <= bound
            }
        };
        let ratio = self
            .goal
            .ratio
            .map(|bound| self.ratio().is_some_and(|ratio| within(ratio, bound)));
        let value = self.goal.value.map(|bound| within(self.p50, bound));
        match (ratio, value) {
            (None, None) => None,
            (ratio, value) => Some(ratio.unwrap_or(true) && value.unwrap_or(true)),
        }
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "n": self.count, "p50": rounded(self.p50), "p99": rounded(self.p99),
            "worst": rounded(self.worst), "unit": self.unit.to_string(), "ratio": self.ratio().map(rounded),
            "goal": self.goal(), "ok": self.holds(), "not_run": self.not_run,
        })
    }

    fn row(&self) -> [String; 10] {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let holds = match self.not_run {
            Some(_) => Some("not run"),
            None => self.holds().map(|holds| if holds { "yes" } else { "NO" }),
        };
        [
            self.name.into(),
            self.count.to_string(),
            short(self.p50),
            short(self.p99),
            short(self.worst),
            self.unit.to_string(),
            or_none(self.bare.map(short)),
            or_none(self.ratio().map(|ratio| format!("{} ×", short(ratio)))),
            or_none(self.goal()),
            or_none(holds.map(str::to_owned)),
        ]
    }
}

/// Three decimals: microseconds of milliseconds.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Three figures that count.
fn short(value: f64) -> String {
    match value.abs() {
        none if none.is_nan() => "-".into(),
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The figures as a list of `{name, n, p50, p99, worst, unit, ratio, goal, ok, not_run}`.
#[must_use]
pub fn json(figures: &[Figure]) -> String {
    let list = Value::Array(figures.iter().map(Figure::json).collect());
    format!("{list:#}\n")
}

const HEAD: [&str; 10] = [
    "FIGURE", "N", "P50", "P99", "WORST", "UNIT", "BARE", "RATIO", "GOAL", "HOLDS",
];

/// The figures as a table for people, and under it why some were not run.
#[must_use]
pub fn table(figures: &[Figure]) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(figures.iter().map(Figure::row));
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; 10] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).enumerate();
        let line: Vec<String> = cells
            .map(|(column, (cell, width))| match column {
                1..=4 | 6 | 7 => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            })
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    for figure in figures {
        if let Some(why) = &figure.not_run {
            let _ = writeln!(text, "{} was not run: {why}", figure.name);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        Samples::new(values.to_vec()).expect("some")
    }

    fn time(ours: &[f64], bare: &[f64]) -> Figure {
        let (ours, bare) = (samples(ours), samples(bare));
        Figure::new("start.agent", Unit::Milliseconds, &ours, Some(&bare))
    }

    #[test]
    fn a_time_holds_when_neither_bound_is_exceeded() {
        let figure = time(&[20.0, 22.0, 90.0], &[10.0, 10.0]);
        assert_eq!(figure.ratio(), Some(2.2));
        assert_eq!(figure.holds(), None);
        let holds = |ratio, value| figure.clone().with_goal(ratio, value).holds();
        assert_eq!(holds(Some(2.2), Some(22.0)), Some(true));
        assert_eq!(holds(Some(2.1), Some(30.0)), Some(false));
        assert_eq!(holds(Some(10.0), Some(21.0)), Some(false));
        assert_eq!(holds(None, Some(30.0)), Some(true));
    }

    #[test]
    fn a_rate_holds_when_it_is_at_least_the_bound_and_its_tail_is_slow() {
        let (ours, bare) = (samples(&[500.0, 500.0, 1000.0]), samples(&[250.0]));
        let figure = Figure::rate("exec.stdout", 128.0, &ours, Some(&bare));
        assert_eq!(
            (figure.p50, figure.p99, figure.worst),
            (256.0, 128.0, 128.0)
        );
        assert_eq!(figure.ratio(), Some(0.5));
        let with = figure.with_goal(Some(0.5), None);
        assert_eq!(with.goal().as_deref(), Some("≥ 0.5 ×"));
        assert_eq!(with.holds(), Some(true));
        assert_eq!(with.with_goal(Some(0.7), None).holds(), Some(false));
    }

    #[test]
    fn of_so_many_a_second_more_is_better_and_the_tail_is_the_least() {
        let (ours, bare) = (samples(&[100.0, 300.0, 200.0]), samples(&[160.0]));
        let figure = Figure::new("dns.rate", Unit::PerSecond, &ours, Some(&bare));
        assert_eq!(
            (figure.p50, figure.p99, figure.worst),
            (200.0, 100.0, 100.0)
        );
        let with = figure.with_goal(Some(1.25), None);
        assert_eq!(with.goal().as_deref(), Some("≥ 1.25 ×"));
        assert_eq!(with.holds(), Some(true));
        assert_eq!(with.with_goal(Some(1.3), None).holds(), Some(false));
    }

    #[test]
    fn a_goal_for_a_ratio_without_a_bare_mechanism_is_not_reached() {
        let figure = Figure::new("x", Unit::Mebibytes, &samples(&[1.0]), None);
        assert_eq!(figure.with_goal(Some(9.0), None).holds(), Some(false));
    }

    #[test]
    fn the_json_form_has_these_fields_and_null_for_what_there_is_not() {
        let one = time(&[20.0, 22.0], &[10.0]).with_goal(Some(10.0), Some(30.0));
        let two = Figure::new("idle", Unit::Mebibytes, &samples(&[1.23456]), None);
        let read: Value = serde_json::from_str(&json(&[one, two])).expect("JSON");
        let expected = json!([
            {"name": "start.agent", "n": 2, "p50": 20.0, "p99": 22.0, "worst": 22.0, "unit": "ms", "ratio": 2.0,
             "goal": "≤ 10 × and ≤ 30 ms", "ok": true, "not_run": null},
            {"name": "idle", "n": 1, "p50": 1.235, "p99": 1.235, "worst": 1.235, "unit": "MiB", "ratio": null,
             "goal": null, "ok": null, "not_run": null},
        ]);
        assert_eq!(read, expected);
        assert_eq!(json(&[]), "[]\n");
    }

    #[test]
    fn the_table_is_aligned_and_shouts_what_does_not_hold() {
        let one = time(&[1234.5], &[1000.0]).with_goal(Some(1.15), None);
        let text = table(&[one]);
        assert_eq!(
            text,
            "FIGURE       N   P50   P99  WORST  UNIT  BARE   RATIO  GOAL      HOLDS\n\
             start.agent  1  1234  1234   1234  ms    1000  1.23 ×  ≤ 1.15 ×  NO\n"
        );
    }

    #[test]
    fn what_was_not_run_is_neither_reached_nor_missed_and_says_why() {
        let figure = Figure::not_run("x", Unit::Milliseconds, "no network".into());
        let figure = figure.with_goal(Some(0.1), None);
        assert_eq!((figure.ratio(), figure.holds()), (None, None));
        let read: Value = serde_json::from_str(&json(std::slice::from_ref(&figure))).expect("JSON");
        let expected = json!([
            {"name": "x", "n": 0, "p50": null, "p99": null, "worst": null, "unit": "ms", "ratio": null,
             "goal": "≤ 0.1 ×", "ok": null, "not_run": "no network"},
        ]);
        assert_eq!(read, expected);
        assert_eq!(
            table(&[figure]),
            "FIGURE  N  P50  P99  WORST  UNIT  BARE  RATIO  GOAL     HOLDS\n\
             x       0    -    -      -  ms       -      -  ≤ 0.1 ×  not run\n\
             x was not run: no network\n"
        );
    }
}
