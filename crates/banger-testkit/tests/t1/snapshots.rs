//! Keeping moments of a machine, going back to them, suspending, forking and templates, through the whole
//! daemon. The simulated guest notices when it goes on with memory and disks of different moments.

use banger_testkit::checks::refusal::is_refused;
use banger_testkit::checks::{disks, start};
use banger_testkit::{World, run};
use serde_json::Value;

fn good(world: &World, arguments: &[&str]) -> run::Ran {
    world.run(arguments).good()
}

fn resumed(world: &World, name: &str) -> Value {
    world.show(name)["run"]["resumed"].clone()
}

#[test]
fn a_machine_is_taken_back_to_a_snapshot_and_is_the_same_machine() {
    let world = World::simulated();
    world.configure_small("");
    start(&world, "dev");
    let id = world.show("dev")["id"].clone();
    disks::write(&world, "dev", "one");
    good(&world, &["vm", "snapshot", "dev", "good"]);
    assert_eq!(world.show("dev")["state"], "running");
    disks::write(&world, "dev", "two");
    let listed = good(&world, &["vm", "snapshots", "dev", "--json"]).json();
    assert_eq!(listed[0]["tag"], "good");
    assert_eq!(listed[0]["memory"], true);
    good(&world, &["vm", "restore", "dev", "good"]);
    let shown = world.show("dev");
    assert_eq!((&shown["state"], &shown["id"]), (&"running".into(), &id));
    assert_eq!(resumed(&world, "dev"), true);
    assert_eq!(disks::read(&world, "dev"), "one");
    good(&world, &["exec", "dev", "--", "true"]);
    good(&world, &["vm", "snapshots", "dev", "--rm", "good"]);
    is_refused(
        &world,
        &["vm", "restore", "dev", "good"],
        "no snapshot good",
    );
    assert_eq!(world.show("dev")["state"], "running");
    world.assert_nothing_corrupted();
}

#[test]
fn a_suspended_machine_has_no_vmm_and_is_woken_by_who_uses_it() {
    let world = World::simulated();
    world.configure_small("");
    start(&world, "dev");
    good(&world, &["vm", "suspend", "dev"]);
    assert_eq!(world.show("dev")["state"], "suspended");
    assert!(world.vmms().is_empty());
    // It is so already; what it is to be cannot change.
    good(&world, &["vm", "suspend", "dev"]);
    is_refused(&world, &["vm", "set", "dev", "--nat"], "suspended");
    world.kill_daemon();
    assert_eq!(world.show("dev")["state"], "suspended");
    good(&world, &["exec", "dev", "--", "true"]);
    assert_eq!(resumed(&world, "dev"), true);
    // Saved once more, what it has not written since comes from where it went on.
    good(&world, &["vm", "suspend", "dev"]);
    good(&world, &["vm", "resume", "dev"]);
    assert_eq!(world.show("dev")["state"], "running");
    good(&world, &["vm", "suspend", "dev"]);
    good(&world, &["vm", "stop", "dev"]);
    assert_eq!(world.show("dev")["state"], "stopped");
    good(&world, &["vm", "start", "dev"]);
    assert_eq!(resumed(&world, "dev"), false);
    world.assert_nothing_corrupted();
    good(&world, &["rm", "dev"]);
    world.assert_nothing_left();
}

#[test]
fn a_fork_goes_on_as_another_machine_and_the_first_one_runs_on() {
    let world = World::simulated();
    world.configure_small("");
    start(&world, "dev");
    disks::write(&world, "dev", "one");
    let ran = good(&world, &["vm", "fork", "dev", "-n", "2", "--name", "try"]);
    assert_eq!(ran.text(), "try-1\ntry-2\n");
    let ids = ["dev", "try-1", "try-2"].map(|name| world.show(name)["id"].to_string());
    assert_eq!(
        ids.iter().collect::<std::collections::BTreeSet<_>>().len(),
        3
    );
    for name in ["try-1", "try-2"] {
        assert_eq!(resumed(&world, name), true);
        assert_eq!(disks::read(&world, name), "one");
        good(&world, &["exec", name, "--", "true"]);
        let log = good(&world, &["vm", "logs", "--source", "vmm", name]).text();
        assert!(log.contains(&format!("guest {name} has resumed")), "{log}");
    }
    // The moment that they are of was only for them.
    let left = good(&world, &["vm", "snapshots", "dev", "-q"]).text();
    assert_eq!(left, "");
    disks::write(&world, "try-1", "two");
    assert_eq!(disks::read(&world, "dev"), "one");
    // A fork of a fork, of one that does not run, and of a snapshot.
    good(&world, &["vm", "fork", "try-1", "--name", "deep"]);
    assert_eq!(disks::read(&world, "deep"), "two");
    good(&world, &["vm", "snapshot", "dev", "good"]);
    good(&world, &["vm", "stop", "dev"]);
    good(&world, &["vm", "fork", "dev", "--name", "cold"]);
    assert_eq!(resumed(&world, "cold"), false);
    good(
        &world,
        &["vm", "fork", "dev", "--from", "good", "--name", "warm"],
    );
    assert_eq!(resumed(&world, "warm"), true);
    is_refused(
        &world,
        &["vm", "fork", "dev", "--from", "none"],
        "no snapshot none",
    );
    is_refused(&world, &["vm", "fork", "nobody"], "nobody");
    world.assert_nothing_corrupted();
}

#[test]
fn what_cannot_be_saved_or_loaded_is_refused_and_harms_nothing() {
    let world = World::simulated();
    world.configure_small("");
    start(&world, "dev");
    good(&world, &["vm", "snapshot", "dev", "good"]);
    is_refused(&world, &["vm", "snapshot", "dev", "good"], "already");
    assert_eq!(world.run(["vm", "snapshot", "dev", "../x"]).code, Some(2));
    let snapshot = disks::path(&world, "dev", "snapshots/good");
    let devices = snapshot.join("devices");
    let mut bytes = std::fs::read(&devices).expect("read");
    bytes[3] ^= 1;
    std::fs::remove_file(&devices).expect("removed");
    std::fs::write(&devices, bytes).expect("written");
    is_refused(&world, &["vm", "restore", "dev", "good"], "devices");
    is_refused(&world, &["vm", "fork", "dev", "--from", "good"], "devices");
    assert_eq!(world.show("dev")["state"], "running");
    std::fs::remove_file(snapshot.join("memory")).expect("removed");
    let listed = good(&world, &["vm", "snapshots", "dev", "--json"]).json();
    let trouble = listed[0]["trouble"].as_str().expect("told");
    assert!(trouble.contains("memory is not there"), "{trouble}");
    good(&world, &["exec", "dev", "--", "true"]);
    good(&world, &["vm", "stop", "dev"]);
    is_refused(&world, &["vm", "suspend", "dev"], "not running");
    assert_eq!(world.names(), ["dev"]);
}

#[test]
fn what_was_saved_by_another_vmm_is_booted_and_the_reason_is_said() {
    let world = World::simulated();
    world.configure_small("");
    start(&world, "dev");
    good(&world, &["vm", "suspend", "dev"]);
    let memory = disks::path(&world, "dev", "resume/memory");
    std::fs::remove_file(&memory).expect("removed");
    let ran = good(&world, &["vm", "start", "dev"]);
    assert!(
        ran.stderr.contains("booting from its disks"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("memory is not there"), "{}", ran.stderr);
    assert_eq!(resumed(&world, "dev"), false);
}

#[test]
fn later_machines_go_on_from_a_template() {
    let world = World::simulated();
    world.configure_small("templates = \"prepared\"\n");
    start(&world, "first");
    assert_eq!(resumed(&world, "first"), false);
    let made = good(&world, &["image", "prepare", "--init", "none"]);
    assert!(made.stderr.contains("rehearsing"), "{}", made.stderr);
    assert!(!made.stderr.contains("not rehearsed"), "{}", made.stderr);
    // The machine that it was made of is gone.
    assert_eq!(world.names(), ["first"]);
    let keys = good(&world, &["template", "list", "-q"]).text();
    assert_eq!(keys.lines().count(), 1, "{keys}");
    start(&world, "second");
    assert_eq!(resumed(&world, "second"), true);
    good(&world, &["exec", "second", "--", "true"]);
    let again = good(&world, &["image", "prepare", "--init", "none"]);
    assert!(again.stderr.contains("one already"), "{}", again.stderr);
    good(
        &world,
        &["vm", "create", "--cold", "--init", "none", "--name", "cold"],
    );
    assert_eq!(resumed(&world, "cold"), false);
    good(
        &world,
        &[
            "vm", "create", "--memory", "128MiB", "--init", "none", "--name", "larger",
        ],
    );
    assert_eq!(resumed(&world, "larger"), false);
    good(&world, &["template", "rm", keys.trim()]);
    is_refused(&world, &["template", "rm", keys.trim()], "no template");
    is_refused(&world, &["template", "rm", "../images"], "no template");
    start(&world, "third");
    assert_eq!(resumed(&world, "third"), false);
    // What went on from it does so still.
    good(&world, &["exec", "second", "--", "true"]);
    world.assert_nothing_corrupted();
}

/// What is only to make it quicker makes no template fail.
#[test]
fn a_template_whose_guest_cannot_rehearse_is_made_all_the_same_and_that_is_said() {
    // A network of its own is there to be left; one in user mode is the same for all.
    for (world, is_bridged) in [
        (World::simulated(), false),
        (World::simulated_bridged(), true),
    ] {
        let configuration = world.path("config/banger/config.toml");
        let off = std::fs::read_to_string(configuration).expect("written");
        world.configure_exactly(&off.replace("templates = \"off\"", "templates = \"prepared\""));
        world.scenario("forgetful");
        let made = good(&world, &["image", "prepare", "--init", "none"]).stderr;
        let told = |what: &str| made.contains(&format!("has not {what}: it has forgotten how"));
        assert!(told("rehearsed a resume"), "{made}");
        assert_eq!(told("left its network"), is_bridged, "{made}");
        world.scenario("");
        start(&world, "dev");
        assert_eq!(resumed(&world, "dev"), true);
    }
}
