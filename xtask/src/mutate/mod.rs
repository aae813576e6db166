//! `mutate`: shows that tests can fail. Each mutation of the [`list`] is one deliberate fault in the
//! product; the test that it names must be red with it and green without.
//!
//! Faults are put into a copy of the repository under `target/mutate`, never into the sources: a run
//! that is killed leaves nothing to undo.

mod copy;
mod list;

use crate::command::{Failure, Outcome};
use crate::workspace;
use copy::Copy;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Usage: cargo xtask mutate [WORD...]

Puts one deliberate fault after the other into a copy of the sources and runs the test that must
notice it. With words: only the mutations with one of them in what must hold, the file or the test.
Fails when a test stays green with a fault, or is red without one. The whole list takes three quarters of an hour.
";

/// One deliberate fault.
pub(crate) struct Mutation {
    /// What must hold, and does not with it.
    holds: &'static str,
    /// The file, from the repository's root.
    file: &'static str,
    /// What is replaced: it occurs exactly once in the file.
    from: &'static str,
    /// By what.
    to: &'static str,
    /// The test that must notice: package, cargo's option for its binary, its full name.
    test: Test,
}

/// A test by its full name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Test {
    package: &'static str,
    binary: &'static [&'static str],
    name: &'static str,
}

impl Mutation {
    fn is_meant(&self, words: &[String]) -> bool {
        let texts = [self.holds, self.file, self.test.name];
        let has = |word: &String| texts.iter().any(|text| text.contains(word.as_str()));
        words.is_empty() || words.iter().any(has)
    }

    /// The file's text with the fault in it.
    fn applied(&self, text: &str) -> Outcome<String> {
        match text.matches(self.from).count() {
            1 => Ok(text.replacen(self.from, self.to, 1)),
            count => Err(Failure::new(format!(
                "{}: the text of the mutation against '{}' occurs {count} times",
                self.file, self.holds
            ))
            .remedy("follow the change of the code in xtask/src/mutate/list")),
        }
    }
}

/// What a run of a test came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ran {
    Green,
    Red,
    /// It does not compile, or there is no such test.
    NotAtAll,
}

/// Runs the command.
pub(crate) fn run(arguments: &[String]) -> Outcome<()> {
    if let Some(option) = arguments.iter().find(|word| word.starts_with('-')) {
        return Err(crate::command::unknown_argument(option));
    }
    let chosen: Vec<_> = list::all().filter(|m| m.is_meant(arguments)).collect();
    if chosen.is_empty() {
        return Err(Failure::new("no mutation has such a word").remedy("give none for all"));
    }
    let copy = Copy::make(&workspace::root(), &workspace::target().join("mutate"))?;
    require_green(&copy, &chosen)?;
    let mut stayed = Vec::new();
    for mutation in &chosen {
        let begin = Instant::now();
        let ran = try_out(&copy, mutation)?;
        report(mutation, ran, begin.elapsed());
        if ran != Ran::Red {
            stayed.push(mutation.holds);
        }
    }
    println!(
        "{} of {} seen red",
        chosen.len() - stayed.len(),
        chosen.len()
    );
    if stayed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("not noticed: {}", stayed.join("; ")))
        .remedy("make the test stricter, or the mutation one that matters"))
}

fn report(mutation: &Mutation, ran: Ran, took: Duration) {
    let verdict = match ran {
        Ran::Red => "red  ",
        Ran::Green => "GREEN",
        Ran::NotAtAll => "BUILD",
    };
    let seconds = took.as_secs();
    println!(
        "{verdict} {seconds:>4} s  {} [{}]",
        mutation.holds, mutation.test.name
    );
}

/// Without a fault every test must be green, or its red would say nothing.
fn require_green(copy: &Copy, chosen: &[&Mutation]) -> Outcome<()> {
    let mut tests: Vec<Test> = chosen.iter().map(|mutation| mutation.test).collect();
    tests.sort_unstable();
    tests.dedup();
    for test in tests {
        let (ran, said) = run_test(copy, test)?;
        if ran != Ran::Green {
            let name = test.name;
            return Err(Failure::new(format!(
                "{name} is {ran:?} without any fault\n{said}"
            )));
        }
    }
    Ok(())
}

fn try_out(copy: &Copy, mutation: &Mutation) -> Outcome<Ran> {
    let original = copy.read(mutation.file)?;
    copy.write(mutation.file, &mutation.applied(&original)?)?;
    let outcome = run_test(copy, mutation.test);
    copy.write(mutation.file, &original)?;
    let (ran, said) = outcome?;
    if ran == Ran::NotAtAll {
        eprintln!("{said}");
    }
    Ok(ran)
}

/// The exit status of nextest for tests that ran and did not pass, a hang that it ended included
/// (nextest-metadata, `NextestExitCode`).
const TEST_RUN_FAILED: i32 = 100;

/// Builds what the test runs, and runs it; what it said. A test of the whole product needs all its
/// programs; cargo builds those of the package itself. A fault may make a test hang: nextest ends it.
fn run_test(copy: &Copy, test: Test) -> Outcome<(Ran, String)> {
    let mut programs = copy.cargo();
    programs.args(["build", "--quiet", "--bins"]);
    for package in ["banger", "bangerd", "banger-testkit"] {
        programs.args(["--package", package]);
    }
    let selection = [&["--package", test.package], test.binary].concat();
    let mut build = copy.cargo();
    build.args(["nextest", "run", "--no-run"]).args(&selection);
    let needs_programs = test.package == "banger-testkit";
    for command in needs_programs
        .then_some(&mut programs)
        .into_iter()
        .chain([&mut build])
    {
        // Its warnings, of code that a fault leaves unused, are not the matter here.
        if let Err(failure) = crate::command::capture(command) {
            return Ok((Ran::NotAtAll, failure.to_string()));
        }
    }
    let mut run = copy.cargo();
    let name = format!("test(={})", test.name);
    run.args(["nextest", "run"]).args(&selection);
    run.args(["--no-tests", "fail", "-E", &name]);
    let output = run.stdin(Stdio::null()).output();
    let output = output.map_err(|error| crate::command::not_started(&run, &error))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let ran = match output.status.code() {
        Some(0) => Ran::Green,
        Some(TEST_RUN_FAILED) => Ran::Red,
        _ => Ran::NotAtAll,
    };
    Ok((ran, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutation_still_fits_its_file_and_changes_it() {
        for mutation in list::all() {
            let path = workspace::root().join(mutation.file);
            let text = std::fs::read_to_string(&path).expect(mutation.file);
            let applied = mutation.applied(&text).unwrap_or_else(|f| panic!("{f}"));
            assert_ne!(applied, text, "{}", mutation.holds);
        }
    }

    #[test]
    fn every_test_that_is_named_is_there() {
        let sources = copy::files(&workspace::root()).expect("listed");
        let rust = sources.iter().filter(|path| path.ends_with(".rs"));
        let all: Vec<_> = rust
            .filter(|path| !path.starts_with("xtask/"))
            .map(|path| {
                let text = std::fs::read_to_string(workspace::root().join(path));
                (path, text.expect("readable"))
            })
            .collect();
        for Mutation { test, .. } in list::all() {
            let name = test.name.rsplit("::").next().expect("a name");
            let marks = [format!("fn {name}("), format!("{name}:")];
            let package = format!("crates/{}/", test.package);
            let mut its = all.iter().filter(|(path, _)| path.starts_with(&package));
            let found = |text: &String| marks.iter().any(|mark| text.contains(mark));
            let is_there = its.any(|(_, text)| found(text));
            assert!(is_there, "no test {name} in {package}");
        }
    }

    #[test]
    fn words_choose_and_a_mutation_that_does_not_fit_is_refused() {
        let first = list::all().next().expect("some");
        assert!(first.is_meant(&[]) && first.is_meant(&[first.file.to_owned()]));
        assert!(!first.is_meant(&["no such word".to_owned()]));
        assert!(first.applied("").is_err());
        assert!(first.applied(&first.from.repeat(2)).is_err());
    }
}
