//! A daemon that is killed after it was told to cancel leaves that to the next one, and what could not be
//! recorded of an operation's end is not done once more.

use super::*;
use banger_testkit::world::kill;

/// Has an operation cancelled, and kills the daemon as soon as it has said so.
fn cancel_and_kill(world: &World, op: &str) {
    let path = format!("/v1/operations/{op}/cancel");
    let answer = banger_testkit::api::request(world, "POST", &path, None);
    assert_eq!(answer.expect("an answer").status, 200);
    kill(world.daemon().expect("a daemon"));
}

#[test]
fn what_was_cancelled_is_not_gone_on_with_by_the_next_daemon() {
    let world = World::simulated().with_faults();
    created(&world, "v");
    // A start whose undoing has not begun when the daemon is killed.
    world.watch_places("v");
    world.ask_fault("v", "remove-vmm.before", "hold");
    world.scenario("waits");
    let starting = begin(&world, &["vm", "start", "v"]);
    let op = reached(&world, "start", WAITING);
    cancel_and_kill(&world, &op);
    world.lift_faults("v");
    let ran = end(starting);
    assert!(
        ran.code == Some(1) && ran.stderr.contains("cancelled"),
        "{}",
        ran.stderr
    );
    assert_eq!(outcomes(&world, "start"), ["cancelled"]);
    assert_eq!(world.show("v")["state"], "stopped");
    assert!(world.vmms().is_empty());
    // One that waits in line behind another.
    let starting = begin(&world, &["vm", "start", "v"]);
    reached(&world, "start", WAITING);
    let stopping = begin(&world, &["vm", "stop", "v"]);
    let op = eventually("its place in line", LIMIT, || {
        let all = list(&world, &[]);
        let found = all.iter().find(|one| one["kind"] == "stop");
        let id = found.and_then(|one| one["id"].as_str());
        id.map(str::to_owned).ok_or(all.clone())
    });
    cancel_and_kill(&world, &op);
    assert!(end(stopping).stderr.contains("cancelled"));
    go_on(&world);
    let _ = end(starting).good();
    assert_eq!(outcomes(&world, "stop"), ["cancelled"]);
    assert_eq!(world.show("v")["state"], "running");
}

#[test]
fn of_a_creation_that_was_cancelled_nothing_is_left_though_its_client_comes_back() {
    let world = World::simulated().with_faults();
    world.scenario("waits");
    world.watch_places("v");
    world.ask_fault("v", "record-deleting.before", "hold");
    let creating = begin(&world, &["vm", "create", "--name", "v"]);
    let op = reached(&world, "create", WAITING);
    cancel_and_kill(&world, &op);
    world.lift_faults("v");
    go_on(&world);
    let ran = end(creating);
    assert!(
        ran.code == Some(1) && ran.stderr.contains("cancelled"),
        "{}",
        ran.stderr
    );
    world.assert_nothing_left();
    assert_eq!(outcomes(&world, "create"), ["cancelled"]);
}

#[test]
fn an_end_that_could_not_be_recorded_is_recorded_later_and_nothing_is_done_twice() {
    let world = World::simulated().with_faults();
    created(&world, "v");
    world.watch_places("v");
    world.ask_fault("v", "journal-ended.before", "fail");
    let _ = world.run(["vm", "start", "v"]).good();
    world.lift_faults("v");
    eventually("its end to be recorded", LIMIT, || {
        match outcomes(&world, "start").as_slice() {
            [done] if done == "done" => Ok(()),
            other => Err(other.to_vec()),
        }
    });
    let _ = world.run(["vm", "stop", "v"]).good();
    world.kill_daemon();
    let _ = world.run(["vm", "list"]).good();
    assert!(list(&world, &[]).is_empty());
    assert_eq!(world.show("v")["state"], "stopped");
}

#[test]
fn an_error_while_an_operation_is_recorded_refuses_it_and_it_is_not_begun_by_anybody() {
    let world = World::simulated().with_faults();
    created(&world, "v");
    for (fault, place) in [
        ("panic", "journal-begun.before"),
        ("panic", "journal-begun.after"),
        ("fail", "journal-begun.after"),
        ("full", "journal-begun.before"),
    ] {
        world.watch_places("v");
        world.ask_fault("v", place, fault);
        let ran = world.run(["vm", "start", "v"]);
        assert_eq!(ran.code, Some(1), "{fault} at {place}: {}", ran.stderr);
        world.lift_faults("v");
        assert!(list(&world, &[]).is_empty());
        world.kill_daemon();
        let _ = world.run(["vm", "list"]).good();
        assert!(list(&world, &[]).is_empty(), "{fault} at {place}");
        assert_eq!(world.show("v")["state"], "created");
    }
    // What frees room is done all the same.
    world.watch_places("v");
    world.ask_fault("v", "journal-begun.before", "full");
    let _ = world.run(["vm", "rm", "v"]);
    world.lift_faults("v");
    eventually("it to be gone", LIMIT, || {
        let _ = world.run(["vm", "rm", "v"]);
        match world.names().as_slice() {
            [] => Ok(()),
            left => Err(left.to_vec()),
        }
    });
}
