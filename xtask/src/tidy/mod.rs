//! `tidy`: the rules of the repository, as a command and as a test. No rule lives only in
//! somebody's memory: one that is written in CONTRIBUTING.md and can be checked is checked here.

mod arrows;
mod budgets;
mod documented;
mod files;
mod glossary;
mod links;
mod lock;
pub(crate) mod metadata;
mod privileged;
mod text;

use crate::command::{self, Failure, Outcome};
use crate::workspace;
use files::Files;
use std::fmt;

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Usage: cargo xtask tidy

Checks the rules of the repository and lists every violation with its place and its remedy: arrows
between crates, budgets of linked crates, banned crates and floors, length of files, documented
environment variables and state paths, unfinished work, paths of one machine, links.
It is a test too: `cargo xtask test T0` runs it.
";

/// One violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// `file` or `file:line`.
    place: String,
    /// What is wrong.
    what: String,
    /// What to do.
    remedy: String,
}

impl Finding {
    /// A violation in a line of a file (counted from 1), or in the whole of it.
    pub(crate) fn new(
        file: &str,
        line: Option<usize>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            place: line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}")),
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  to do: {}", self.place, self.what, self.remedy)
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    command::no_arguments(arguments)?;
    let report = check()?;
    for warning in &report.warnings {
        eprintln!("tidy: note: {warning}");
    }
    for line in &report.figures {
        eprintln!("tidy: {line}");
    }
    if report.findings.is_empty() {
        println!("tidy: no violations");
        return Ok(());
    }
    let list: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    Err(Failure::new(format!(
        "{} violations of the rules:\n{}",
        list.len(),
        list.join("\n")
    )))
}

/// Everything that was found.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<Finding>,
    warnings: Vec<String>,
    figures: Vec<String>,
}

fn check() -> Outcome<Report> {
    let root = workspace::root();
    let files = Files::read(&root)?;
    let packages = metadata::workspace()?;
    let mut report = Report::default();
    let findings = &mut report.findings;
    findings.extend(arrows::check(&packages));
    findings.extend(lock::check(
        files.text("Cargo.lock").unwrap_or_default(),
        &packages,
    ));
    for (binary, limit) in budgets::BUDGETS {
        if packages.iter().any(|package| package.name == binary) {
            let linked = budgets::linked(binary)?;
            report.figures.push(format!(
                "{binary} links {} crates of others, {limit} allowed",
                linked.len()
            ));
            findings.extend(budgets::check(binary, limit, linked.len()));
            if binary == privileged::PACKAGE {
                findings.extend(privileged::packages(&files, &linked));
            }
        }
    }
    let lines = privileged::lines(&files);
    report.figures.push(format!(
        "{} has {lines} lines of code, {} allowed",
        privileged::PACKAGE,
        privileged::LINES_MAX
    ));
    findings.extend(privileged::size(lines));
    findings.extend(privileged::attacks(&files));
    let checkout = root.display().to_string();
    for (path, content) in files.all() {
        findings.extend(text::check(path, content, &checkout));
        if path.ends_with(".md") {
            findings.extend(links::check(path, content, |target| {
                root.join(target).exists()
            }));
        }
    }
    report.warnings.extend(text::long_files(&files));
    findings.extend(documented::check(&files));
    findings.extend(glossary::check(files.text(glossary::FILE)));
    findings.sort();
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_keeps_its_own_rules() {
        run(&[]).map_err(|failure| failure.to_string()).unwrap();
    }

    #[test]
    fn a_finding_shows_its_place_and_its_remedy() {
        let finding = Finding::new("a.rs", Some(7), "it is wrong", "right it");
        assert_eq!(
            finding.to_string(),
            "a.rs:7: it is wrong\n  to do: right it"
        );
    }
}
