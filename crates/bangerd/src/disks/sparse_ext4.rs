//! Empty disks for sandboxes: sparse ext4 files, made in milliseconds.

use super::{DiskError, programs, space};
use banger_model::DiskSize;
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The features of a sandbox disk, spelled out so that they do not depend on the host's
/// `mke2fs.conf`: what every kernel since 4.9 can mount.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,\
sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum";

/// Longest label of ext4, in bytes.
const LONGEST_LABEL: usize = 16;

/// Room that an empty disk takes on the host: its journal is made lazily, its tables too.
const ROOM_NEEDED: u64 = 4 << 20;

/// Makes sure that a sandbox's two disks can be made below a directory, or a guest that has them be
/// started: it writes at once.
///
/// # Errors
/// [`DiskError::NoRoom`], or the file system cannot be looked at.
pub fn require_room(directory: &Path) -> Result<(), DiskError> {
    space::require(directory, 2 * ROOM_NEEDED)
}

/// Makes an empty ext4 of the nominal size that takes next to no room, at a path that must be free.
///
/// It is made under a temporary name beside `path` and appears by rename, so whoever sees `path`
/// sees a whole file system. The label is cut to the 16 bytes that ext4 can hold; the root directory
/// belongs to the guest's root.
///
/// # Errors
/// The path is taken, there is no room, `mke2fs` is missing or fails; nothing is left behind.
pub fn make_sparse_ext4(path: &Path, size: DiskSize, label: &str) -> Result<(), DiskError> {
    if path.symlink_metadata().is_ok() {
        return Err(DiskError::Exists {
            path: path.to_owned(),
        });
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    space::require(directory, ROOM_NEEDED)?;
    let unfinished = Unfinished::beside(path);
    make_file(&unfinished.0, size)?;
    format(&unfinished.0, label)?;
    publish(&unfinished.0, path)
}

/// A file that is removed unless it was renamed away.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(".unfinished");
        Self(name.into())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn make_file(path: &Path, size: DiskSize) -> Result<(), DiskError> {
    let _ = fs::remove_file(path);
    let file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(DiskError::io("create", path))?;
    file.set_len(size.bytes())
        .map_err(DiskError::io("set the size of", path))
}

fn arguments(path: &Path, label: &str) -> Vec<OsString> {
    let cut = label.floor_char_boundary(LONGEST_LABEL);
    let label = label.get(..cut).unwrap_or_default();
    let mut arguments: Vec<OsString> = ["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0"]
        .iter()
        .map(OsString::from)
        .collect();
    arguments.extend(["-O", FEATURES, "-L", label, "-E"].map(OsString::from));
    arguments.push("lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0".into());
    arguments.push(path.into());
    arguments
}

fn format(path: &Path, label: &str) -> Result<(), DiskError> {
    let mut command = programs::command("mke2fs")?;
    // The host's own configuration would make disks differ from host to host.
    command
        .env("MKE2FS_CONFIG", "/dev/null")
        .args(arguments(path, label));
    let output = programs::output_of(command)?;
    if output.status.success() {
        return Ok(());
    }
    // `ENOSPC` in the words of the C library, whose language is ours.
    if output.stderr.contains("No space left on device") {
        return Err(DiskError::Full {
            place: path.to_owned(),
        });
    }
    Err(output.failure("mke2fs").into())
}

fn publish(from: &Path, to: &Path) -> Result<(), DiskError> {
    super::staging::rename_new(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_label_is_cut_at_a_character() {
        let arguments = arguments(Path::new("/d"), "a-label-of-fifté-and-more");
        assert!(
            arguments.contains(&"a-label-of-fift".into()),
            "{arguments:?}"
        );
    }

    mod t1 {
        use super::*;
        use std::os::unix::fs::MetadataExt;

        fn size(mib: u64) -> DiskSize {
            DiskSize::try_from(mib).expect("in range")
        }

        #[test]
        fn a_disk_is_whole_sparse_and_alone() {
            let place = tempfile::tempdir().expect("a directory");
            let path = place.path().join("system.ext4");
            make_sparse_ext4(&path, size(8192), "system").expect("is made");
            let found = path.metadata().expect("is there");
            assert_eq!(found.len(), 8 << 30);
            assert!(found.blocks() * 512 < 16 << 20, "{} blocks", found.blocks());
            assert_eq!(found.mode() & 0o777, 0o600);
            assert_eq!(fs::read_dir(place.path()).expect("lists").count(), 1);
            programs::run("e2fsck", ["-fn".as_ref(), path.as_os_str()]).expect("is clean");
        }

        #[test]
        fn a_path_that_is_taken_is_left_alone() {
            let place = tempfile::tempdir().expect("a directory");
            let path = place.path().join("d");
            fs::write(&path, "mine").expect("writes");
            let error = make_sparse_ext4(&path, size(64), "").expect_err("is taken");
            assert!(matches!(error, DiskError::Exists { .. }), "{error}");
            assert_eq!(fs::read(&path).expect("reads"), b"mine");
        }

        #[test]
        fn a_failure_leaves_nothing_behind() {
            let place = tempfile::tempdir().expect("a directory");
            let path = place.path().join("d");
            // 16 TiB is more than this file system, or mke2fs with 4 KiB blocks, takes on most hosts;
            // where it succeeds, the disk is whole.
            let made = make_sparse_ext4(&path, size(16 << 20), "");
            let left = fs::read_dir(place.path()).expect("lists").count();
            assert_eq!(left, usize::from(made.is_ok()));
            let missing = place.path().join("no/d");
            assert!(make_sparse_ext4(&missing, size(64), "").is_err());
        }
    }
}
