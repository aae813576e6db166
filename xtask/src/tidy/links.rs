//! Links of Markdown files to files of the repository.

use super::Finding;
use std::path::{Component, Path, PathBuf};

/// Checks the links of one file; `exists` answers for a path from the repository's root.
pub(crate) fn check(path: &str, content: &str, exists: impl Fn(&Path) -> bool) -> Vec<Finding> {
    let directory = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut findings = Vec::new();
    let mut in_block = false;
    for (index, line) in content.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        }
        if in_block {
            continue;
        }
        for target in local_targets(line) {
            let found = resolve(directory, target).is_some_and(|file| exists(&file));
            if !found {
                findings.push(Finding::new(
                    path,
                    Some(index + 1),
                    format!("the link to '{target}' leads nowhere"),
                    "name a file of the repository, relative to this one",
                ));
            }
        }
    }
    findings
}

/// The targets of `[text](target)` that are files: without a scheme, without the part after `#`.
/// What stands in code is no link.
fn local_targets(line: &str) -> Vec<&str> {
    let prose = line.split('`').step_by(2);
    let links = prose.flat_map(|text| text.split("](").skip(1));
    let targets = links.filter_map(|rest| rest.split([')', ' ']).next());
    targets
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .filter_map(|target| target.split('#').next())
        .filter(|target| !target.is_empty())
        .collect()
}

/// The path from the root; none when it leaves the repository.
fn resolve(directory: &Path, target: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in directory.join(target).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(line: &str) -> usize {
        check("docs/a.md", line, |path| {
            path == Path::new("docs/b.md") || path == Path::new("README.md")
        })
        .len()
    }

    #[test]
    fn links_are_resolved_from_the_file_they_are_in() {
        assert_eq!(
            broken("see [b](b.md), [b](./b.md#part) and [r](../README.md)"),
            0
        );
        assert_eq!(broken("see [c](c.md) and [b](docs/b.md)"), 2);
    }

    #[test]
    fn a_link_out_of_the_repository_leads_nowhere() {
        assert_eq!(broken("[x](../../b.md) [y](/docs/b.md)"), 2);
    }

    #[test]
    fn other_links_and_code_are_left_alone() {
        assert_eq!(
            broken("[w](https://example.org/x) [h](#here) `[c](c.md)`"),
            0
        );
        assert_eq!(broken("```\n[c](c.md)\n```\n[c](c.md)"), 1);
    }
}
