//! Namespaces of a test's own: for mounts, where small file systems can really be filled, and for a host
//! whose network it may change.

use crate::fixtures;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How long filling may take: a daemon that is going to be idle writes for less than a second.
const FILL_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

/// Files and directories that a small file system can have.
const INODES: u64 = 1000;

/// A small file system, unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts an empty one of so many MiB at a directory.
    ///
    /// # Panics
    /// When it cannot be mounted.
    #[must_use]
    pub fn mount(at: &Path, mib: u64) -> Self {
        fixtures::private_directory(at);
        let mut mount = Command::new("mount");
        let options = format!("size={mib}m,nr_inodes={INODES},mode=0700");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]);
        let status = mount.arg(at).status().expect("mount(8)");
        assert!(
            status.success(),
            "cannot mount a file system on {}",
            at.display()
        );
        Self(at.to_owned())
    }

    /// The file that fills it.
    #[must_use]
    pub fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Fills it until so many bytes are free, in whole pages. A daemon that writes at the same time is no
    /// failure: it is looked at again.
    ///
    /// # Panics
    /// When it is smaller than that, or is never so full.
    pub fn fill(&self, leave: u64) {
        let mut options = std::fs::File::options();
        let file = options.create(true).append(true).open(self.ballast());
        let file = file.expect("a file");
        crate::eventually("so much room", FILL_LIMIT, || {
            let taken = file.metadata().expect("its size").size();
            let wanted = (taken + self.free())
                .checked_sub(leave)
                .expect("room to fill");
            let filled = match wanted.checked_sub(taken) {
                None => file.set_len(wanted),
                Some(0) => Ok(()),
                Some(more) => {
                    let allocated = fallocate(&file, FallocateFlags::empty(), taken, more);
                    allocated.map_err(std::io::Error::from)
                }
            };
            match self.free() {
                free if free == leave => Ok(()),
                free => Err(format!("{free} bytes are free ({filled:?})")),
            }
        });
    }

    /// Makes as many files as it can have: not even a directory fits any more.
    ///
    /// # Panics
    /// When one cannot be made.
    pub fn fill_with_files(&self) {
        let left = statvfs(&self.0).expect("a file system").f_favail;
        for number in 0..left {
            let name = self.0.join(format!("file-{number}"));
            std::fs::File::create(name).expect("a file");
        }
    }

    /// Makes room again.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn make_room(&self) {
        let entries = std::fs::read_dir(&self.0).expect("a directory").flatten();
        for entry in entries.filter(|entry| entry.path().is_file()) {
            std::fs::remove_file(entry.path()).expect("filled");
        }
    }

    /// Bytes that are free.
    ///
    /// # Panics
    /// When it cannot be looked at.
    #[must_use]
    pub fn free(&self) -> u64 {
        let found = statvfs(&self.0).expect("a file system");
        found.f_bavail * found.f_frsize
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // With the namespace it goes anyway; without this its directory could not be removed.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.0.display());
        }
    }
}
