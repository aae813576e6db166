//! An ephemeral machine whose client has left is removed; never one that is not yet its client's.

use super::matrix::world;
use super::scenario::{ephemeral, show};
use banger_testkit::eventually;
use std::time::Duration;

/// Four times the time for which one without a client is kept.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn one_that_is_being_made_is_not_removed_for_want_of_a_client_however_old_its_daemon_is() {
    let world = world();
    let place = "record-running.after";
    ephemeral(&world, "left");
    world.watch_places("held");
    world.ask_fault("held", place, "hold");
    std::thread::scope(|scope| {
        let making = scope.spawn(|| ephemeral(&world, "held"));
        eventually("it to be held", LIMIT, || {
            match world.is_held("held", place) {
                true => Ok(()),
                false => Err(world.passed("held")),
            }
        });
        // The daemon has looked, and is older than what it waits for a client.
        eventually("the other to be removed", LIMIT, || {
            show(&world, "left")
                .map(|shown| shown.map_or(Ok(()), Err))
                .expect("an answer")
        });
        world.lift_faults("held");
        making.join().expect("made");
    });
    let shown = show(&world, "held").expect("an answer").expect("there");
    assert_eq!(shown["state"], "running", "{shown}");
}
