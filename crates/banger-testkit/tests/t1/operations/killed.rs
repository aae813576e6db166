//! The daemon is killed in the middle of an operation; the next one goes on with it.

use super::*;
use banger_testkit::checks::start;
use banger_testkit::world::{kill, signal};
use rustix::process::Signal;

#[test]
fn a_creation_goes_on_with_the_next_daemon_and_its_client_is_told_once() {
    let world = World::simulated();
    world.scenario("waits");
    let creating = begin(&world, &["vm", "create", "--name", "v"]);
    let op = reached(&world, "create", WAITING);
    world.kill_daemon();
    assert_eq!(reached(&world, "create", WAITING), op, "under the same id");
    go_on(&world);
    let ran = end(creating).good();
    assert_eq!(ran.text(), "v\n");
    for stage in ["making disks", "starting the VMM", WAITING] {
        assert_eq!(ran.stderr.matches(stage).count(), 1, "{}", ran.stderr);
    }
    assert_eq!(world.show("v")["state"], "running");
    assert_eq!(world.vmms().len(), 1);
    assert_eq!(outcomes(&world, "create"), ["done"]);
}

#[test]
fn a_creation_whose_client_is_gone_too_is_undone() {
    let world = World::simulated();
    world.scenario("waits");
    let mut creating = begin(&world, &["vm", "create", "--name", "v"]);
    reached(&world, "create", WAITING);
    // The daemon sees nothing of it: its client stands still until then.
    signal(creating.id(), Signal::STOP);
    world.kill_daemon();
    creating.kill().expect("killed");
    creating.wait().expect("ended");
    world.assert_nothing_left();
    assert_eq!(outcomes(&world, "create"), ["cancelled"]);
}

/// The outcome of an operation is not waited for on the disk: a power cut, or a full disk, may lose it.
#[test]
fn a_machine_that_has_run_is_kept_though_the_end_of_its_creation_was_lost() {
    for boot in ["boot", "'another'"] {
        let world = World::simulated();
        start(&world, "v");
        world.kill_daemon();
        world.damage(&format!(
            "UPDATE operations SET ended_at = NULL, outcome = NULL, boot = {boot}"
        ));
        let _ = world.run(["vm", "list"]).good();
        let ended = eventually("the end of the creation", LIMIT, || {
            let outcomes = outcomes(&world, "create");
            if outcomes == ["goes on"] {
                return Err(format!("{outcomes:?}"));
            }
            Ok(outcomes)
        });
        assert_eq!(ended, ["done"]);
        assert_eq!(world.show("v")["state"], "running");
    }
}

#[test]
fn a_start_goes_on_with_the_next_daemon() {
    let world = World::simulated();
    created(&world, "v");
    world.scenario("waits");
    let starting = begin(&world, &["vm", "start", "v"]);
    let op = reached(&world, "start", WAITING);
    world.kill_daemon();
    // Whoever follows it follows it, too, over the daemon's end.
    let following = begin(&world, &["operations", "follow", &op]);
    reached(&world, "start", WAITING);
    world.kill_daemon();
    go_on(&world);
    let _ = end(starting).good();
    assert_eq!(end(following).good().text(), format!("{op} done\n"));
    assert_eq!(world.show("v")["state"], "running");
    assert_eq!(world.vmms().len(), 1);
    assert_eq!(outcomes(&world, "start"), ["done"]);
}

#[test]
fn a_stop_goes_on_with_the_next_daemon_and_the_guest_is_not_killed() {
    let world = World::simulated();
    world.scenario("lingers");
    start(&world, "v");
    let stopping = begin(&world, &["vm", "stop", "v"]);
    reached(&world, "stop", "shutting the guest down");
    world.kill_daemon();
    let _ = world.run(["vm", "list"]).good();
    assert_eq!(world.vmms().len(), 1, "it is given its time");
    go_on(&world);
    let _ = end(stopping).good();
    let shown = world.show("v");
    assert_eq!(shown["state"], "stopped");
    assert_eq!(shown["reason"], Value::Null);
    assert_eq!(outcomes(&world, "stop"), ["done"]);
}

#[test]
fn of_a_restart_the_rest_is_done() {
    let world = World::simulated();
    start(&world, "v");
    let before = world.vmms();
    world.scenario("waits");
    let restarting = begin(&world, &["vm", "restart", "v"]);
    reached(&world, "restart", WAITING);
    world.kill_daemon();
    go_on(&world);
    let _ = end(restarting).good();
    assert_eq!(world.show("v")["state"], "running");
    let after = world.vmms();
    assert!(after.len() == 1 && after != before, "{before:?} {after:?}");
}

#[test]
fn whenever_the_daemon_is_killed_a_deletion_leaves_nothing_and_succeeds() {
    let world = World::simulated();
    for pause in [0, 1, 5, 20] {
        start(&world, "v");
        let deleting = begin(&world, &["vm", "rm", "v"]);
        // Not for a while, but at another moment each time.
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(pause) {
            std::hint::spin_loop();
        }
        if let Some(daemon) = world.daemon() {
            kill(daemon);
        }
        let ran = end(deleting);
        assert!(ran.code == Some(0), "{pause} ms: {}", ran.stderr);
        world.assert_nothing_left();
    }
}

#[test]
fn a_daemon_that_is_told_to_leave_leaves_its_operations_to_the_next() {
    let world = World::simulated();
    world.scenario("waits");
    let creating = begin(&world, &["vm", "create", "--name", "v"]);
    let op = reached(&world, "create", WAITING);
    let _ = world.run(["daemon", "stop"]).good();
    assert_eq!(reached(&world, "create", WAITING), op);
    go_on(&world);
    assert_eq!(end(creating).good().text(), "v\n");
    assert_eq!(outcomes(&world, "create"), ["done"]);
}
