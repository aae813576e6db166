//! The workspace as `cargo metadata` describes it, reduced to what the rules need.

use crate::command::{self, Failure, Outcome};
use crate::workspace;
use serde_json::Value;

/// What a dependency is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Linked.
    Normal,
    /// For tests.
    Dev,
    /// For a build script.
    Build,
}

/// One line of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The crate's name.
    pub(crate) name: String,
    /// The version requirement.
    pub(crate) requirement: String,
    /// What it is for.
    pub(crate) kind: Kind,
}

/// One crate of the workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its manifest's lines.
    pub(crate) dependencies: Vec<Dependency>,
    /// The names of its integration test binaries.
    pub(crate) test_targets: Vec<String>,
}

/// The crates of the workspace.
pub(crate) fn workspace() -> Outcome<Vec<Package>> {
    let mut metadata = workspace::cargo();
    metadata.args(["metadata", "--format-version", "1", "--no-deps"]);
    parse(&command::capture(&mut metadata)?)
}

fn parse(text: &str) -> Outcome<Vec<Package>> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Failure::new(format!("cannot read cargo's metadata: {error}")))?;
    let packages = value.get("packages").and_then(Value::as_array);
    let packages = packages.ok_or_else(|| Failure::new("cargo's metadata names no packages"))?;
    Ok(packages.iter().map(package).collect())
}

fn package(value: &Value) -> Package {
    let is_test = |target: &&Value| {
        let kinds = list(target, "kind");
        kinds.iter().any(|kind| kind.as_str() == Some("test"))
    };
    Package {
        name: string(value, "name"),
        dependencies: list(value, "dependencies").iter().map(dependency).collect(),
        test_targets: list(value, "targets")
            .iter()
            .filter(is_test)
            .map(|target| string(target, "name"))
            .collect(),
    }
}

fn dependency(value: &Value) -> Dependency {
    Dependency {
        name: string(value, "name"),
        requirement: string(value, "req"),
        kind: match value.get("kind").and_then(Value::as_str) {
            Some("dev") => Kind::Dev,
            Some("build") => Kind::Build,
            _ => Kind::Normal,
        },
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn string(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_with_their_dependencies_and_tests() {
        let text = r#"{"packages":[{"name":"a","dependencies":[
            {"name":"b","req":"=1.0","kind":null},{"name":"c","req":"*","kind":"dev"}],
            "targets":[{"name":"a","kind":["lib"]},{"name":"t1","kind":["test"]}]}]}"#;
        let packages = parse(text).unwrap();
        assert_eq!(packages[0].dependencies[0].kind, Kind::Normal);
        assert_eq!(packages[0].dependencies[1].kind, Kind::Dev);
        assert_eq!(packages[0].test_targets, ["t1"]);
    }

    #[test]
    fn what_is_not_metadata_is_refused() {
        assert!(parse("{").is_err() && parse("{}").is_err());
    }
}
