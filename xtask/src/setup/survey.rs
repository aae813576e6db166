//! What is there: programs, distribution, configured package sources. Reads only.

use super::apt_sources::{self, Source};
use super::distribution::{Distribution, Program};
use crate::command;
use crate::workspace;
use std::path::Path;
use std::process::Command;

/// The oldest QEMU that works, as (major, minor).
pub(crate) const OLDEST_QEMU: (u32, u32) = (7, 2);

/// The machine as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// From `/etc/os-release`.
    pub(crate) distribution: Distribution,
    /// What apt is configured with; empty elsewhere.
    pub(crate) sources: Vec<Source>,
    /// The programs that are missing, or are too old to be used.
    pub(crate) missing: Vec<Program>,
    /// Whether this process may install packages.
    pub(crate) root: bool,
}

/// Looks at the machine. With `tests`, also for what only the tests need.
pub(crate) fn survey(tests: bool) -> Survey {
    let root = is_root();
    let needed = Program::ALL.into_iter().filter(|program| {
        (tests || !program.only_for_tests())
            && !(root && program.only_without_root())
            && (root || !program.only_with_root())
    });
    let missing: Vec<Program> = needed.filter(|program| !is_usable(*program)).collect();
    let os_release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    Survey {
        distribution: Distribution::parse(&os_release),
        sources: if missing.is_empty() {
            Vec::new()
        } else {
            configured_sources(Path::new("/etc/apt"))
        },
        missing,
        root,
    }
}

fn is_usable(program: Program) -> bool {
    let Some(path) = workspace::find_program(program.executable()) else {
        return false;
    };
    if program != Program::Qemu {
        return true;
    }
    let said = command::capture(Command::new(path).arg("--version"));
    said.is_ok_and(|text| qemu_version(&text).is_some_and(|version| version >= OLDEST_QEMU))
}

/// The version in the first line of `qemu-system-x86_64 --version`.
fn qemu_version(text: &str) -> Option<(u32, u32)> {
    let mut words = text.lines().next()?.split_whitespace();
    words.find(|word| *word == "version")?;
    let mut parts = words.next()?.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor: String = parts
        .next()?
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    Some((major, minor.parse().ok()?))
}

/// Asked of `id`, which needs no /proc: a bare chroot has none.
pub(crate) fn is_root() -> bool {
    let said = command::capture(Command::new("id").arg("-u"));
    said.is_ok_and(|text| text.trim() == "0")
}

/// Everything apt reads: `sources.list` and the files of `sources.list.d` by their suffix, which
/// is how apt itself tells the two forms apart. What cannot be read is passed over, as apt does not
/// need it to be readable for the plan to be sound: apt has the last word.
fn configured_sources(directory: &Path) -> Vec<Source> {
    let mut files = vec![directory.join("sources.list")];
    if let Ok(entries) = std::fs::read_dir(directory.join("sources.list.d")) {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let mut sources = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        match file.extension().and_then(|suffix| suffix.to_str()) {
            Some("list") => sources.extend(apt_sources::parse_one_line(&text)),
            Some("sources") => sources.extend(apt_sources::parse_deb822(&text)),
            _ => {}
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_qemu_is_read_with_and_without_a_package_name() {
        let debian = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright\n";
        assert_eq!(qemu_version(debian), Some((10, 0)));
        assert_eq!(qemu_version("QEMU emulator version 7.2rc1"), Some((7, 2)));
        assert_eq!(qemu_version("something else"), None);
        assert!((10, 0) > OLDEST_QEMU && (7, 1) < OLDEST_QEMU);
    }

    #[test]
    fn both_forms_of_apt_files_are_read_and_others_are_not() {
        let apt = tempfile::tempdir().unwrap();
        let parts = apt.path().join("sources.list.d");
        std::fs::create_dir(&parts).unwrap();
        std::fs::write(apt.path().join("sources.list"), "deb http://one s main\n").unwrap();
        let stanza = "Types: deb\nURIs: http://two\nSuites: s\nComponents: main\n";
        std::fs::write(parts.join("a.sources"), stanza).unwrap();
        std::fs::write(parts.join("b.list.disabled"), "deb http://three s main\n").unwrap();
        let found = configured_sources(apt.path());
        let uris: Vec<_> = found.iter().flat_map(|source| &source.uris).collect();
        assert_eq!(uris, ["http://one", "http://two"]);
    }

    #[test]
    fn a_machine_without_apt_has_no_sources() {
        assert!(configured_sources(Path::new("/no/such/directory")).is_empty());
    }
}
