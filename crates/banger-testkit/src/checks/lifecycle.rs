//! Creating, starting, stopping, listing, deleting.

use super::{run, start};
use crate::World;
use crate::run as program;
use crate::world::LIMIT;

/// # Panics
/// When a sandbox does not go through its life as the verbs say.
pub fn a_sandbox_goes_through_its_life(world: &World) {
    let _ = world
        .run([
            "vm",
            "create",
            "--no-start",
            "--name",
            "v",
            "--init",
            "none",
        ])
        .good();
    assert_eq!(world.show("v")["state"], "created");
    assert!(world.vmms().is_empty());
    let _ = world.run(["vm", "start", "v"]).good();
    let shown = world.show("v");
    assert_eq!(shown["state"], "running");
    assert!(
        shown["run"]["times"]["agent_answered_ms"]
            .as_f64()
            .expect("a time")
            > 0.0
    );
    let first = shown["run"]["pid"].clone();
    let _ = world.run(["vm", "start", "v"]).good();
    assert_eq!(
        world.show("v")["run"]["pid"],
        first,
        "a second start changes nothing"
    );
    let _ = world.run(["vm", "restart", "v"]).good();
    assert_ne!(world.show("v")["run"]["pid"], first);
    let _ = world.run(["vm", "stop", "v"]).good();
    assert_eq!(world.show("v")["state"], "stopped");
    assert!(world.vmms().is_empty());
    let _ = world.run(["vm", "stop", "v"]).good();
    let _ = world.run(["vm", "start", "v"]).good();
    let _ = world.run(["vm", "kill", "v"]).good();
    assert_eq!(world.show("v")["state"], "stopped");
    let _ = world.run(["vm", "delete", "v"]).good();
    world.assert_nothing_left();
}

/// # Panics
/// When several at once disturb each other.
pub fn many_runs_at_once_work(world: &World, count: usize) {
    let children: Vec<_> = (0..count)
        .map(|i| {
            let word = format!("guest-{i}");
            program::start(&mut world.banger(run(&["--rm", "--", "echo", &word])))
        })
        .collect();
    for (i, child) in children.into_iter().enumerate() {
        let ran = program::finish(child, Vec::new(), LIMIT).good();
        assert_eq!(ran.text(), format!("guest-{i}\n"));
    }
    world.assert_nothing_left();
}

/// # Panics
/// When lists, short forms, prefixes and several references do not do what they say.
pub fn references_and_lists_do_what_they_say(world: &World) {
    start(world, "one");
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "two"])
        .good();
    assert_eq!(world.names(), ["one", "two"]);
    let running = world.run(["ps", "--json"]).good().json();
    assert_eq!(running.as_array().map(Vec::len), Some(1));
    let all = world.run(["ps", "-a", "--json"]).good().json();
    assert_eq!(all.as_array().map(Vec::len), Some(2));
    let id = world.show("one")["id"].as_str().expect("an id").to_owned();
    let ids = world.run(["vm", "list", "-q"]).good().text();
    assert!(
        ids.lines().any(|line| id.starts_with(line) || line == id),
        "{ids}"
    );
    assert_eq!(world.show(&id[..12])["name"], "one");
    let ran = world.run(["vm", "stop", "one", "nobody", "two"]);
    assert_eq!(
        ran.code,
        Some(1),
        "good targets proceed, the whole has failed"
    );
    assert!(ran.stderr.contains("nobody"), "{}", ran.stderr);
    assert_eq!(world.show("one")["state"], "stopped");
    let table = world.run(["vm", "list"]).good().text();
    assert!(
        table.contains("one") && table.contains("stopped"),
        "{table}"
    );
    let _ = world.run(["vm", "start", "one"]).good();
    let _ = world.run(["vm", "prune", "-f"]).good();
    assert_eq!(world.names(), ["one"], "prune leaves what runs");
    let _ = world.run(["rm", "one"]).good();
    world.assert_nothing_left();
}

/// # Panics
/// When ports, health or logs of a guest cannot be seen.
pub fn a_guest_can_be_looked_at(world: &World) {
    start(world, "v");
    let _ = world.run(["vm", "ports", "v"]).good();
    let ports = world.run(["vm", "ports", "--json", "v"]).good().json();
    assert!(ports.is_array() || ports.is_object(), "{ports}");
    let health = world.run(["vm", "health", "--json", "v"]).good().json();
    assert!(health.to_string().contains("memory_total_kib"), "{health}");
    let _ = world.run(["vm", "logs", "v"]).good();
    let doctor = world.run(["doctor", "--json"]).json();
    assert!(doctor.as_array().expect("checks").len() > 8);
}
