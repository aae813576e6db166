//! The text files of the repository.

use crate::command::{self, Failure, Outcome};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The content of each text file, by its path in the repository.
#[derive(Debug, Default)]
pub(crate) struct Files(BTreeMap<String, String>);

impl Files {
    /// Reads what git tracks or would track; without git (an unpacked archive) everything but the
    /// build products. What is not UTF-8 is no text and is left out.
    pub(crate) fn read(root: &Path) -> Outcome<Self> {
        let paths = if root.join(".git").exists() {
            tracked(root)?
        } else {
            walk(root)?
        };
        let texts = paths.into_iter().filter_map(|path| {
            let content = std::fs::read_to_string(root.join(&path)).ok()?;
            Some((path, content))
        });
        Ok(Self(texts.collect()))
    }

    /// All files, by path.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_str()))
    }

    /// One file's content.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Files made for a test.
    #[cfg(test)]
    pub(crate) fn of(list: &[(&str, &str)]) -> Self {
        let owned = list
            .iter()
            .map(|(path, content)| ((*path).to_owned(), (*content).to_owned()));
        Self(owned.collect())
    }
}

fn tracked(root: &Path) -> Outcome<Vec<String>> {
    let mut list = Command::new("git");
    list.current_dir(root);
    list.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let text = command::capture(&mut list)?;
    Ok(text
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect())
}

fn walk(root: &Path) -> Outcome<Vec<String>> {
    let mut paths = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let whole = root.join(&directory);
        let entries =
            std::fs::read_dir(&whole).map_err(|error| Failure::file("read", &whole, &error))?;
        for entry in entries.flatten() {
            let path = directory.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && path != Path::new("target") => directories.push(path),
                Ok(kind) if kind.is_file() => paths.push(path.display().to_string()),
                _ => {}
            }
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_git_everything_but_build_products_is_read() {
        let root = tempfile::tempdir().unwrap();
        for directory in ["src", "target"] {
            std::fs::create_dir(root.path().join(directory)).unwrap();
            std::fs::write(root.path().join(directory).join("a.rs"), "text").unwrap();
        }
        std::fs::write(root.path().join("binary"), [0xff, 0xfe]).unwrap();
        let files = Files::read(root.path()).unwrap();
        assert_eq!(files.all().collect::<Vec<_>>(), [("src/a.rs", "text")]);
        assert_eq!(files.text("src/a.rs"), Some("text"));
    }
}
