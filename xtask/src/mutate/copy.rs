//! A copy of the repository that faults can be put into, with build products of its own.

use crate::command::{self, Failure, Outcome};
use crate::workspace;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The copy.
pub(super) struct Copy {
    tree: PathBuf,
    build: PathBuf,
}

impl Copy {
    /// Copies what git tracks or would track. What is the same already is not written again, so that
    /// only what changed is built again.
    pub(super) fn make(root: &Path, directory: &Path) -> Outcome<Self> {
        let copy = Self {
            tree: directory.join("tree"),
            build: directory.join("build"),
        };
        let wanted = files(root)?;
        for path in &wanted {
            let from = root.join(path);
            // Deleted, and not committed yet.
            if !from.is_file() {
                continue;
            }
            let content = fs::read(&from).map_err(|error| Failure::file("read", &from, &error))?;
            copy.put(path, &content)?;
        }
        remove_others(&copy.tree, &copy.tree, &wanted)?;
        Ok(copy)
    }

    fn put(&self, path: &str, content: &[u8]) -> Outcome<()> {
        let to = self.tree.join(path);
        if fs::read(&to).is_ok_and(|present| present == content) {
            return Ok(());
        }
        let above = to.parent().unwrap_or(&self.tree);
        fs::create_dir_all(above)
            .and_then(|()| fs::write(&to, content))
            .map_err(|error| Failure::file("write", &to, &error))
    }

    /// A file's text.
    pub(super) fn read(&self, path: &str) -> Outcome<String> {
        let path = self.tree.join(path);
        fs::read_to_string(&path).map_err(|error| Failure::file("read", &path, &error))
    }

    /// Changes a file.
    pub(super) fn write(&self, path: &str, text: &str) -> Outcome<()> {
        self.put(path, text.as_bytes())
    }

    /// cargo, working in the copy.
    pub(super) fn cargo(&self) -> Command {
        let mut cargo = workspace::cargo();
        cargo
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.build);
        cargo
    }
}

/// The files of the repository, by their paths in it.
pub(super) fn files(root: &Path) -> Outcome<BTreeSet<String>> {
    let mut list = Command::new("git");
    list.current_dir(root).args(["ls-files", "-z"]);
    list.args(["--cached", "--others", "--exclude-standard"]);
    let text = command::capture(&mut list)?;
    let paths = text.split('\0').filter(|path| !path.is_empty());
    Ok(paths.map(str::to_owned).collect())
}

/// Removes files that the repository no longer has: a test among them would still be found.
fn remove_others(tree: &Path, directory: &Path, wanted: &BTreeSet<String>) -> Outcome<()> {
    let failed = |error: &std::io::Error| Failure::file("list", directory, error);
    for entry in fs::read_dir(directory).map_err(|error| failed(&error))? {
        let path = entry.map_err(|error| failed(&error))?.path();
        if path.is_dir() {
            remove_others(tree, &path, wanted)?;
            continue;
        }
        let inside = path.strip_prefix(tree).unwrap_or(&path);
        if !wanted.contains(&*inside.to_string_lossy()) {
            fs::remove_file(&path).map_err(|error| Failure::file("remove", &path, &error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod t1 {
    use super::*;

    #[test]
    fn a_copy_follows_the_repository_and_keeps_what_is_the_same() {
        let place = tempfile::tempdir().expect("a directory");
        let (root, target) = (place.path().join("root"), place.path().join("target"));
        fs::create_dir_all(root.join("src")).expect("made");
        fs::write(root.join("src/kept"), "same").expect("written");
        fs::write(root.join("gone"), "x").expect("written");
        let git = Command::new("git")
            .arg("init")
            .arg("-q")
            .arg(&root)
            .status();
        assert!(git.expect("git").success());
        let copy = Copy::make(&root, &target).expect("copied");
        let written =
            |path: &str| fs::metadata(target.join("tree").join(path)).map(|m| m.modified());
        let before = written("src/kept").expect("there").expect("a time");
        copy.write("gone", "a fault").expect("written");
        assert_eq!(copy.read("gone").expect("there"), "a fault");
        fs::remove_file(root.join("gone")).expect("removed");
        let again = Copy::make(&root, &target).expect("copied");
        assert!(again.read("gone").is_err());
        let after = written("src/kept").expect("there").expect("a time");
        assert_eq!(before, after);
    }
}
