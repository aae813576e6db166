//! What is cancelled is undone, what waits gives up its place, and what cannot be undone says so.

use super::*;
use banger_testkit::checks::start;

fn cancel(world: &World, op: &str) -> Ran {
    world.run(["operations", "cancel", op])
}

#[test]
fn of_a_cancelled_creation_nothing_is_left() {
    let world = World::simulated();
    world.scenario("waits");
    let creating = begin(&world, &["vm", "create", "--name", "v"]);
    let op = reached(&world, "create", WAITING);
    let ran = cancel(&world, &op).good();
    assert_eq!(ran.text(), format!("{op} cancelled\n"));
    // When it has ended, not some time later.
    assert!(world.names().is_empty() && world.vmms().is_empty());
    let ran = end(creating);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("cancelled"), "{}", ran.stderr);
    world.assert_nothing_left();
    let again = cancel(&world, &op);
    assert!(
        again.stderr.contains("has ended already"),
        "{}",
        again.stderr
    );
}

#[test]
fn a_cancelled_start_is_undone_to_stopped_and_can_be_had_again() {
    let world = World::simulated();
    created(&world, "v");
    world.scenario("waits");
    let starting = begin(&world, &["vm", "start", "v"]);
    let op = reached(&world, "start", WAITING);
    let _ = cancel(&world, &op).good();
    assert_eq!(end(starting).code, Some(1));
    assert!(world.vmms().is_empty());
    assert_eq!(world.show("v")["state"], "stopped");
    go_on(&world);
    let _ = world.run(["vm", "start", "v"]).good();
    assert_eq!(outcomes(&world, "start"), ["cancelled", "done"]);
}

#[test]
fn a_stop_that_has_begun_is_refused_with_the_reason() {
    let world = World::simulated();
    world.scenario("lingers");
    start(&world, "v");
    let stopping = begin(&world, &["vm", "stop", "v"]);
    let op = reached(&world, "stop", "shutting the guest down");
    let refused = cancel(&world, &op);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("called back"), "{}", refused.stderr);
    go_on(&world);
    let _ = end(stopping).good();
    let unknown = cancel(&world, "op-000000");
    assert!(
        unknown.stderr.contains("no operation"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn requests_for_one_machine_are_done_in_order_and_one_that_is_cancelled_gives_up_its_place() {
    let world = World::simulated();
    created(&world, "v");
    world.scenario("waits");
    let starting = begin(&world, &["vm", "start", "v"]);
    reached(&world, "start", WAITING);
    let in_line = |verb: &str, before: usize| {
        let child = begin(&world, &["vm", verb, "v"]);
        let op = eventually("its place in line", LIMIT, || {
            let all = list(&world, &[]);
            match all.get(before) {
                Some(found) => Ok(found["id"].as_str().expect("an id").to_owned()),
                None => Err(all),
            }
        });
        (child, op)
    };
    let (unwanted, op) = in_line("restart", 1);
    let (stopping, _) = in_line("stop", 2);
    let (again, _) = in_line("start", 3);
    let _ = cancel(&world, &op).good();
    let ran = end(unwanted);
    assert!(ran.stderr.contains("had not begun"), "{}", ran.stderr);
    go_on(&world);
    for child in [starting, stopping, again] {
        let _ = end(child).good();
    }
    assert_eq!(world.show("v")["state"], "running", "the last one's wish");
    let ended = list(&world, &["--all"]);
    let kinds: Vec<_> = ended
        .iter()
        .map(|one| (&one["kind"], &one["outcome"]))
        .collect();
    let is = |at: usize, kind: &str, outcome: &str| {
        assert_eq!(kinds[at], (&kind.into(), &outcome.into()), "{kinds:?}");
    };
    // Behind the import of image and kernel, and the creation.
    for (at, kind, outcome) in [
        (3, "start", "done"),
        (4, "restart", "cancelled"),
        (5, "stop", "done"),
        (6, "start", "done"),
    ] {
        is(at, kind, outcome);
    }
}

#[test]
fn another_machine_is_created_and_deleted_while_one_waits() {
    let world = World::simulated();
    created(&world, "v");
    world.scenario("waits");
    let starting = begin(&world, &["vm", "start", "v"]);
    reached(&world, "start", WAITING);
    created(&world, "w");
    let _ = world.run(["vm", "rm", "w"]).good();
    assert_eq!(list(&world, &[]).len(), 1, "the first one waits still");
    go_on(&world);
    let _ = end(starting).good();
}
