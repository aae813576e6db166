//! The one program that runs as root stays small, its dependencies are looked at one by one, and
//! every known attack on such a program is tried.

use super::Finding;
use super::files::Files;
use std::collections::BTreeSet;

/// The crate.
pub(crate) const PACKAGE: &str = "banger-root";
/// Most lines of code: tests, comments and blank lines not counted.
pub(crate) const LINES_MAX: usize = 2500;
/// Its sources.
const SOURCES: &str = "crates/banger-root/src/";
/// What it links, one package in a line. A change of it is a change that is read.
const PACKAGES: &str = "crates/banger-root/packages.txt";
/// The attacks, each with the names of the tests that try it.
const ATTACKS: &str = "docs/known-attacks.md";

/// Compares the committed list with what is linked.
pub(crate) fn packages(files: &Files, linked: &BTreeSet<String>) -> Option<Finding> {
    let committed: BTreeSet<_> = files.text(PACKAGES).unwrap_or_default().lines().collect();
    let linked: BTreeSet<_> = linked.iter().map(|line| line.trim()).collect();
    let added: Vec<_> = linked.difference(&committed).copied().collect();
    let gone: Vec<_> = committed.difference(&linked).copied().collect();
    (!added.is_empty() || !gone.is_empty()).then(|| {
        Finding::new(
            PACKAGES,
            None,
            format!(
                "it is not what {PACKAGE} links: new are [{}], gone are [{}]",
                added.join(", "),
                gone.join(", ")
            ),
            "read what is new, then correct the list",
        )
    })
}

/// The lines of code of the program itself.
pub(crate) fn lines(files: &Files) -> usize {
    let sources = files.all().filter(|(path, _)| is_program(path));
    sources.map(|(_, text)| code_lines(text)).sum()
}

/// Tests are modules of their own, or end a file; the host in memory is for tests.
fn is_program(path: &str) -> bool {
    path.strip_prefix(SOURCES).is_some_and(|rest| {
        rest.ends_with(".rs")
            && !rest
                .split('/')
                .any(|part| part == "simulated" || part == "tests")
            && !rest.ends_with("tests.rs")
    })
}

fn code_lines(text: &str) -> usize {
    let program = text.split("#[cfg(test)]\nmod tests {").next();
    let lines = program.unwrap_or_default().lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

/// Compares the lines with their limit.
pub(crate) fn size(lines: usize) -> Option<Finding> {
    (lines > LINES_MAX).then(|| {
        Finding::new(
            SOURCES,
            None,
            format!("{PACKAGE} has {lines} lines of code, {LINES_MAX} are allowed"),
            "move what needs no root out of it",
        )
    })
}

/// Each attack names a test, and each test that is named exists: in code style, with at least two
/// underscores, as sentences of tests are.
pub(crate) fn attacks(files: &Files) -> Vec<Finding> {
    let Some(text) = files.text(ATTACKS) else {
        return vec![Finding::new(
            ATTACKS,
            None,
            "the list of known attacks does not exist",
            "list them, each with its test",
        )];
    };
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| is_attack(line)) {
        let mut add = |what: String| {
            findings.push(Finding::new(
                ATTACKS,
                Some(index + 1),
                what,
                "name the test that tries the attack",
            ));
        };
        let tests: Vec<_> = named_tests(line).collect();
        if tests.is_empty() {
            add("the attack names no test".to_owned());
        }
        for test in tests.iter().filter(|test| !exists(files, test)) {
            add(format!("there is no test '{test}'"));
        }
    }
    findings
}

/// A row of a table, its head and rule left out.
fn is_attack(line: &str) -> bool {
    line.starts_with("| ") && !line.starts_with("| attack") && !line.starts_with("| -")
}

fn named_tests(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split('`').skip(1).step_by(2);
    code.filter(|name| {
        name.matches('_').count() >= 2
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    })
}

fn exists(files: &Files, test: &str) -> bool {
    let definition = format!("fn {test}(");
    let mut rust = files.all().filter(|(path, _)| path.ends_with(".rs"));
    rust.any(|(_, text)| {
        text.split("#[test]")
            .skip(1)
            .any(|rest| rest.lines().take(6).any(|line| line.contains(&definition)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn the_committed_list_is_compared_in_both_directions() {
        let files = Files::of(&[(PACKAGES, "libc v0.2.1\nserde v1.0.0\n")]);
        assert_eq!(
            packages(&files, &set(&["serde v1.0.0", "libc v0.2.1"])),
            None
        );
        assert!(packages(&files, &set(&["serde v1.0.0"])).is_some());
        let found = packages(
            &files,
            &set(&["serde v1.0.0", "libc v0.2.1", "evil v6.6.6"]),
        )
        .unwrap();
        assert!(
            found
                .to_string()
                .contains("new are [evil v6.6.6], gone are []")
        );
        assert!(packages(&Files::of(&[]), &set(&["libc v0.2.1"])).is_some());
    }

    #[test]
    fn only_code_of_the_program_is_counted() {
        let file = |name: &str| format!("{SOURCES}{name}");
        let text = "//! Words.\n\nfn f() {\n    // why\n    g();\n}\n\n#[cfg(test)]\nmod tests {\n    fn t() {}\n}\n";
        let (program, tests, simulated) =
            (file("a.rs"), file("a/tests.rs"), file("simulated/mod.rs"));
        let files = Files::of(&[
            (&program, text),
            (&tests, text),
            (&simulated, text),
            ("crates/bangerd/src/a.rs", text),
        ]);
        assert_eq!(lines(&files), 3);
        assert_eq!(size(LINES_MAX), None);
        assert!(size(LINES_MAX + 1).is_some());
    }

    #[test]
    fn an_attack_without_a_test_that_exists_is_found() {
        let test = (
            "crates/x/src/a.rs",
            "#[test]\nfn it_is_tried_here() {}\nfn it_is_no_test() {}",
        );
        let check = |row: &str| {
            let page =
                format!("# Attacks\n\n| attack | answer | test |\n| --- | --- | --- |\n{row}\n");
            attacks(&Files::of(&[(ATTACKS, &page), test])).len()
        };
        assert_eq!(check("| one | `SO_PEERCRED` | `it_is_tried_here` |"), 0);
        assert_eq!(check("| one | no | no |"), 1);
        assert_eq!(
            check("| one | no | `it_is_tried_here` and `it_is_tried_nowhere` |"),
            1
        );
        assert_eq!(attacks(&Files::of(&[])).len(), 1);
    }
}
