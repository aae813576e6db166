//! Undoing commands, through the whole daemon. The simulated guest notices when it goes on with memory and disks of
//! different moments.

use banger_testkit::checks::disks;
use banger_testkit::checks::refusal::is_refused;
use banger_testkit::{World, run};
use serde_json::Value;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

fn world(more: &str) -> World {
    let world = World::simulated();
    world.configure_small(more);
    world
}

fn create(world: &World, options: &[&str]) {
    let all = ["vm", "create", "--name", "dev", "--init", "none"];
    good(world, &[&all[..], options].concat());
}

fn good(world: &World, arguments: &[&str]) -> run::Ran {
    world.run(arguments).good()
}

/// A command that the guest's disk then knows of.
fn command(world: &World, text: &str) {
    good(world, &["exec", "dev", "--", "echo", text]);
    disks::write(world, "dev", text);
}

fn history(world: &World) -> Value {
    good(world, &["vm", "history", "dev", "--json"]).json()
}

fn commands(world: &World) -> Vec<String> {
    let listed = good(world, &["vm", "history", "dev", "-q"]).text();
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn commands_are_undone_one_by_one_and_several_at_once_and_it_is_the_same_machine() {
    let world = world("");
    create(&world, &["--checkpoint"]);
    let id = world.show("dev")["id"].clone();
    assert_eq!(world.show("dev")["checkpoint"], true);
    for text in ["one", "two", "six"] {
        command(&world, text);
    }
    assert_eq!(commands(&world), ["echo six", "echo two", "echo one"]);
    good(&world, &["vm", "undo", "dev"]);
    assert_eq!(disks::read(&world, "dev"), "two");
    let shown = world.show("dev");
    assert_eq!((&shown["state"], &shown["id"]), (&"running".into(), &id));
    assert_eq!(shown["run"]["resumed"], true);
    assert_eq!(commands(&world), ["echo two", "echo one"]);
    // It goes on, and what is done then is undone as well.
    command(&world, "new");
    assert_eq!(commands(&world), ["echo new", "echo two", "echo one"]);
    good(&world, &["vm", "undo", "dev", "2"]);
    assert_eq!(disks::read(&world, "dev"), "one");
    good(&world, &["exec", "--no-checkpoint", "dev", "--", "true"]);
    assert_eq!(commands(&world), ["echo one"]);
    good(&world, &["vm", "undo", "dev"]);
    assert_eq!(disks::read(&world, "dev"), "\0\0\0");
    is_refused(
        &world,
        &["vm", "undo", "dev"],
        "no command that can be undone",
    );
    good(&world, &["exec", "dev", "--", "true"]);
    is_refused(&world, &["vm", "undo", "dev", "2"], "only the last command");
    world.assert_nothing_corrupted();
    good(&world, &["rm", "dev"]);
    world.assert_nothing_left();
}

#[test]
fn what_runs_a_command_or_copies_into_the_guest_is_undone_and_other_machines_keep_nothing() {
    let world = world("checkpoint = true\n");
    let source = world.path("file");
    std::fs::write(&source, "x").expect("written");
    let copied = world.path("copied");
    let target = format!("dev:{}", copied.display());
    create(&world, &[]);
    good(
        &world,
        &["vm", "cp", &source.display().to_string(), &target],
    );
    good(
        &world,
        &[
            "vm",
            "cp",
            &target,
            &world.path("back").display().to_string(),
        ],
    );
    let kept = commands(&world);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(kept[0].starts_with("cp "), "{kept:?}");
    let plain = ["vm", "create", "--name", "plain", "--init", "none"];
    world.configure_small("");
    world.kill_daemon();
    good(&world, &plain);
    good(&world, &["exec", "plain", "--", "true"]);
    is_refused(&world, &["vm", "undo", "plain"], "--checkpoint");
    let none = good(&world, &["vm", "history", "plain", "--json"]).json();
    assert_eq!(
        (&none["kept"], &none["disk_used"]),
        (&false.into(), &0.into())
    );
}

#[test]
fn the_oldest_go_first_and_history_says_so() {
    let world = world("checkpoints = 2\n");
    create(&world, &["--checkpoint"]);
    for text in ["one", "two", "six"] {
        command(&world, text);
    }
    let shown = history(&world);
    assert_eq!(shown["gone"], 1);
    assert_eq!(shown["most"], 2);
    assert_eq!(shown["checkpoints"].as_array().map(Vec::len), Some(2));
    is_refused(&world, &["vm", "undo", "dev", "3"], "only the last 2");
    good(&world, &["vm", "undo", "dev", "2"]);
    assert_eq!(disks::read(&world, "dev"), "one");
    world.assert_nothing_corrupted();
}

#[test]
fn a_machine_is_undone_whatever_became_of_daemon_vmm_and_guest_since() {
    let world = world("");
    create(&world, &["--checkpoint"]);
    command(&world, "one");
    command(&world, "two");
    world.kill_daemon();
    good(&world, &["vm", "undo", "dev"]);
    assert_eq!(disks::read(&world, "dev"), "one");
    command(&world, "two");
    good(&world, &["vm", "kill", "dev"]);
    good(&world, &["vm", "undo", "dev"]);
    assert_eq!(
        (
            disks::read(&world, "dev").as_str(),
            world.show("dev")["state"].as_str()
        ),
        ("one", Some("running"))
    );
    // Another boot, and another run of the VMM, in between.
    good(&world, &["vm", "restart", "dev"]);
    command(&world, "two");
    good(&world, &["vm", "suspend", "dev"]);
    command(&world, "six");
    good(&world, &["vm", "undo", "dev", "3"]);
    assert_eq!(disks::read(&world, "dev"), "\0\0\0");
    good(&world, &["exec", "dev", "--", "true"]);
    world.assert_nothing_corrupted();
}

#[test]
fn snapshots_and_checkpoints_do_not_harm_each_other() {
    let world = world("");
    create(&world, &["--checkpoint"]);
    command(&world, "one");
    command(&world, "two");
    good(&world, &["vm", "undo", "dev"]);
    good(&world, &["vm", "snapshot", "dev", "good"]);
    good(&world, &["vm", "suspend", "dev"]);
    good(&world, &["vm", "snapshot", "dev", "asleep"]);
    command(&world, "new");
    good(&world, &["vm", "undo", "dev", "2"]);
    assert_eq!(disks::read(&world, "dev"), "\0\0\0");
    good(&world, &["vm", "restore", "dev", "asleep"]);
    assert_eq!(disks::read(&world, "dev"), "one");
    command(&world, "six");
    good(&world, &["vm", "restore", "dev", "good"]);
    command(&world, "ten");
    good(&world, &["vm", "undo", "dev"]);
    assert_eq!(disks::read(&world, "dev"), "one");
    world.assert_nothing_corrupted();
}

#[test]
fn a_damaged_checkpoint_is_not_used_and_the_machine_goes_on() {
    let world = world("");
    create(&world, &["--checkpoint"]);
    command(&world, "one");
    command(&world, "two");
    let base = disks::path(&world, "dev", "checkpoints/base/work.ext4");
    flip(&base);
    is_refused(
        &world,
        &["vm", "undo", "dev"],
        "work.ext4 is not what was saved",
    );
    assert_eq!(
        (
            disks::read(&world, "dev").as_str(),
            world.show("dev")["state"].as_str()
        ),
        ("two", Some("running"))
    );
    // What cannot be built on is given up, and the next command has one again.
    let manifest = disks::path(&world, "dev", "checkpoints/00000002/manifest.json");
    std::fs::remove_file(&manifest).expect("removed");
    std::fs::write(&manifest, "{").expect("written");
    let shown = history(&world);
    assert!(shown["trouble"].is_string(), "{shown}");
    command(&world, "new");
    assert_eq!(commands(&world), ["echo new"]);
    good(&world, &["vm", "undo", "dev"]);
    assert_eq!(disks::read(&world, "dev"), "two");
    world.assert_nothing_corrupted();
}

fn flip(path: &Path) {
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .expect("there");
    file.write_all_at(b"\x55", 4096 * 10).expect("written");
}

#[test]
fn a_command_before_which_no_checkpoint_can_be_made_is_not_run() {
    let world = world("").with_faults();
    create(&world, &["--checkpoint"]);
    let done = world.path("done");
    let touch = ["dev", "--", "touch", done.to_str().expect("text")];
    for place in [
        "begin-checkpoint.before",
        "keep-memory.after",
        "keep-disks.after",
        "publish-checkpoint.before",
    ] {
        world.watch_places("dev");
        world.ask_fault("dev", place, "fail");
        let ran = world.run([&["exec"][..], &touch].concat());
        world.lift_faults("dev");
        assert_eq!(ran.code, Some(125), "{place}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("the command was not run"),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains("--no-checkpoint"), "{}", ran.stderr);
        assert!(!done.exists(), "{place}");
        assert_eq!(commands(&world), [""; 0], "{place}");
        good(&world, &["exec", "--no-checkpoint", "dev", "--", "true"]);
    }
    good(&world, &[&["exec"][..], &touch].concat());
    assert!(done.exists());
    good(&world, &["vm", "undo", "dev"]);
    world.assert_nothing_corrupted();
}
