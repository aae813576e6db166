//! Copying a large file that is mostly holes: by sharing its blocks where the file system can, else what was
//! written of it.

use crate::blocks;
use crate::disks::{DiskError, space};
use rustix::fs::{copy_file_range, ioctl_ficlone};
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Bytes that pass through this process at a time, where the kernel does not copy.
const PIECE: usize = 256 << 10;

/// How a file was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// Both have the same blocks until one is written to: no room was taken, and next to no time.
    Shared,
    /// So many bytes were written: what was a hole is one.
    Written(u64),
}

/// Copies a file to a path that must be free, for its user alone (0600). Nobody may write to it meanwhile.
///
/// # Errors
/// The path is taken, there is no room, or the host refuses. Nothing is left behind.
pub fn copy(from: &Path, to: &Path) -> Result<Copied, DiskError> {
    let source = File::open(from).map_err(DiskError::io("read", from))?;
    let created = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to);
    let target = match created {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let path = to.to_owned();
            return Err(DiskError::Exists { path });
        }
        created => created.map_err(DiskError::io("create", to))?,
    };
    let copied = fill(&source, from, &target, to);
    if copied.is_err() {
        // What is wrong is told already.
        let _ = fs::remove_file(to);
    }
    copied
}

fn fill(source: &File, from: &Path, target: &File, to: &Path) -> Result<Copied, DiskError> {
    // Whatever is against it, copying may do; if not, that says why.
    if ioctl_ficlone(target, source).is_ok() {
        return Ok(Copied::Shared);
    }
    let found = source.metadata().map_err(DiskError::io("look at", from))?;
    let size = found.size();
    let taken = found.blocks().saturating_mul(512).min(size);
    space::require(to.parent().unwrap_or(Path::new("/")), taken)?;
    target
        .set_len(size)
        .map_err(DiskError::io("set the size of", to))?;
    let mut written = 0;
    for extent in blocks::data(source, size) {
        let extent = extent.map_err(DiskError::io("read", from))?;
        written += extent.end - extent.start;
        range(source, target, extent).map_err(DiskError::io("copy into", to))?;
    }
    Ok(Copied::Written(written))
}

/// Makes a copy that was taken while somebody wrote the same again; nobody may write to either meanwhile. Only what
/// differs is written: a copy of what a guest wrote takes several times as long as looking whether it is the same.
///
/// # Errors
/// There is no room, or the host refuses. The copy is of no use then.
pub fn catch_up(from: &Path, to: &Path) -> Result<(), DiskError> {
    let source = File::open(from).map_err(DiskError::io("read", from))?;
    let target = File::options().read(true).write(true).open(to);
    let target = target.map_err(DiskError::io("open", to))?;
    let same = blocks::make_same(&target, &source, &|_, _| Ok(()));
    same.map_err(DiskError::io("copy into", to))
}

/// Copies a part to the same place, within the kernel if it can.
fn range(source: &File, target: &File, range: Range<u64>) -> io::Result<()> {
    let (mut from, mut to) = (range.start, range.start);
    while from < range.end {
        let left = usize::try_from(range.end - from).unwrap_or(usize::MAX);
        match copy_file_range(source, Some(&mut from), target, Some(&mut to), left) {
            Ok(1..) => {}
            // Between file systems, or on one that cannot: what is left goes through here.
            Ok(0) | Err(_) => return by_hand(source, target, from..range.end),
        }
    }
    Ok(())
}

fn by_hand(source: &File, target: &File, range: Range<u64>) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut at = range.start;
    while at < range.end {
        let length = usize::try_from(range.end - at).unwrap_or(PIECE).min(PIECE);
        let bytes = buffer.get_mut(..length).unwrap_or_default();
        source.read_exact_at(bytes, at)?;
        target.write_all_at(bytes, at)?;
        at += length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod t1 {
    use super::super::digest::digest;
    use super::*;
    use std::path::PathBuf;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a directory"))
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        /// A file of a GiB with three bytes in it.
        fn sparse(&self) -> PathBuf {
            let path = self.at("sparse");
            let file = File::create(&path).expect("made");
            file.set_len(1 << 30).expect("set");
            for place in [0, 500 << 20, (1 << 30) - 1] {
                file.write_all_at(b"x", place).expect("written");
            }
            path
        }
    }

    fn same(one: &Path, two: &Path) -> bool {
        let of = |path| digest(&File::open(path).expect("there")).expect("readable");
        of(one) == of(two)
    }

    #[test]
    fn a_copy_is_the_same_private_and_has_the_same_holes() {
        let place = Place::new();
        let (from, to) = (place.sparse(), place.at("copy"));
        let copied = copy(&from, &to).expect("copied");
        assert!(same(&from, &to));
        let found = to.metadata().expect("there");
        assert_eq!((found.mode() & 0o777, found.size()), (0o600, 1 << 30));
        assert!(found.blocks() * 512 < 1 << 20, "{} blocks", found.blocks());
        if let Copied::Written(bytes) = copied {
            assert!((3..1 << 20).contains(&bytes), "{bytes}");
        }
    }

    #[test]
    fn what_the_kernel_does_not_copy_is_copied_by_hand() {
        let place = Place::new();
        let (from, to) = (place.at("from"), place.at("to"));
        let bytes: Vec<u8> = (0..700_001_u32).map(|n| n.to_le_bytes()[0]).collect();
        fs::write(&from, &bytes).expect("written");
        let source = File::open(&from).expect("there");
        let target = File::create(&to).expect("made");
        by_hand(&source, &target, 3..700_001).expect("copied");
        assert_eq!(fs::read(&to).expect("read")[3..], bytes[3..]);
        let error = by_hand(&source, &target, 0..700_002).expect_err("it is shorter");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_copy_between_file_systems_is_the_same() {
        let place = Place::new();
        let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
            panic!("/dev/shm, which every Linux has, cannot be written to");
        };
        let (from, to) = (place.sparse(), other.path().join("copy"));
        assert!(matches!(
            copy(&from, &to),
            Ok(Copied::Written(_) | Copied::Shared)
        ));
        assert!(same(&from, &to));
    }

    #[test]
    fn nothing_is_copied_over_a_file_or_from_none() {
        let place = Place::new();
        let from = place.sparse();
        fs::write(place.at("taken"), "kept").expect("written");
        let error = copy(&from, &place.at("taken")).expect_err("taken");
        assert!(matches!(error, DiskError::Exists { .. }), "{error}");
        assert_eq!(fs::read(place.at("taken")).expect("read"), b"kept");
        copy(&place.at("none"), &place.at("copy")).expect_err("nothing there");
        assert!(!place.at("copy").exists());
        copy(&from, &place.at("none/copy")).expect_err("no directory");
    }

    #[test]
    fn a_copy_catches_up_with_what_was_written_given_up_and_grown_since() {
        let place = Place::new();
        let (from, to) = (place.sparse(), place.at("copy"));
        copy(&from, &to).expect("copied");
        catch_up(&from, &to).expect("the same");
        let file = File::options().write(true).open(&from).expect("there");
        file.write_all_at(b"new", 300 << 20).expect("written");
        file.write_all_at(b"y", 500 << 20).expect("written");
        let flags = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&file, flags, 0, 1 << 20).expect("given up");
        file.set_len((1 << 30) + 5).expect("set");
        file.write_all_at(b"end", (1 << 30) + 2).expect("written");
        catch_up(&from, &to).expect("caught up");
        assert!(same(&from, &to));
        let blocks = to.metadata().expect("there").blocks();
        assert!(blocks * 512 < 1 << 20, "{blocks} blocks");
        file.set_len(10).expect("set");
        catch_up(&from, &to).expect("caught up");
        assert!(same(&from, &to), "shorter");
        catch_up(&from, &place.at("none")).expect_err("there is no copy");
        catch_up(&place.at("none"), &to).expect_err("there is nothing");
    }

    #[test]
    fn what_cannot_be_read_to_its_end_leaves_nothing() {
        let place = Place::new();
        // A directory can be opened and not read.
        let error = copy(place.0.path(), &place.at("copy")).expect_err("a directory");
        assert!(matches!(error, DiskError::Io { .. }), "{error}");
        assert!(!place.at("copy").exists());
    }
}
