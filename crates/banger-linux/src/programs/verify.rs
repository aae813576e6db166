//! Finding a program, and whether its file is one that a privileged process may run.

use super::ProgramError;
use rustix::fs::{FileType, Mode, Stat, stat};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// The program of that name in the first of the directories that has one; none where none has. The
/// path is without symbolic links, so that what was checked is what is run.
pub(super) fn find(directories: &[&str], name: &str) -> Result<Option<PathBuf>, ProgramError> {
    for directory in directories {
        let path = Path::new(directory).join(name);
        match std::fs::canonicalize(&path) {
            Ok(resolved) => return checked(resolved).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused(&path, &error.to_string())),
        }
    }
    Ok(None)
}

/// Checks the file and every directory above it: who may write to one of those may put another file
/// in its place.
fn checked(path: PathBuf) -> Result<PathBuf, ProgramError> {
    let file = look(&path)?;
    if FileType::from_raw_mode(file.st_mode) != FileType::RegularFile {
        return Err(refused(&path, "it is no regular file"));
    }
    if !Mode::from_raw_mode(file.st_mode).contains(Mode::XUSR) {
        return Err(refused(&path, "it is not executable"));
    }
    for part in path.ancestors() {
        if let Some(reason) = writable_by_others(&look(part)?) {
            let about = if part == path {
                "it"
            } else {
                "a directory above it"
            };
            return Err(refused(&path, &format!("{about} {reason}")));
        }
    }
    Ok(path)
}

fn look(path: &Path) -> Result<Stat, ProgramError> {
    stat(path).map_err(|error: Errno| refused(path, &error.to_string()))
}

/// What lets somebody but root change a file or directory.
fn writable_by_others(found: &Stat) -> Option<&'static str> {
    let mode = Mode::from_raw_mode(found.st_mode);
    if found.st_uid != 0 {
        return Some("does not belong to root");
    }
    let others = Mode::WGRP.union(Mode::WOTH);
    mode.intersects(others)
        .then_some("can be written by others than root")
}

fn refused(path: &Path, reason: &str) -> ProgramError {
    ProgramError::Unsafe {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Files with the modes that are tried; the tests of who owns them need root, and so are T2.
#[cfg(test)]
mod t2 {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    struct Place {
        directory: tempfile::TempDir,
    }

    impl Place {
        /// In a directory that only root can write to, unlike the usual one for temporary files.
        fn new() -> Self {
            let place = tempfile::Builder::new()
                .prefix("banger-test-")
                .tempdir_in("/run");
            Self {
                directory: place.expect("root may write to /run"),
            }
        }

        fn file(&self, name: &str, mode: u32) -> PathBuf {
            let path = self.directory.path().join(name);
            std::fs::write(&path, "").expect("written");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("mode");
            path
        }

        fn find(&self, name: &str) -> Result<Option<PathBuf>, ProgramError> {
            find(
                &[
                    "/no/such/directory",
                    &self.directory.path().to_string_lossy(),
                ],
                name,
            )
        }

        fn reason(&self, name: &str) -> String {
            self.find(name).expect_err("refused").to_string()
        }
    }

    #[test]
    fn a_file_of_root_s_that_only_root_can_write_is_found() {
        let place = Place::new();
        let path = place.file("nft", 0o755);
        assert_eq!(place.find("nft"), Ok(Some(path)));
        assert_eq!(place.find("other"), Ok(None));
    }

    #[test]
    fn a_file_that_others_can_write_or_own_is_refused() {
        let place = Place::new();
        for mode in [0o775, 0o757, 0o777] {
            place.file("nft", mode);
            assert!(
                place
                    .reason("nft")
                    .ends_with("it can be written by others than root"),
                "{mode:o}"
            );
        }
        let path = place.file("nft", 0o755);
        chown(&path, Some(65534), None).expect("root may");
        assert!(place.reason("nft").ends_with("it does not belong to root"));
    }

    #[test]
    fn a_directory_that_others_can_write_is_refused_with_all_in_it() {
        let place = Place::new();
        place.file("nft", 0o755);
        let open = PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(place.directory.path(), open).expect("mode");
        assert!(
            place
                .reason("nft")
                .contains("a directory above it can be written")
        );
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let place = Place::new();
        place.file("nft", 0o644);
        assert!(place.reason("nft").ends_with("it is not executable"));
        std::fs::create_dir(place.directory.path().join("dir")).expect("made");
        assert!(place.reason("dir").ends_with("it is no regular file"));
        symlink("loop", place.directory.path().join("loop")).expect("made");
        assert!(place.find("loop").is_err());
    }

    #[test]
    fn a_link_is_followed_once_and_its_target_is_checked() {
        let place = Place::new();
        let target = place.file("nft-1", 0o755);
        symlink(&target, place.directory.path().join("nft")).expect("made");
        assert_eq!(
            place.find("nft"),
            Ok(Some(target)),
            "what was checked is what is run"
        );
        let elsewhere = tempfile::tempdir().expect("a directory");
        let foreign = elsewhere.path().join("nft");
        std::fs::write(&foreign, "").expect("written");
        std::fs::set_permissions(&foreign, PermissionsExt::from_mode(0o755)).expect("mode");
        symlink(&foreign, place.directory.path().join("out")).expect("made");
        assert!(
            place
                .reason("out")
                .contains("a directory above it can be written"),
            "/tmp is anybody's"
        );
    }
}
