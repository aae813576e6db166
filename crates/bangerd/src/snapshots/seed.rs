//! What a snapshot gives to a sandbox: its disks, and a guest that goes on.

use super::copying::{Copied, copy};
use super::manifest::{Manifest, Part};
use super::{Making, Snapshot, SnapshotError};
use crate::disks::DiskError;
use crate::layout::SandboxPaths;
use crate::vmm::DiskRole;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

impl Snapshot {
    /// Copies one of its disks to the sandbox's place for it. One that is there is replaced, by a rename;
    /// nobody may have that open.
    ///
    /// # Errors
    /// [`SnapshotError::Lacks`]; there is no room, or the host refuses. What was there is as it was then.
    pub fn copy_disk(&self, role: DiskRole, paths: &SandboxPaths) -> Result<Copied, SnapshotError> {
        let to = match role {
            DiskRole::Work => paths.work_disk(),
            _ => paths.system_disk(),
        };
        let part = Part::of_disk(role).and_then(|part| self.path(part));
        let from = part.ok_or_else(|| self.lacks(role.serial()))?;
        let name = to.file_name().unwrap_or_default().display();
        let unfinished = to.with_file_name(format!(".{name}"));
        // Of a copy that was broken off.
        let _ = fs::remove_file(&unfinished);
        let copied = copy(&from, &unfinished)?;
        let put = put(&unfinished, &to);
        if put.is_err() {
            // What is wrong is told already.
            let _ = fs::remove_file(&unfinished);
        }
        put.map_err(DiskError::io("replace", &to))?;
        Ok(copied)
    }

    /// Lets the sandbox's next start go on from it. Memory and devices are shared with the snapshot where both
    /// are on one file system. The disks have to be there already: what is there after this goes with them.
    ///
    /// # Errors
    /// [`SnapshotError::Lacks`] when no guest ran; [`SnapshotError::Exists`] when there is one to go on from
    /// already; there is no room, or the host refuses. Nothing is in place then.
    pub fn put_resume(&self, paths: &SandboxPaths) -> Result<Self, SnapshotError> {
        if self.saved().is_none() {
            return Err(self.lacks("guest that ran"));
        }
        let making = Making::begin(&paths.resume())?;
        let mut files = self.manifest.files.clone();
        files.retain(|part, _| matches!(part, Part::Memory | Part::Devices));
        for part in files.keys() {
            share(&self.directory.join(part.name()), &making.file(*part))?;
        }
        making.publish_passing(Manifest {
            files,
            tag: None,
            ..self.manifest.clone()
        })
    }

    fn lacks(&self, part: &'static str) -> SnapshotError {
        let directory = self.directory.clone();
        SnapshotError::Lacks { directory, part }
    }
}

/// Puts a copied disk in its place. It may be written to: a snapshot's files may not. What replaces another
/// is on the host's disk before; a new disk gets there with the guest's first flush.
fn put(copy: &Path, to: &Path) -> std::io::Result<()> {
    if to.symlink_metadata().is_ok() {
        File::open(copy)?.sync_all()?;
    }
    fs::rename(copy, to)
}

/// Gives a file that is never written to another name, or copies it.
pub fn share(from: &Path, to: &Path) -> Result<(), DiskError> {
    // Between file systems, or on one that has no links.
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    copy(from, to)?;
    fs::set_permissions(to, PermissionsExt::from_mode(0o400))
        .map_err(DiskError::io("change the mode of", to))
}

#[cfg(test)]
mod t1 {
    use super::super::Verified;
    use super::super::fixtures::{Place, manifest};
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn begins(path: &Path, with: &str) -> bool {
        fs::read(path)
            .expect("readable")
            .starts_with(with.as_bytes())
    }

    #[test]
    fn a_sandbox_gets_disks_of_its_own() {
        let place = Place::new();
        let (snapshot, paths) = (place.published(), place.sandbox("s"));
        for (role, to, name) in [
            (DiskRole::System, paths.system_disk(), "system.ext4"),
            (DiskRole::Work, paths.work_disk(), "work.ext4"),
        ] {
            snapshot.copy_disk(role, &paths).expect("copied");
            assert!(begins(&to, name));
            assert_eq!(to.metadata().expect("there").mode() & 0o777, 0o600);
            fs::write(&to, "the guest's").expect("written");
        }
        snapshot.verify(&Verified::default()).expect("untouched");
        assert_eq!(Place::names(&paths.state), ["system.ext4", "work.ext4"]);
    }

    #[test]
    fn a_disk_that_is_there_is_replaced_whatever_a_crash_left_of_a_copy() {
        let place = Place::new();
        let (snapshot, paths) = (place.published(), place.sandbox("s"));
        fs::write(paths.work_disk(), "old").expect("written");
        fs::write(paths.state.join(".work.ext4"), "half").expect("written");
        snapshot.copy_disk(DiskRole::Work, &paths).expect("copied");
        assert!(begins(&paths.work_disk(), "work.ext4"));
        assert_eq!(Place::names(&paths.state), ["work.ext4"]);
    }

    #[test]
    fn a_disk_that_cannot_be_copied_leaves_what_was_there() {
        let place = Place::new();
        let (snapshot, paths) = (place.published(), place.sandbox("s"));
        fs::write(paths.work_disk(), "old").expect("written");
        let error = snapshot.copy_disk(DiskRole::Image, &paths);
        let error = error.expect_err("it has none");
        assert!(matches!(error, SnapshotError::Lacks { .. }), "{error}");
        fs::remove_file(snapshot.work_disk().expect("one")).expect("removed");
        snapshot
            .copy_disk(DiskRole::Work, &paths)
            .expect_err("it is gone");
        assert!(begins(&paths.work_disk(), "old"));
        fs::create_dir(paths.system_disk()).expect("in its way");
        snapshot
            .copy_disk(DiskRole::System, &paths)
            .expect_err("no file");
        assert_eq!(Place::names(&paths.state), ["system.ext4", "work.ext4"]);
    }

    #[test]
    fn a_guest_to_go_on_from_shares_its_memory_and_has_no_disks() {
        let place = Place::new();
        let (snapshot, paths) = (place.published(), place.sandbox("s"));
        let resume = snapshot.put_resume(&paths).expect("put");
        assert_eq!(
            Place::names(&paths.resume()),
            ["devices", "manifest.json", "memory"]
        );
        assert_eq!(Snapshot::open(&paths.resume()).expect("readable"), resume);
        resume.verify(&place.verified).expect("whole");
        assert_eq!(resume.manifest.fingerprint, snapshot.manifest.fingerprint);
        let inode = |path: &Path| path.metadata().expect("there").ino();
        let (ours, theirs) = (resume.saved().expect("one"), snapshot.saved().expect("one"));
        assert_eq!(inode(&ours.memory), inode(&theirs.memory));
        snapshot.remove().expect("removed");
        resume.verify(&Verified::default()).expect("still whole");
        // As a start does.
        fs::rename(paths.resume(), paths.origin()).expect("renamed");
        Snapshot::open(&paths.origin()).expect("readable");
    }

    #[test]
    fn between_file_systems_a_guest_is_copied() {
        let place = Place::new();
        let elsewhere = tempfile::tempdir_in("/dev/shm").expect("a directory");
        let from = place.published().saved().expect("one").memory;
        let to = elsewhere.path().join("memory");
        share(&from, &to).expect("copied");
        assert!(begins(&to, "memory"));
        assert_eq!(to.metadata().expect("there").mode() & 0o777, 0o400);
    }

    #[test]
    fn nothing_is_put_over_a_guest_that_waits_or_of_one_that_did_not_run() {
        let place = Place::new();
        let (snapshot, paths) = (place.published(), place.sandbox("s"));
        let first = snapshot.put_resume(&paths).expect("put");
        let error = snapshot.put_resume(&paths).expect_err("there is one");
        assert!(matches!(error, SnapshotError::Exists { .. }), "{error}");
        assert_eq!(Snapshot::open(&paths.resume()).expect("whole"), first);
        let making = Making::begin(&place.parent().join("disks")).expect("begun");
        fs::write(making.file(Part::WorkDisk), "x").expect("written");
        let disks = Manifest {
            tag: None,
            ..manifest()
        };
        let disks = making.publish(disks, &place.verified).expect("published");
        let error = disks.put_resume(&place.sandbox("t")).expect_err("no guest");
        assert!(error.to_string().contains("no guest that ran"), "{error}");
        assert_eq!(Place::names(&paths.state), ["resume"]);
    }

    #[test]
    fn a_guest_whose_files_are_gone_is_not_put_in_place() {
        let place = Place::new();
        let (snapshot, paths) = (place.published(), place.sandbox("s"));
        fs::remove_file(snapshot.directory.join("memory")).expect("removed");
        snapshot.put_resume(&paths).expect_err("it is gone");
        assert_eq!(Place::names(&paths.state), [""; 0]);
    }
}
