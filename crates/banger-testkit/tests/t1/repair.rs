//! `banger repair`: what could not be removed, and what belongs to nobody.

use banger_testkit::checks::{run, start};
use banger_testkit::world::LIMIT;
use banger_testkit::{Ran, World, eventually};
use std::fs;
use std::path::PathBuf;

/// Makes a disk something that cannot be removed as one; gives back where it was put.
fn hinder(world: &World, name: &str) -> (PathBuf, PathBuf) {
    let (disk, kept) = (world.directory(name).join("work.ext4"), world.path("kept"));
    fs::rename(&disk, &kept).expect("moved");
    fs::create_dir(&disk).expect("made");
    (disk, kept)
}

fn says(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for said in words {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
}

#[test]
fn a_deletion_that_could_not_be_finished_is_shown_and_finished_by_a_repair() {
    let world = World::simulated();
    start(&world, "other");
    start(&world, "v");
    let (disk, _) = hinder(&world, "v");
    says(&world.run(["vm", "rm", "v"]), &["work.ext4"]);
    let shown = world.show("v");
    assert_eq!(shown["state"], "needs-repair", "{shown}");
    assert_eq!(shown["leftovers"][0]["object"], "work-disk", "{shown}");
    let why = shown["leftovers"][0]["why"].as_str().expect("a reason");
    assert!(why.contains("directory"), "{why}");
    let details = world.run(["vm", "show", "v"]).good().text();
    assert!(
        details.contains("left behind") && details.contains("work-disk"),
        "{details}"
    );

    for refused in [
        &["vm", "start", "v"][..],
        &["vm", "restart", "v"],
        &["vm", "set", "--nat", "v"],
        &["vm", "publish", "v", "0:80"],
        &["vm", "health", "v"],
    ] {
        says(&world.run(refused), &["banger repair v"]);
    }
    // Stopping is possible, and makes nothing of it that could be started.
    let _ = world.run(["vm", "stop", "v"]).good();
    assert_eq!(world.show("v")["state"], "needs-repair");
    says(&world.run(["repair"]), &["work.ext4"]);
    // A daemon that starts tries for itself, and knows what it left.
    world.kill_daemon();
    assert_eq!(world.show("v")["leftovers"][0]["object"], "work-disk");

    fs::remove_dir(&disk).expect("removed");
    let repaired = world.run(["repair"]).good();
    assert_eq!(repaired.text(), "v deleted\n");
    assert!(
        repaired.stderr.contains("to be removed"),
        "{}",
        repaired.stderr
    );
    assert_eq!(world.names(), ["other"]);
    let _ = world.run(["vm", "exec", "other", "--", "true"]).good();
    start(&world, "v");
    let _ = world.run(["vm", "rm", "v", "other"]).good();
    world.assert_nothing_left();
}

#[test]
fn a_deletion_that_failed_can_be_asked_for_again_and_is_tried_by_the_next_daemon() {
    let world = World::simulated();
    start(&world, "v");
    let (disk, _) = hinder(&world, "v");
    says(&world.run(["vm", "rm", "v"]), &["work.ext4"]);
    says(&world.run(["vm", "rm", "v"]), &["work.ext4"]);
    world.stop_daemon();
    fs::remove_dir(&disk).expect("removed");
    world.assert_nothing_left();
}

#[test]
fn a_repair_behind_a_deletion_finds_it_deleted_and_nothing_to_repair() {
    let world = World::simulated().with_faults();
    start(&world, "v");
    world.watch_places("v");
    world.ask_fault("v", "remove-work-disk.before", "hold");
    let begin = |arguments: &[&str]| banger_testkit::run::start(&mut world.banger(arguments));
    let end = |child| banger_testkit::run::finish(child, Vec::new(), LIMIT);
    let deleting = begin(&["vm", "rm", "v"]);
    eventually("the deletion to be held", LIMIT, || {
        match world.is_held("v", "remove-work-disk.before") {
            true => Ok(()),
            false => Err(world.passed("v")),
        }
    });
    let repairing = begin(&["repair", "--json", "v"]);
    eventually("the repair to have begun", LIMIT, || {
        let all = world.run(["operations"]).good().text();
        match all.contains("repair") {
            true => Ok(()),
            false => Err(all),
        }
    });
    world.lift_faults("v");
    let repaired = end(repairing).good().json();
    let repaired = repaired.get(0).unwrap_or(&repaired);
    assert_eq!(repaired["deleted"], true, "{repaired}");
    assert_eq!(repaired["report"], serde_json::json!([]), "{repaired}");
    let _ = end(deleting).good();
    says(&world.run(["repair", "v"]), &["there is no sandbox"]);
}

#[test]
fn what_is_as_it_should_be_is_not_changed_by_a_repair() {
    let world = World::simulated();
    start(&world, "runs");
    start(&world, "stopped");
    let _ = world.run(["vm", "stop", "stopped"]).good();
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "created"])
        .good();
    let vmms = world.vmms();
    let none = world.run(["repair"]).good();
    assert_eq!(none.text(), "");
    assert!(none.stderr.contains("nothing to repair"), "{}", none.stderr);
    let all = world.run(["repair", "runs", "stopped", "created"]).good();
    assert_eq!(
        all.text(),
        "runs is running: nothing to repair\nstopped is stopped: nothing to repair\n\
         created is created: nothing to repair\n"
    );
    assert_eq!(world.vmms(), vmms);
    let json = world.run(["repair", "--json", "runs"]).good().json();
    assert_eq!(json["sandbox"]["state"], "running");
    assert_eq!(
        (&json["deleted"], &json["report"]),
        (&false.into(), &serde_json::json!([]))
    );
    let json = world.run(["repair", "--json"]).good().json();
    assert_eq!(
        json,
        serde_json::json!({"sandboxes": [], "removed": [], "left": []})
    );
    says(&world.run(["repair", "nobody"]), &["nobody"]);
}

#[test]
fn what_no_machine_knows_is_removed_when_asked_and_never_with_a_work_disk() {
    let world = World::simulated();
    start(&world, "v");
    world.stop_daemon();
    let place = |name: &str| world.state().join("sandboxes").join(name);
    let (empty, with_disk, file) = (
        place(&"a".repeat(32)),
        place(&"b".repeat(32)),
        place("notes.txt"),
    );
    for directory in [&empty, &with_disk, &place("other")] {
        fs::create_dir(directory).expect("made");
        fs::write(directory.join("system.ext4"), "").expect("written");
    }
    fs::write(with_disk.join("work.ext4"), "mine").expect("written");
    fs::write(&file, "mine").expect("written");
    let socket = world.path("run").join("banger/vm/aaaaaaaa");
    fs::create_dir(&socket).expect("made");
    // A daemon names what it does not know, and leaves it.
    let _ = world.run(["vm", "exec", "v", "--", "true"]).good();
    eventually("the log", LIMIT, || {
        let log = fs::read_to_string(world.state().join("bangerd.log")).expect("a log");
        match log.contains("notes.txt: not made by banger") {
            true => Ok(()),
            false => Err(log),
        }
    });
    assert!(empty.exists() && socket.exists());

    let repaired = world.run(["repair", "--json"]).good().json();
    let paths = |key: &str| {
        let all = repaired[key].as_array().expect("a list").iter();
        let mut paths: Vec<PathBuf> = all
            .map(|stray| stray["path"].as_str().expect("a path").into())
            .collect();
        paths.sort();
        paths
    };
    let mut removed = vec![socket.clone(), empty.clone()];
    removed.sort();
    assert_eq!(paths("removed"), removed);
    assert_eq!(
        paths("left"),
        [with_disk.clone(), file.clone(), place("other")]
    );
    assert!(!empty.exists() && !socket.exists());
    assert_eq!(
        fs::read(with_disk.join("work.ext4")).expect("there"),
        b"mine"
    );
    assert_eq!(fs::read(&file).expect("there"), b"mine");
    let again = world.run(["repair"]).good();
    assert!(
        again.stderr.contains("take what you need of it"),
        "{}",
        again.stderr
    );
    let _ = world.run(["vm", "exec", "v", "--", "true"]).good();
    let _ = world.run(run(&["--rm", "--", "true"])).good();
}
