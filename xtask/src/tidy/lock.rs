//! What Cargo.lock may and must not hold: banned crates, floors, exact pins.

use super::Finding;
use super::metadata::Package;

/// Crates that may not come in by any way, tests and build scripts included.
const BANNED: [(&str, &str); 4] = [
    ("aws-lc-sys", "one TLS provider: ring"),
    ("openssl-sys", "one TLS provider: ring"),
    ("bindgen", "it needs libclang on every builder's machine"),
    ("rustables", "it is under the GPL"),
];

/// Parsers of hostile input that had advisories: the oldest versions without a known one.
const FLOORS: [(&str, [u64; 3]); 4] = [
    ("tar", [0, 4, 46]),
    ("hickory-proto", [0, 26, 1]),
    ("rustls", [0, 23, 45]),
    ("russh", [0, 60, 1]),
];

/// Crates that promise nothing between versions: only an exact requirement is safe.
const PINNED: [&str; 1] = ["mkext4"];

/// Checks the lock file's text and the manifests' pins.
pub(crate) fn check(lock: &str, packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, name, version) in entries(lock) {
        if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            findings.push(Finding::new(
                "Cargo.lock",
                Some(line),
                format!("{name} is banned: {why}"),
                format!("`cargo tree -i {name}` shows who brings it"),
            ));
        }
        if let Some((_, floor)) = FLOORS.iter().find(|(floored, _)| *floored == name)
            && numbers(version) < *floor
        {
            let [major, minor, patch] = floor;
            let wanted = format!("{major}.{minor}.{patch}");
            findings.push(Finding::new(
                "Cargo.lock",
                Some(line),
                format!("{name} {version} is older than {wanted}"),
                format!("`cargo update -p {name}`"),
            ));
        }
    }
    let all = packages
        .iter()
        .flat_map(|package| package.dependencies.iter());
    for dependency in all.filter(|dependency| PINNED.contains(&dependency.name.as_str())) {
        if !dependency.requirement.starts_with('=') {
            let name = &dependency.name;
            findings.push(Finding::new(
                "Cargo.toml",
                None,
                format!("{name} is not pinned exactly"),
                "write its version with '='",
            ));
        }
    }
    findings
}

/// Line (from 1), name and version of each package in a lock file.
fn entries(lock: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    let lines = lock.lines().zip(lock.lines().skip(1)).enumerate();
    lines.filter_map(|(index, (first, second))| {
        let name = first.strip_prefix("name = \"")?.strip_suffix('"')?;
        let version = second.strip_prefix("version = \"")?.strip_suffix('"')?;
        Some((index + 1, name, version))
    })
}

/// A version's three numbers; what cannot be read counts as 0, the oldest.
fn numbers(version: &str) -> [u64; 3] {
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts = core.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::metadata::{Dependency, Kind};
    use super::*;

    fn lock(name: &str, version: &str) -> String {
        format!("version = 4\n\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
    }

    #[test]
    fn banned_crates_are_found_with_their_line() {
        let found = check(&lock("openssl-sys", "0.9.1"), &[]);
        assert!(
            found[0]
                .to_string()
                .starts_with("Cargo.lock:4: openssl-sys is banned")
        );
        assert!(check(&lock("ring", "0.17.0"), &[]).is_empty());
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(check(&lock("tar", "0.4.9"), &[]).len(), 1);
        assert!(check(&lock("tar", "0.4.46"), &[]).is_empty());
        assert!(check(&lock("tar", "0.10.0"), &[]).is_empty());
        assert_eq!(numbers("1.2.1+spec-1.1.0"), [1, 2, 1]);
    }

    #[test]
    fn a_pin_that_is_not_exact_is_found() {
        let package = |requirement: &str| Package {
            dependencies: vec![Dependency {
                name: "mkext4".to_owned(),
                requirement: requirement.to_owned(),
                kind: Kind::Normal,
            }],
            ..Package::default()
        };
        assert_eq!(check("", &[package("^0.0.3")]).len(), 1);
        assert!(check("", &[package("=0.0.3")]).is_empty());
    }
}
