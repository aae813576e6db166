//! A kernel in a directory: one of `/lib/modules`, a build's output, or what a package unpacked to.

use super::{
    KernelError,
    source_files::{Content, MOST_BYTES, MOST_FILES, SourceFiles, belongs_to_modules},
};
use crate::disks::DiskError;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Deepest directory of a module tree that is looked into.
const DEEPEST: usize = 32;

fn problem(directory: &Path, problem: impl Into<String>) -> KernelError {
    KernelError::Source {
        path: directory.to_owned(),
        problem: problem.into(),
    }
}

/// Names in a directory, in order; none for one that is not there.
fn names(directory: &Path) -> Result<Vec<String>, DiskError> {
    let listed = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(DiskError::io("list", directory))?,
    };
    let mut names = Vec::new();
    for entry in listed {
        let entry = entry.map_err(DiskError::io("list", directory))?;
        // A name that is not text cannot be one that is looked for.
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// The file or directory that a path means, links followed; none if that leaves the root.
fn inside(root: &Path, path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().ok()?;
    real.starts_with(root).then_some(real)
}

fn is_image_name(name: &str) -> bool {
    matches!(name, "vmlinuz" | "vmlinux" | "bzImage")
        || name.starts_with("vmlinuz-")
        || name.starts_with("vmlinux-")
}

/// The one kernel image in the directory or its `boot`: of several, the one without a version in
/// its name, which is where distributions put the current one.
fn find_image(root: &Path) -> Result<PathBuf, KernelError> {
    let mut found = Vec::new();
    for directory in [root.to_owned(), root.join("boot")] {
        let names = names(&directory)?
            .into_iter()
            .filter(|name| is_image_name(name));
        let paths =
            names.filter_map(|name| inside(root, &directory.join(&name)).map(|real| (name, real)));
        found.extend(paths.filter(|(_, path)| path.is_file()));
        if !found.is_empty() {
            break;
        }
    }
    if let Some((_, path)) = found.iter().find(|(name, _)| !name.contains('-')) {
        return Ok(path.clone());
    }
    match found.as_slice() {
        [(_, path)] => Ok(path.clone()),
        [] => Err(problem(
            root,
            "it has no vmlinuz, vmlinux or bzImage in it (a link to one outside does not count)",
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| name.as_str()).collect();
            Err(problem(
                root,
                format!("it has more than one kernel: {}", names.join(", ")),
            ))
        }
    }
}

/// Where the modules are, and the version that the directory is named for.
fn find_modules(root: &Path) -> Result<Option<(PathBuf, Option<String>)>, KernelError> {
    let is_tree = |path: &Path| {
        path.join("modules.builtin").is_file()
            || path.join("modules.order").is_file()
            || path.join("modules.dep").is_file()
            || path.join("kernel").is_dir()
    };
    if is_tree(root) {
        return Ok(Some((root.to_owned(), None)));
    }
    for above in ["lib/modules", "usr/lib/modules"] {
        let above = root.join(above);
        let trees = names(&above)?.into_iter().filter_map(|name| {
            let path = inside(root, &above.join(&name))?;
            is_tree(&path).then_some((path, Some(name)))
        });
        let mut trees: Vec<_> = trees.collect();
        if trees.len() > 1 {
            return Err(problem(&above, "it has modules of more than one kernel"));
        }
        if let Some(tree) = trees.pop() {
            return Ok(Some(tree));
        }
    }
    let modules = inside(root, &root.join("modules")).filter(|path| path.is_dir());
    Ok(modules.map(|path| (path, None)))
}

/// Lists the files of a module tree.
fn list_tree(root: &Path, top: &Path) -> Result<BTreeMap<String, Content>, KernelError> {
    let mut files = BTreeMap::new();
    let mut bytes = 0_u64;
    let mut directories = vec![(String::new(), 0)];
    while let Some((prefix, depth)) = directories.pop() {
        for name in names(&top.join(&prefix))? {
            let path = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}/{name}")
            };
            let Some(real) = inside(root, &top.join(&path)).filter(|_| belongs_to_modules(&path))
            else {
                continue;
            };
            let is_link = real.as_path() != top.join(&path);
            let found = real.metadata().map_err(DiskError::io("read", &real))?;
            // A link to a directory could lead in a circle.
            if found.is_dir() && !is_link && depth < DEEPEST {
                directories.push((path, depth + 1));
            } else if found.is_file() {
                bytes = bytes.saturating_add(found.len());
                files.insert(path, Content::part(real, 0, found.len()));
            }
        }
        if files.len() + directories.len() > MOST_FILES || bytes > MOST_BYTES {
            return Err(problem(
                top,
                "it has too many files or bytes for a module tree",
            ));
        }
    }
    Ok(files)
}

/// Finds the kernel and the modules in a directory.
pub(super) fn collect(directory: &Path) -> Result<SourceFiles, KernelError> {
    let root = directory
        .canonicalize()
        .map_err(DiskError::io("open", directory))?;
    if !root.is_dir() {
        return Err(problem(directory, "it is not a directory"));
    }
    let image = find_image(&root)?;
    let (modules, modules_version) = match find_modules(&root)? {
        Some((tree, version)) => (list_tree(&root, &tree)?, version),
        None => (BTreeMap::new(), None),
    };
    Ok(SourceFiles {
        modules,
        modules_version,
        ..single(&image)?
    })
}

/// A kernel image alone.
pub(super) fn single(image: &Path) -> Result<SourceFiles, KernelError> {
    let found = image.metadata().map_err(DiskError::io("open", image))?;
    if !found.is_file() {
        return Err(problem(image, "it is not a file"));
    }
    Ok(SourceFiles {
        image: Content::part(image.to_owned(), 0, found.len()),
        image_name: image.display().to_string(),
        modules: BTreeMap::new(),
        modules_version: None,
    })
}

#[cfg(test)]
mod tests {
    mod t1 {
        use super::super::*;
        use std::os::unix::fs::symlink;

        /// Makes files, and the directories above them.
        fn tree(files: &[&str]) -> tempfile::TempDir {
            let place = tempfile::tempdir().expect("a directory");
            for file in files {
                let path = place.path().join(file);
                fs::create_dir_all(path.parent().expect("has one")).expect("is made");
                fs::write(path, *file).expect("writes");
            }
            place
        }

        fn modules(files: &SourceFiles) -> Vec<&str> {
            files.modules.keys().map(String::as_str).collect()
        }

        #[test]
        fn a_directory_of_lib_modules_is_a_kernel() {
            let place = tree(&[
                "vmlinuz",
                "modules.builtin",
                "kernel/a.ko",
                "build/x.h",
                "System.map",
            ]);
            let found = collect(place.path()).expect("is found");
            assert!(found.image_name.ends_with("/vmlinuz"));
            assert_eq!(modules(&found), ["kernel/a.ko", "modules.builtin"]);
            assert_eq!(found.modules_version, None);
        }

        #[test]
        fn an_unpacked_package_is_a_kernel() {
            let place = tree(&["boot/vmlinuz-6.1", "lib/modules/6.1/kernel/a.ko"]);
            let found = collect(place.path()).expect("is found");
            assert!(found.image_name.ends_with("/vmlinuz-6.1"));
            assert_eq!(modules(&found), ["kernel/a.ko"]);
            assert_eq!(found.modules_version.as_deref(), Some("6.1"));
        }

        #[test]
        fn modules_may_lie_in_a_directory_of_that_name_or_be_absent() {
            let place = tree(&["vmlinux", "modules/a.ko"]);
            assert_eq!(modules(&collect(place.path()).expect("is found")), ["a.ko"]);
            let place = tree(&["bzImage"]);
            assert!(modules(&collect(place.path()).expect("is found")).is_empty());
        }

        #[test]
        fn links_that_leave_the_directory_are_ignored() {
            let outside = tree(&["vmlinuz", "secret.ko"]);
            let place = tree(&["kernel/a.ko"]);
            symlink(outside.path().join("vmlinuz"), place.path().join("vmlinuz")).expect("links");
            let error = collect(place.path()).expect_err("has none of its own");
            assert!(error.to_string().contains("it has no vmlinuz"), "{error}");
            fs::write(place.path().join("vmlinuz-1"), "").expect("writes");
            symlink(
                outside.path().join("secret.ko"),
                place.path().join("kernel/b.ko"),
            )
            .expect("links");
            symlink("a.ko", place.path().join("kernel/c.ko")).expect("links");
            symlink("..", place.path().join("kernel/circle")).expect("links");
            let found = collect(place.path()).expect("is found");
            assert_eq!(modules(&found), ["kernel/a.ko", "kernel/c.ko"]);
        }

        #[test]
        fn of_several_kernels_only_the_current_one_is_taken() {
            let place = tree(&["vmlinuz-1", "vmlinuz-2"]);
            let error = collect(place.path()).expect_err("is unclear");
            assert!(
                error.to_string().contains("vmlinuz-1, vmlinuz-2"),
                "{error}"
            );
            symlink("vmlinuz-2", place.path().join("vmlinuz")).expect("links");
            let found = collect(place.path()).expect("is clear");
            assert!(found.image_name.ends_with("vmlinuz-2"));
        }

        #[test]
        fn what_is_not_there_is_named() {
            let place = tree(&["file"]);
            assert!(collect(&place.path().join("absent")).is_err());
            assert!(collect(&place.path().join("file")).is_err());
            assert!(single(place.path()).is_err());
            let two = tree(&[
                "vmlinux",
                "lib/modules/1/modules.dep",
                "lib/modules/2/modules.dep",
            ]);
            assert!(collect(two.path()).is_err());
        }
    }
}
