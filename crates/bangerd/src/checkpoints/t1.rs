//! Making checkpoints and going back to them, over files that stand for a guest's memory and disks.

use super::*;
use crate::layout::SandboxPaths;
use crate::snapshots::{Part, SnapshotError, Verified};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

const SIZE: u64 = 3 << 20;

/// A sandbox that changes, and its checkpoints.
struct Ground {
    directory: tempfile::TempDir,
    verified: Verified,
}

impl Ground {
    fn new() -> Self {
        let ground = Self {
            directory: tempfile::tempdir().expect("a directory"),
            verified: Verified::default(),
        };
        for path in ground.live() {
            let file = File::create(path).expect("made");
            file.set_len(SIZE).expect("set");
        }
        ground
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn paths(&self) -> SandboxPaths {
        SandboxPaths {
            state: self.directory.path().to_owned(),
            runtime: self.at("run"),
        }
    }

    /// Memory and disks, as they are now.
    fn live(&self) -> [PathBuf; 3] {
        let paths = self.paths();
        [self.at("memory"), paths.system_disk(), paths.work_disk()]
    }

    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::of(self.paths().checkpoints())
    }

    /// The sandbox becomes another: each number in its own places.
    fn become_(&self, number: u8) {
        for path in self.live() {
            let file = File::options().write(true).open(path).expect("there");
            for at in [0, u64::from(number) << 14, 2 << 20] {
                file.write_all_at(&[number; 4096], at).expect("written");
            }
        }
    }

    fn state(&self) -> Vec<Vec<u8>> {
        self.live().map(|path| fs::read(path).expect("read")).into()
    }

    fn keep_part(&self, making: &Making) {
        let memory = making.memory();
        match making.pages {
            Pages::New => drop(fs::copy(self.at("memory"), memory).expect("copied")),
            Pages::Written | Pages::Any => {
                let base = File::options().read(true).write(true).open(memory);
                let live = File::open(self.at("memory")).expect("there");
                let note = |at, old: &[u8]| making.note_memory(at, old);
                crate::blocks::make_same(&base.expect("there"), &live, &note).expect("the same");
            }
        }
        fs::write(making.devices(), "devices").expect("written");
        making
            .disk(Part::SystemDisk, &self.paths().system_disk())
            .expect("kept");
    }

    fn begin(&self) -> Making {
        let origin = self.paths().origin().join("memory");
        Making::begin(&self.checkpoints(), "run", &origin).expect("begun")
    }

    fn keep(&self, command: &str) {
        let making = self.begin();
        self.keep_part(&making);
        making
            .disk(Part::WorkDisk, &self.paths().work_disk())
            .expect("kept");
        making
            .publish(entry(command), &self.verified)
            .expect("published");
    }

    fn numbers(&self) -> Vec<u32> {
        let all = self.checkpoints().list().expect("listed");
        all.iter().map(|kept| kept.number).collect()
    }

    fn undo(&self, number: u32) -> Undo {
        let undo = Undo::to(&self.checkpoints(), number).expect("listed");
        undo.expect("there")
    }

    /// All of an undo; the guest then goes on from what is saved.
    fn go_back(&self, number: u32) {
        let undo = self.undo(number);
        undo.verify(&self.verified).expect("whole");
        undo.intend().expect("intended");
        undo.take_back(&self.paths()).expect("taken back");
        self.finish(undo);
    }

    fn finish(&self, undo: Undo) {
        let id = banger_model::SandboxId::from_random([7; 16]);
        let name = "dev".parse().expect("a name");
        undo.finish(&self.paths(), (id, name), &self.verified)
            .expect("finished");
        self.goes_on();
    }

    fn goes_on(&self) {
        let (resume, origin) = (self.paths().resume(), self.paths().origin());
        fs::rename(resume, &origin).expect("taken");
        fs::copy(origin.join("memory"), self.at("memory")).expect("mapped");
    }
}

fn entry(command: &str) -> Entry {
    Entry {
        taken_at: 1_800_000_000,
        command: command.into(),
        fingerprint: None,
        run: "run".into(),
        spec: String::new(),
        parts: Parts::new(),
        devices: None,
        logs: Parts::new(),
        seen: Parts::new(),
    }
}

#[test]
fn any_of_the_last_commands_is_undone_and_the_machine_goes_on_from_there() {
    for back_to in 1..=4 {
        let ground = Ground::new();
        let mut states = Vec::new();
        for number in 1..=4 {
            ground.become_(number);
            states.push(ground.state());
            ground.keep("one");
        }
        ground.become_(9);
        ground.go_back(back_to);
        assert_eq!(ground.state(), states[back_to as usize - 1], "{back_to}");
        assert_eq!(ground.numbers(), (1..=back_to).collect::<Vec<_>>());
        let newest = ground.checkpoints().list().expect("listed").pop();
        assert!(newest.expect("there").undone);
        // On, and back again: to before what was done then, and to before what was done first.
        ground.become_(7);
        let seventh = ground.state();
        ground.keep("another");
        ground.become_(8);
        ground.go_back(back_to + 1);
        assert_eq!(ground.state(), seventh);
        ground.become_(8);
        ground.go_back(1);
        assert_eq!(ground.state(), states[0]);
    }
}

#[test]
fn a_checkpoint_takes_what_has_changed_and_no_more() {
    let ground = Ground::new();
    let noise: Vec<u8> = (0_u32..1 << 19)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    for path in ground.live() {
        let file = File::options().write(true).open(path).expect("there");
        file.write_all_at(&noise, 0).expect("written");
    }
    for number in 1..=3 {
        ground.keep("one");
        ground.become_(number);
    }
    ground.keep("one");
    let all = ground.checkpoints().list().expect("listed");
    for kept in &all {
        assert!(kept.bytes < 256 << 10, "{}: {}", kept.number, kept.bytes);
    }
    assert!(ground.checkpoints().base_bytes() > 6 << 20);
    let mode = |path: &Path| path.metadata().expect("there").mode() & 0o077;
    assert_eq!(mode(&ground.paths().checkpoints()), 0);
    for kept in all {
        assert_eq!(mode(&kept.directory), 0);
    }
}

#[test]
fn one_whose_making_broke_off_changes_nothing() {
    let ground = Ground::new();
    ground.become_(1);
    let first = ground.state();
    ground.keep("one");
    ground.become_(2);
    let second = ground.state();
    ground.keep("two");
    ground.become_(3);
    // Dropped; and left by a daemon that was killed.
    let making = ground.begin();
    ground.keep_part(&making);
    drop(making);
    assert_eq!(ground.numbers(), [1, 2]);
    let making = ground.begin();
    ground.keep_part(&making);
    std::mem::forget(making);
    assert!(ground.checkpoints().clear_up().expect("cleared").is_none());
    assert!(!ground.checkpoints().making().exists());
    ground
        .undo(2)
        .verify(&Verified::default())
        .expect("as it was");
    ground.go_back(2);
    assert_eq!(ground.state(), second);
    ground.become_(4);
    ground.go_back(1);
    assert_eq!(ground.state(), first);
}

#[test]
fn an_undo_that_broke_off_anywhere_is_done_again_to_the_same() {
    for done in 0..4 {
        let ground = Ground::new();
        for number in 1..=3 {
            ground.become_(number);
            ground.keep("one");
        }
        ground.become_(9);
        let expected = {
            let other = Ground::new();
            other.become_(1);
            other.state()
        };
        let (undo, paths) = (ground.undo(1), ground.paths());
        undo.intend().expect("intended");
        if done >= 1 {
            undo.take_back(&paths).expect("taken back");
        }
        if done >= 2 {
            crate::snapshots::remove(&ground.checkpoints().place(3)).expect("removed");
        }
        if done >= 3 {
            crate::snapshots::remove(&ground.checkpoints().place(2)).expect("removed");
        }
        assert!(Undo::is_begun(&ground.checkpoints()));
        let again = Undo::begun(&ground.checkpoints())
            .expect("read")
            .expect("one");
        again.take_back(&paths).expect("taken back");
        ground.finish(again);
        assert_eq!(ground.state(), expected, "{done}");
        assert!(!Undo::is_begun(&ground.checkpoints()));
    }
}

#[test]
fn an_undo_that_is_given_up_has_done_nothing() {
    let ground = Ground::new();
    ground.become_(1);
    ground.keep("one");
    ground.become_(2);
    let state = ground.state();
    ground.undo(1).intend().expect("intended");
    Undo::give_up(&ground.checkpoints()).expect("given up");
    assert_eq!(ground.state(), state);
    assert_eq!(
        Undo::begun(&ground.checkpoints())
            .expect("read")
            .map(|_| ()),
        None
    );
    Undo::give_up(&ground.checkpoints()).expect("nothing to give up");
}

#[test]
fn what_was_cut_off_flipped_or_exchanged_is_not_used() {
    type Harm = fn(&Ground);
    let harms: [(&str, Harm); 6] = [
        ("memory is not", |ground| {
            flip(&ground.checkpoints().base(Part::Memory));
        }),
        ("work.ext4 is not", |ground| {
            let file = File::options()
                .write(true)
                .open(ground.checkpoints().base(Part::WorkDisk));
            file.expect("there").set_len(SIZE - 4096).expect("cut");
        }),
        ("memory.before is not", |ground| {
            flip(&ground.checkpoints().place(2).join("memory.before"));
        }),
        ("devices is not", |ground| {
            fs::write(ground.checkpoints().place(1).join("devices"), "others").expect("written");
        }),
        ("manifest.json", |ground| {
            let path = ground.checkpoints().place(2).join("manifest.json");
            let text = fs::read_to_string(&path)
                .expect("read")
                .replace("one", "two");
            fs::remove_file(&path).expect("removed");
            fs::write(path, text).expect("written");
        }),
        ("system.ext4 is not", |ground| {
            let (one, two) = (
                ground.checkpoints().base(Part::SystemDisk),
                ground.at("other"),
            );
            fs::copy(ground.checkpoints().base(Part::WorkDisk), &two).expect("copied");
            flip(&two);
            fs::rename(two, one).expect("exchanged");
        }),
    ];
    for (what, harm) in harms {
        let ground = Ground::new();
        for number in 1..=2 {
            ground.become_(number);
            ground.keep("one");
        }
        harm(&ground);
        let judged = Undo::to(&ground.checkpoints(), 1)
            .and_then(|undo| undo.expect("there").verify(&ground.verified));
        let error = judged.expect_err(what);
        assert!(matches!(error, SnapshotError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

fn flip(path: &Path) {
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .expect("there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, 20).expect("read");
    file.write_all_at(&[byte[0] ^ 4], 20).expect("written");
}

#[test]
fn the_oldest_go_first_and_the_newest_stays() {
    let ground = Ground::new();
    let mut states = Vec::new();
    for number in 1..=5 {
        ground.become_(number);
        states.push(ground.state());
        ground.keep("one");
    }
    let checkpoints = ground.checkpoints();
    assert_eq!(checkpoints.keep_within(3, u64::MAX).expect("kept"), 2);
    assert_eq!(ground.numbers(), [3, 4, 5]);
    ground.undo(3).verify(&ground.verified).expect("whole");
    assert_eq!(checkpoints.keep_within(9, 1).expect("kept"), 2);
    assert_eq!(ground.numbers(), [5]);
    assert!(Undo::to(&checkpoints, 4).expect("listed").is_none());
    ground.become_(9);
    ground.go_back(5);
    assert_eq!(ground.state(), states[4]);
    checkpoints.clear().expect("cleared");
    assert_eq!(ground.numbers(), [0; 0]);
    checkpoints.clear().expect("nothing to clear");
}

#[test]
fn memory_that_a_guest_reads_still_or_a_snapshot_shares_is_not_written() {
    let ground = Ground::new();
    ground.become_(1);
    ground.keep("one");
    ground.become_(2);
    ground.go_back(1);
    let origin = ground.paths().origin().join("memory");
    let before = fs::read(&origin).expect("read");
    ground.become_(3);
    let making = ground.begin();
    assert_eq!(making.pages, Pages::Written);
    drop(making);
    ground.keep("two");
    assert_eq!(fs::read(&origin).expect("read"), before);
    let shared = ground.at("shared");
    fs::hard_link(ground.checkpoints().base(Part::Memory), &shared).expect("linked");
    let mut read_only = fs::metadata(&shared).expect("there").permissions();
    read_only.set_readonly(true);
    fs::set_permissions(&shared, read_only).expect("set");
    let before = fs::read(&shared).expect("read");
    ground.become_(4);
    ground.keep("three");
    assert_eq!(fs::read(&shared).expect("read"), before);
}

#[test]
fn a_base_of_another_run_is_compared_as_a_whole() {
    let ground = Ground::new();
    ground.become_(1);
    ground.keep("one");
    let origin = ground.paths().origin().join("memory");
    let making = Making::begin(&ground.checkpoints(), "another", &origin).expect("begun");
    assert_eq!(making.pages, Pages::Any);
}
