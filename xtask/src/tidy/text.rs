//! Rules about one file's text: length, names, unfinished work, paths of one machine, ignored tests.

use super::Finding;
use super::files::Files;

/// A Rust file longer than this is split, tests included.
const CEILING: usize = 500;
/// From here on a file is named in a note.
const LONG: usize = 300;
/// Files that are made by a tool or are somebody else's text.
const NOT_OURS: [&str; 2] = ["Cargo.lock", "LICENSE"];
/// Module names that say nothing about what is inside, and so attract everything.
const EMPTY_NAMES: [&str; 7] = [
    "util", "utils", "common", "helper", "helpers", "misc", "manager",
];
/// User names in examples of documentation.
const EXAMPLE_USERS: [&str; 4] = ["user", "me", "you", "dev"];

/// Checks one file. `checkout` is the absolute path of the repository on this machine.
pub(crate) fn check(path: &str, content: &str, checkout: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if NOT_OURS.contains(&path) {
        return findings;
    }
    let is_rust = path.ends_with(".rs");
    let length = content.lines().count();
    if is_rust && length > CEILING {
        findings.push(Finding::new(
            path,
            None,
            format!("it has {length} lines, {CEILING} are allowed"),
            "split it where its description has an 'and'",
        ));
    }
    let stem = path
        .rsplit('/')
        .next()
        .and_then(|name| name.strip_suffix(".rs"));
    if stem.is_some_and(|stem| EMPTY_NAMES.contains(&stem)) {
        findings.push(Finding::new(
            path,
            None,
            "its name does not say what it provides",
            "name it for what is in it",
        ));
    }
    for (index, line) in content.lines().enumerate() {
        let number = Some(index + 1);
        if let Some(mark) = unfinished(line) {
            findings.push(Finding::new(
                path,
                number,
                format!("unfinished work is marked with {mark}"),
                "finish it, or open an issue and say what holds today",
            ));
        }
        if let Some(foreign) = machine_path(line, checkout) {
            findings.push(Finding::new(
                path,
                number,
                format!("{foreign} is a path of one machine"),
                "take it from the environment, or use an example's path",
            ));
        }
        if is_rust && line.trim() == "#[ignore]" {
            findings.push(Finding::new(
                path,
                number,
                "a test is ignored without a reason",
                "write #[ignore = \"reason\"]",
            ));
        }
    }
    findings
}

/// A note for each long Rust file.
pub(crate) fn long_files(files: &Files) -> Vec<String> {
    let rust = files.all().filter(|(path, _)| path.ends_with(".rs"));
    let lengths = rust.map(|(path, content)| (path, content.lines().count()));
    lengths
        .filter(|(_, length)| (LONG + 1..=CEILING).contains(length))
        .map(|(path, length)| format!("{path} has {length} lines"))
        .collect()
}

/// The mark of unfinished work in a line. The marks are put together here, so that this file does
/// not break its own rule.
fn unfinished(line: &str) -> Option<&'static str> {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
        concat!("unimple", "mented!"),
    ];
    marks.into_iter().find(|mark| {
        line.match_indices(mark).any(|(at, _)| {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            let after = line
                .get(at + mark.len()..)
                .and_then(|text| text.chars().next());
            let in_word =
                |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
            !in_word(before) && (mark.ends_with('!') || !in_word(after))
        })
    })
}

/// A path in a line that exists on a developer's machine only: the checkout itself, a home directory
/// but an example's, or root's tool directories. `/root` and what else lies in it is the work
/// disk of every guest, and is meant.
fn machine_path(line: &str, checkout: &str) -> Option<String> {
    // A checkout at a path like `/src` would be found in every other path.
    if checkout.matches('/').count() > 1 && line.contains(checkout) {
        return Some(checkout.to_owned());
    }
    for tools in [concat!("/root/", ".cargo"), concat!("/root/", ".rustup")] {
        if line.contains(tools) {
            return Some(tools.to_owned());
        }
    }
    for top in [concat!("/ho", "me/"), concat!("/wo", "rk/")] {
        for (at, _) in line.match_indices(top) {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            if before.is_some_and(|c| c.is_alphanumeric() || "._-~/}>*".contains(c)) {
                continue;
            }
            let rest = line.get(at + top.len()..).unwrap_or_default();
            let name: String = rest
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c))
                .collect();
            if !name.is_empty() && !EXAMPLE_USERS.contains(&name.as_str()) {
                return Some(format!("{top}{name}"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKOUT: &str = "/some/where/banger";

    #[test]
    fn a_file_over_the_ceiling_is_found_and_a_long_one_noted() {
        let (long, too_long) = ("x\n".repeat(301), "x\n".repeat(501));
        assert!(check("a.rs", &long, CHECKOUT).is_empty());
        assert_eq!(check("a.rs", &too_long, CHECKOUT).len(), 1);
        assert!(check("a.md", &too_long, CHECKOUT).is_empty());
        let notes = long_files(&Files::of(&[
            ("a.rs", &long),
            ("b.rs", "x"),
            ("c.rs", &too_long),
        ]));
        assert_eq!(notes, ["a.rs has 301 lines"]);
    }

    #[test]
    fn marks_of_unfinished_work_are_found_as_words_only() {
        let mark = concat!("TO", "DO");
        for (line, found) in [
            (format!("// {mark}: later"), true),
            (mark.to_owned(), true),
            (format!("M{mark}S"), false),
            (concat!("op-X", "XX", "XX").to_owned(), false),
            (concat!("unimple", "mented!()").to_owned(), true),
            ("unimplemented = \"deny\"".to_owned(), false),
        ] {
            assert_eq!(unfinished(&line).is_some(), found, "{line}");
        }
    }

    #[test]
    fn paths_of_one_machine_are_found_and_those_of_guests_and_examples_are_not() {
        let (home, work, cargo) = (
            concat!("/ho", "me/"),
            concat!("/wo", "rk/"),
            concat!("/root/", ".cargo/bin"),
        );
        for (line, found) in [
            (format!("cd {home}anna/src"), true),
            (format!("cd {home}user/src"), false),
            (format!("cd {home}"), false),
            (format!("\"{work}main\""), true),
            (format!("$HOME{work}main"), false),
            (format!("./net{work}x"), false),
            (format!("PATH={cargo}"), true),
            (
                "the work disk is at /root, a file at /root/notes.txt".to_owned(),
                false,
            ),
            ("in /some/where/banger/crates".to_owned(), true),
        ] {
            assert_eq!(machine_path(&line, CHECKOUT).is_some(), found, "{line}");
        }
    }

    #[test]
    fn an_ignored_test_needs_a_reason() {
        assert_eq!(check("a.rs", "    #[ignore]\n", CHECKOUT).len(), 1);
        assert!(check("a.rs", "#[ignore = \"issue 7\"]\n", CHECKOUT).is_empty());
    }

    #[test]
    fn an_empty_name_is_found_and_generated_files_are_passed_over() {
        assert_eq!(check("crates/a/src/util.rs", "", CHECKOUT).len(), 1);
        assert!(check("Cargo.lock", concat!("# TO", "DO"), CHECKOUT).is_empty());
    }
}
