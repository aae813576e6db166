//! Guests that lie, die or flood: a bounded amount of memory and a clear error.

use banger_testkit::checks::run as arguments;
use banger_testkit::{World, eventually, run};
use std::time::Duration;

/// Resident memory of a process in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("a line");
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number")
}

/// A guest that never comes up: the error says why, the sandbox is kept for its logs, no process or
/// socket is left.
fn does_not_come_up(scenario: &str, says: &str) {
    let world = World::simulated();
    world.configure("accelerator = \"tcg\"\nstart_limit_seconds = 3\n");
    world.scenario(scenario);
    let ran = world.run(arguments(&["--rm", "--name", "v", "--", "true"]));
    assert_eq!(ran.code, Some(125), "{ran:?}");
    assert!(
        ran.stderr.contains(says),
        "{scenario} should say {says:?}: {}",
        ran.stderr
    );
    assert!(ran.stderr.contains("banger vm logs v"), "{}", ran.stderr);
    assert_eq!(world.show("v")["state"], "stopped");
    assert!(world.vmms().is_empty());
    assert_eq!(
        std::fs::read_dir(world.path("run/banger/vm")).map_or(0, Iterator::count),
        0
    );
    let daemon = world.daemon().expect("a daemon");
    assert!(resident(daemon) < 60 * 1024, "{} KiB", resident(daemon));
    let _ = world.run(["vm", "logs", "v"]).good();
    let _ = world.run(["vm", "rm", "v"]).good();
    world.assert_nothing_left();
}

#[test]
fn a_guest_that_dies_is_told_with_what_its_vmm_said() {
    does_not_come_up("dies", "did not come up");
}

#[test]
fn a_silent_guest_is_given_up_in_time() {
    does_not_come_up("silent", "did not answer within 3 s");
}

#[test]
fn a_guest_that_did_not_come_up_is_tried_once_more_after_the_first_is_gone() {
    let world = World::simulated();
    world.configure("accelerator = \"tcg\"\nstart_limit_seconds = 3\n");
    world.scenario("silent");
    let child = run::start(&mut world.banger(arguments(&["-d", "--name", "v"])));
    // Made by the first guest, which has read its scenario then.
    eventually("the first guest's port", Duration::from_secs(40), || {
        let directories = std::fs::read_dir(world.path("run/banger/vm"));
        let mut entries = directories.into_iter().flatten().flatten();
        let is_there = entries.any(|entry| entry.path().join("agent.sock").exists());
        is_there.then_some(()).ok_or("not there")
    });
    world.scenario("");
    let ran = child.wait_with_output().expect("ended");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    assert!(said.contains("trying once more"), "{said}");
    assert_eq!(world.vmms().len(), 1, "one of two was left");
    let _ = world.run(["vm", "kill", "v"]).good();
    let _ = world.run(["vm", "rm", "v"]).good();
    world.assert_nothing_left();
}

#[test]
fn a_guest_that_answers_with_garbage_is_given_up() {
    does_not_come_up("garbage", "garbage");
}

#[test]
fn a_vmm_that_refuses_leaves_nothing_at_all() {
    let world = World::simulated();
    world.scenario("refuses");
    let ran = world.run(arguments(&["--rm", "--name", "v", "--", "true"]));
    assert_eq!(ran.code, Some(125), "{ran:?}");
    assert!(
        ran.stderr.contains("another machine uses this disk"),
        "{}",
        ran.stderr
    );
    world.assert_nothing_left();
}

#[test]
fn a_guest_that_floods_is_cut_off_and_costs_little() {
    let world = World::simulated();
    world.scenario("memory-hog");
    let ran = world.run(arguments(&["--rm", "--name", "v", "--", "true"]));
    assert_eq!(ran.code, Some(125), "{ran:?}");
    assert!(ran.stderr.contains("broke the protocol"), "{}", ran.stderr);
    let daemon = world.daemon().expect("a daemon");
    assert!(resident(daemon) < 60 * 1024, "{} KiB", resident(daemon));
    let _ = world.run(["vm", "rm", "v"]);
    world.assert_nothing_left();
}

#[test]
fn a_frame_that_never_ends_is_given_up_in_time() {
    let world = World::simulated();
    world.scenario("endless-frame");
    let ran = world.run(arguments(&["--rm", "--name", "v", "--", "true"]));
    assert_eq!(ran.code, Some(125), "{ran:?}");
    // Not by the limit of the call that waits for it, which is longer.
    assert!(ran.stderr.contains("does not end"), "{}", ran.stderr);
    let _ = world.run(["vm", "rm", "v"]);
    world.assert_nothing_left();
}

#[test]
fn a_deaf_guest_is_killed_in_the_end() {
    let world = World::simulated();
    banger_testkit::checks::start(&world, "v");
    world.scenario("deaf");
    // The scenario holds for the next start.
    let _ = world.run(["vm", "restart", "v"]).good();
    let _ = world.run(["vm", "kill", "v"]).good();
    assert_eq!(world.show("v")["state"], "stopped");
    assert!(world.vmms().is_empty());
}
