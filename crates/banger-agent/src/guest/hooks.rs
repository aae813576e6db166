//! Programs of the image that want to know of a resume.

use crate::root::Root;
use rustix::fs::{Dir, Mode, OFlags};
use std::time::Duration;

/// Where they are.
pub(super) const DIRECTORY: &str = "/etc/banger/on-resume.d";
/// How long each of them may take.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// How many are run.
const MOST: usize = 64;

/// Paths of all executable files in the directory, in order of their names; hidden ones are none.
pub(super) fn survey(root: &Root, directory: &str) -> Vec<String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let opened = root.open(directory.as_bytes(), flags, Mode::empty());
    let Ok(entries) = opened.and_then(Dir::new) else {
        return Vec::new();
    };
    let names = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().to_str().ok()?;
        (!name.starts_with('.')).then(|| format!("{directory}/{name}"))
    });
    let mut paths: Vec<_> = names.filter(|path| is_executable(root, path)).collect();
    paths.sort();
    paths.truncate(MOST);
    paths
}

fn is_executable(root: &Root, path: &str) -> bool {
    let file = root.open(path.as_bytes(), OFlags::PATH, Mode::empty());
    file.and_then(rustix::fs::fstat).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() && stat.st_mode & 0o111 != 0
    })
}

#[cfg(test)]
mod t1 {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn hooks_are_executable_files_in_order_of_their_names() {
        let temp = tempfile::tempdir().expect("temp");
        let root = Root::host(temp.path()).expect("opened");
        assert!(survey(&root, DIRECTORY).is_empty(), "there is no directory");
        let directory = temp.path().join("etc/banger/on-resume.d");
        fs::create_dir_all(directory.join("30-directory")).expect("made");
        for (name, mode) in [
            ("20-b", 0o755),
            ("10-a", 0o700),
            (".hidden", 0o755),
            ("README", 0o644),
        ] {
            fs::write(directory.join(name), "").expect("written");
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(directory.join(name), mode).expect("set");
        }
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, directory.join(name)).expect("linked");
        };
        link("10-a", "15-link");
        link("/bin/sh", "16-not-in-the-guest");
        let expected = ["10-a", "15-link", "20-b"].map(|name| format!("{DIRECTORY}/{name}"));
        assert_eq!(survey(&root, DIRECTORY), expected);
    }
}
