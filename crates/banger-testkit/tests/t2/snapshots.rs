//! Snapshots on a disk that is full, or fills while one is made.

use banger_testkit::mounts::SmallDisk;
use banger_testkit::namespaces;
use bangerd::disks::DiskError;
use bangerd::layout::SandboxPaths;
use bangerd::snapshots::copying::{Copied, copy};
use bangerd::snapshots::{Making, Manifest, Part, Snapshot, SnapshotError, Verified};
use bangerd::vmm::DiskRole;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What is left alone for others, and a little.
const MIB: u64 = 96;
/// What a file of these tests takes.
const FILE: usize = 1 << 20;

/// A small disk in a directory, beside which there is room.
struct Place {
    disk: SmallDisk,
    small: PathBuf,
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let small = directory.path().join("small");
        Self {
            disk: SmallDisk::mount(&small, MIB),
            small,
            directory,
        }
    }

    /// A snapshot with all files, where there is room.
    fn snapshot(&self) -> Snapshot {
        let making = Making::begin(&self.directory.path().join("snapshots/one"));
        publish(making.expect("begun")).expect("published")
    }

    fn sandbox(&self) -> SandboxPaths {
        let state = self.small.join("sandbox");
        fs::create_dir_all(&state).expect("made");
        SandboxPaths {
            runtime: state.clone(),
            state,
        }
    }
}

fn publish(making: Making) -> Result<Snapshot, SnapshotError> {
    for part in Part::ALL {
        let path = making.file(part);
        fs::write(&path, vec![7; FILE]).map_err(|_| DiskError::Full { place: path })?;
    }
    making.publish(manifest(), &Verified::default())
}

fn manifest() -> Manifest {
    Manifest {
        taken_at: 1,
        sandbox: None,
        tag: None,
        command: None,
        suspended: None,
        spec: String::new(),
        fingerprint: None,
        files: BTreeMap::new(),
    }
}

fn names(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    entries.map(|entry| entry.path()).collect()
}

fn says_full(error: &SnapshotError) {
    let fault = error.fault();
    assert!(fault.message.contains("no room"), "{fault}");
    assert!(fault.remedy.expect("one").contains("free room"));
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_copied() {
    namespaces::own_mounts(|| {
        let place = Place::new();
        let (from, to) = (place.directory.path().join("from"), place.small.join("to"));
        fs::write(&from, vec![7; FILE]).expect("written");
        for leave in [64 << 20, 4 << 20, 0] {
            place.disk.fill(leave);
            let error = copy(&from, &to).expect_err("no room");
            assert!(matches!(error, DiskError::NoRoom { .. }), "{error}");
            assert!(!to.exists());
        }
        place.disk.make_room();
        let copied = copy(&from, &to).expect("copied");
        assert_eq!(copied, Copied::Written(FILE as u64));
    });
}

#[test]
fn a_snapshot_for_which_there_is_no_room_does_not_appear() {
    namespaces::own_mounts(|| {
        let place = Place::new();
        let parent = place.small.join("snapshots");
        let target = parent.join("one");
        for leave in [2 * FILE as u64 + 8192, 64 << 10] {
            place.disk.fill(leave);
            let error = publish(Making::begin(&target).expect("begun"));
            says_full(&error.expect_err("no room"));
            assert!(names(&parent).is_empty());
        }
        // Its files fit, and nothing else.
        place.disk.fill(64 << 10);
        let making = Making::begin(&target).expect("begun");
        place.disk.fill(0);
        let error = making.publish(manifest(), &Verified::default());
        says_full(&error.expect_err("no room for the manifest"));
        assert!(names(&parent).is_empty());
        place.disk.fill_with_files();
        says_full(&Making::begin(&target).expect_err("no room for a directory"));
    });
}

#[test]
fn a_sandbox_for_which_there_is_no_room_keeps_what_it_has() {
    namespaces::own_mounts(|| {
        let place = Place::new();
        let (snapshot, paths) = (place.snapshot(), place.sandbox());
        fs::write(paths.work_disk(), "old").expect("written");
        place.disk.fill(64 << 10);
        let error = snapshot.copy_disk(DiskRole::Work, &paths);
        says_full(&error.expect_err("no room for a disk"));
        let error = snapshot.put_resume(&paths);
        says_full(&error.expect_err("no room for a memory"));
        assert_eq!(names(&paths.state), [paths.work_disk()]);
        assert_eq!(fs::read(paths.work_disk()).expect("read"), b"old");
        place.disk.make_room();
        snapshot.copy_disk(DiskRole::Work, &paths).expect("copied");
        snapshot.put_resume(&paths).expect("put");
    });
}

#[test]
fn a_snapshot_can_be_removed_from_a_full_disk() {
    namespaces::own_mounts(|| {
        let place = Place::new();
        let target = place.small.join("snapshots/one");
        let snapshot = publish(Making::begin(&target).expect("begun")).expect("published");
        place.disk.fill(0);
        snapshot.remove().expect("removed");
        assert!(names(&place.small.join("snapshots")).is_empty());
    });
}
