use super::*;
use std::fs;

struct Ground {
    directory: tempfile::TempDir,
    paths: SandboxPaths,
}

/// A sandbox with old disks and an old memory, and a whole copy of a snapshot beside them.
fn ground() -> Ground {
    let directory = tempfile::tempdir().expect("a directory");
    let paths = SandboxPaths {
        state: directory.path().join("state"),
        runtime: directory.path().join("run"),
    };
    let (old, new) = (paths.resume(), beside(&paths, "restored").resume());
    fs::create_dir_all(&old).expect("made");
    fs::create_dir_all(&new).expect("made");
    fs::write(old.join("memory"), "old").expect("written");
    fs::write(new.join("memory"), "new").expect("written");
    for disk in [paths.system_disk(), paths.work_disk()] {
        fs::write(&disk, "old").expect("written");
        let copy = paths.restored().join(disk.file_name().expect("a name"));
        fs::write(copy, "new").expect("written");
    }
    Ground { directory, paths }
}

impl Ground {
    fn all(&self) -> Vec<String> {
        let files = [
            self.paths.system_disk(),
            self.paths.work_disk(),
            self.paths.resume().join("memory"),
        ];
        let read = files.iter().map(fs::read_to_string);
        read.map(|text| text.unwrap_or_else(|_| "none".into()))
            .collect()
    }
}

#[test]
fn all_of_a_snapshot_comes_to_its_places() {
    let ground = ground();
    move_restored(&ground.paths).expect("moved");
    assert_eq!(ground.all(), ["new"; 3]);
    assert!(!ground.paths.restored().exists());
    move_restored(&ground.paths).expect("nothing is left to move");
    assert_eq!(ground.all(), ["new"; 3]);
}

#[test]
fn a_move_that_broke_off_anywhere_is_finished_to_the_same() {
    for done in 0..4 {
        let Ground { directory, paths } = ground();
        let from = paths.restored();
        let one = |path: &Path| fs::rename(from.join(path.file_name().expect("a name")), path);
        if done >= 1 {
            resuming::remove(&paths.resume()).expect("removed");
            one(&paths.system_disk()).expect("moved");
        }
        if done >= 2 {
            one(&paths.work_disk()).expect("moved");
        }
        if done >= 3 {
            fs::rename(beside(&paths, "restored").resume(), paths.resume()).expect("moved");
        }
        move_restored(&paths).expect("finished");
        assert_eq!(Ground { directory, paths }.all(), ["new"; 3], "{done}");
    }
}

#[test]
fn a_snapshot_without_memory_leaves_no_old_one() {
    let ground = ground();
    let copied = beside(&ground.paths, "restored").resume();
    resuming::remove(&copied).expect("removed");
    move_restored(&ground.paths).expect("moved");
    assert_eq!(ground.all(), ["new", "new", "none"]);
}
