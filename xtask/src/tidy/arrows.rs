//! Which crate may know which. An arrow that is not listed here is forbidden; adding one is a change
//! of the third kind in CONTRIBUTING.md, and begins in this table.

use super::Finding;
use super::metadata::{Kind, Package};

/// The allowed arrows between crates of the workspace, for what is linked.
const LINKED: [(&str, &[&str]); 9] = [
    ("banger-model", &[]),
    ("banger-linux", &[]),
    (
        "banger-root",
        &["banger-model", "banger-proto", "banger-linux"],
    ),
    ("banger-proto", &["banger-model"]),
    ("banger", &["banger-proto", "banger-model"]),
    ("bangerd", &["banger-proto", "banger-model"]),
    ("banger-agent", &["banger-proto"]),
    (
        "banger-testkit",
        &[
            "banger-model",
            "banger-proto",
            "banger-linux",
            "banger-agent",
            "banger-root",
            "banger",
            "bangerd",
        ],
    ),
    ("xtask", &[]),
];

/// Crates whose tests know no more than they do: what is pure stays so in its tests.
const PURE_IN_TESTS: [&str; 3] = ["banger-model", "banger-proto", "xtask"];

/// Everything from outside that the model may link: no IO, clock, randomness or async can come in.
const MODEL_MAY_LINK: [&str; 2] = ["serde", "thiserror"];

/// Checks all manifests.
pub(crate) fn check(packages: &[Package]) -> Vec<Finding> {
    let ours = |name: &str| packages.iter().any(|package| package.name == name);
    let mut findings = Vec::new();
    for package in packages {
        let Some((_, allowed)) = LINKED.iter().find(|(name, _)| *name == package.name) else {
            findings.push(finding(
                &package.name,
                "the crate is unknown to the table of arrows",
                "add it to xtask/src/tidy/arrows.rs",
            ));
            continue;
        };
        for dependency in package
            .dependencies
            .iter()
            .filter(|dependency| ours(&dependency.name))
        {
            let name = dependency.name.as_str();
            let holds = allowed.contains(&name)
                || (dependency.kind == Kind::Dev
                    && !PURE_IN_TESTS.contains(&package.name.as_str()));
            if !holds {
                let what = format!("{} must not depend on {name}", package.name);
                findings.push(finding(
                    &package.name,
                    &what,
                    "move what is needed to where both may look; see ARCHITECTURE.md",
                ));
            }
        }
        if package.name == "banger-model" {
            findings.extend(impure(package));
        }
        findings.extend(misnamed_tests(package));
    }
    findings
}

fn impure(package: &Package) -> impl Iterator<Item = Finding> {
    let linked = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != Kind::Dev);
    linked
        .filter(|dependency| !MODEL_MAY_LINK.contains(&dependency.name.as_str()))
        .map(|dependency| {
            finding(
                "banger-model",
                &format!("the pure model links {}", dependency.name),
                "do it in the crate that calls the model",
            )
        })
}

fn misnamed_tests(package: &Package) -> impl Iterator<Item = Finding> {
    let tiers = ["t1", "t2", "t3", "t4", "t5"];
    let misnamed = package
        .test_targets
        .iter()
        .filter(move |name| !tiers.contains(&name.as_str()));
    misnamed.map(|name| {
        finding(
            &package.name,
            &format!("no tier runs the test binary '{name}'"),
            "make it a module of tests/t1 … tests/t5",
        )
    })
}

fn finding(name: &str, what: &str, remedy: &str) -> Finding {
    let directory = if name == "xtask" {
        name.to_owned()
    } else {
        format!("crates/{name}")
    };
    Finding::new(&format!("{directory}/Cargo.toml"), None, what, remedy)
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Dependency;
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Kind)]) -> Package {
        let dependencies = dependencies.iter().map(|(name, kind)| Dependency {
            name: (*name).to_owned(),
            requirement: "*".to_owned(),
            kind: *kind,
        });
        Package {
            name: name.to_owned(),
            dependencies: dependencies.collect(),
            test_targets: Vec::new(),
        }
    }

    fn with(extra: Package) -> Vec<Finding> {
        let mut packages: Vec<_> = LINKED.iter().map(|(name, _)| package(name, &[])).collect();
        packages.retain(|present| present.name != extra.name);
        packages.push(extra);
        check(&packages)
    }

    #[test]
    fn the_allowed_arrows_hold() {
        assert!(
            with(package(
                "banger",
                &[("banger-proto", Kind::Normal), ("tokio", Kind::Normal)]
            ))
            .is_empty()
        );
        assert!(with(package("bangerd", &[("banger-testkit", Kind::Dev)])).is_empty());
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_found() {
        assert_eq!(
            with(package("banger-agent", &[("banger-model", Kind::Normal)])).len(),
            1
        );
        assert_eq!(
            with(package("banger", &[("bangerd", Kind::Normal)])).len(),
            1
        );
        assert_eq!(
            with(package("bangerd", &[("banger-testkit", Kind::Normal)])).len(),
            1
        );
        assert_eq!(
            with(package("xtask", &[("banger-model", Kind::Dev)])).len(),
            1
        );
    }

    #[test]
    fn the_model_stays_pure_and_its_tests_may_use_what_they_like() {
        assert_eq!(
            with(package("banger-model", &[("tokio", Kind::Normal)])).len(),
            1
        );
        assert!(
            with(package(
                "banger-model",
                &[("serde", Kind::Normal), ("proptest", Kind::Dev)]
            ))
            .is_empty()
        );
    }

    #[test]
    fn a_new_crate_and_a_test_binary_without_tier_are_found() {
        assert_eq!(with(package("banger-util", &[])).len(), 1);
        let mut cli = package("banger", &[]);
        cli.test_targets = vec!["t3".to_owned(), "smoke".to_owned()];
        assert_eq!(with(cli).len(), 1);
    }
}
