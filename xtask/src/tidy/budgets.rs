//! How many crates of others each binary links.
//!
//! What is counted: distinct packages (name and version) that end up in the binary on Linux x86-64,
//! as `cargo tree --edges normal,no-proc-macro` lists them. Proc-macros and what only they need run in
//! the compiler, build dependencies in build scripts: neither is code that the user runs. Our own
//! crates are not counted.

use super::{Finding, privileged};
use crate::command::{self, Outcome};
use crate::workspace;
use std::collections::BTreeSet;

/// Each binary's crate and how many it may link.
pub(crate) const BUDGETS: [(&str, usize); 4] = [
    ("banger-agent", 35),
    ("banger", 75),
    ("bangerd", 260),
    (privileged::PACKAGE, 25),
];

/// The platform of the count.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The crates of others that a package links.
pub(crate) fn linked(package: &str) -> Outcome<BTreeSet<String>> {
    let mut tree = workspace::cargo();
    tree.args(["tree", "--package", package, "--target", TARGET]);
    tree.args([
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    Ok(parse(&command::capture(&mut tree)?))
}

/// A line is `name vVERSION`, then `(path)` for a crate of the workspace, then `(*)` for a repetition.
fn parse(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(|line| line.trim_end_matches(" (*)"));
    let others = lines.filter(|line| !line.trim().is_empty() && !line.contains(" (/"));
    others.map(str::to_owned).collect()
}

/// Compares a count with its limit.
pub(crate) fn check(package: &str, limit: usize, linked: usize) -> Option<Finding> {
    (linked > limit).then(|| {
        Finding::new(
            &format!("crates/{package}/Cargo.toml"),
            None,
            format!("{package} links {linked} crates of others, {limit} are allowed"),
            format!("see `cargo tree -p {package} -e normal,no-proc-macro`: trim features or choose a smaller crate"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_counted_once_and_ours_not_at_all() {
        let text = "banger v0.1.0 (/src/crates/banger)\nserde v1.0.1\nserde v1.0.1 (*)\nrand v0.8.0\nrand v0.9.0\n\n";
        let found: Vec<_> = parse(text).into_iter().collect();
        assert_eq!(found, ["rand v0.8.0", "rand v0.9.0", "serde v1.0.1"]);
    }

    #[test]
    fn a_budget_is_a_limit_that_may_be_reached() {
        assert_eq!(check("banger", 75, 75), None);
        assert!(check("banger", 75, 76).is_some());
    }
}
