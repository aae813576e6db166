//! Room that is held for the database, so that what frees room (stopping, deleting) and what only
//! records an outcome still works on a full disk.

use crate::disks::space;
use rustix::fs::{FallocateFlags, fallocate};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// How much is held: four times what the write-ahead log grows to before its pages are used again
/// (64 pages of 4 KiB), with the index beside it.
pub(super) const SIZE: u64 = 1 << 20;

/// A file of nothing beside the database, given up when the disk is full.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    held: bool,
    /// The file system cannot hold room for anybody: that is said once.
    impossible: bool,
}

impl Reserve {
    /// The reserve of a database, as it was left.
    pub(super) fn of(database: &Path) -> Self {
        let path = database.with_extension("reserve");
        let held = path.metadata().is_ok_and(|found| found.len() == SIZE);
        Self {
            path,
            held,
            impossible: false,
        }
    }

    /// Takes the room back as soon as there is twice as much.
    pub(super) fn hold(&mut self) {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let is_room = || space::free(directory).is_ok_and(|free| free >= 2 * SIZE);
        if self.held || self.impossible || !is_room() {
            return;
        }
        match allocate(&self.path) {
            Ok(()) => self.held = true,
            Err(error) => {
                self.impossible = error.kind() == io::ErrorKind::Unsupported;
                tracing::warn!("no room is held for the database: {error}");
            }
        }
    }

    /// Gives the room up; whether there was any.
    pub(super) fn give_up(&mut self) -> bool {
        let given_up = self.held && fs::remove_file(&self.path).is_ok();
        self.held = false;
        given_up
    }
}

fn allocate(path: &Path) -> io::Result<()> {
    let file = File::create(path)?;
    let allocated = fallocate(&file, FallocateFlags::empty(), 0, SIZE);
    allocated.map_err(|error| {
        let _only_a_name = fs::remove_file(path);
        error.into()
    })
}

#[cfg(test)]
mod t1 {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn room_is_held_given_up_once_and_found_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = directory.path().join("state.db");
        let mut reserve = Reserve::of(&database);
        assert!(!reserve.give_up(), "nothing is held yet");
        reserve.hold();
        let found = directory.path().join("state.reserve").metadata();
        assert!(found.expect("held").blocks() * 512 >= SIZE);
        let mut next = Reserve::of(&database);
        assert!(next.give_up() && !next.give_up());
        assert!(!directory.path().join("state.reserve").exists());
    }
}
