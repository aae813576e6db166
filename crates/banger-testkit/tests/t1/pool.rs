//! Machines that wait before anybody asks for one: whose they are, when there are some, and what becomes of them.

use banger_testkit::checks::refusal::is_refused;
use banger_testkit::checks::{disks, start};
use banger_testkit::world::LIMIT;
use banger_testkit::{World, api, eventually};
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::thread;

const ONE: &str = "templates = \"prepared\"\npool_size = 1\n";

/// A world with a template, and a machine of its kind that nobody has asked for.
fn world_with_one_waiting(world: World) -> (World, String) {
    world.configure_small(ONE);
    let _ = world.run(["image", "prepare", "--init", "none"]).good();
    start(&world, "first");
    let waiting = waiting(&world);
    (world, waiting)
}

fn directories(world: &World) -> BTreeSet<String> {
    let listed = std::fs::read_dir(world.state().join("sandboxes"));
    let entries = listed.into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.collect()
}

fn id(world: &World, name: &str) -> String {
    let shown = world.show(name)["id"].clone();
    shown.as_str().expect("an id").to_owned()
}

/// How many wait, once nothing goes on.
fn pooled(world: &World) -> Option<u64> {
    // Starts a daemon where there is none.
    let _ = world.run(["ps"]).good();
    let status = world.run(["daemon", "status", "--json"]).good().json();
    let goes_on = status["operations"] != 0;
    status["pooled"].as_u64().filter(|_| !goes_on)
}

/// The id of the one that waits, once it can be had.
fn waiting(world: &World) -> String {
    eventually("one to wait", LIMIT, || match pooled(world) {
        Some(1) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let own: BTreeSet<_> = world.names().iter().map(|name| id(world, name)).collect();
    let all = directories(world);
    let mut others = all.difference(&own);
    let one = others.next().expect("its directory").clone();
    assert_eq!(others.next(), None, "only one");
    one
}

#[test]
fn the_next_machine_of_its_kind_is_the_one_that_waited_and_nobody_touched_it_before() {
    let (world, waited) = world_with_one_waiting(World::simulated());
    assert_eq!(world.names(), ["first"], "it is in no list");
    for verb in [
        &["exec", waited.as_str(), "--", "true"][..],
        &["vm", "stop", &waited],
        &["vm", "set", &waited, "--nat"],
        &["vm", "rename", &waited, "mine"],
        &["vm", "snapshot", &waited],
        &["vm", "suspend", &waited],
        &["vm", "fork", &waited],
    ] {
        is_refused(&world, verb, "waits in the pool");
    }
    start(&world, "second");
    assert_eq!(id(&world, "second"), waited);
    let second = world.show("second");
    assert_eq!(second["run"]["resumed"], true);
    assert_eq!(second["run"]["times"]["vmm_up_ms"], 0.0, "{second}");
    disks::write(&world, "second", "mine");
    let again = waiting(&world);
    assert_ne!(again, waited);
    // One without a name has the one that it was given before.
    let _ = world.run(["vm", "create", "--init", "none"]).good();
    let ids: BTreeSet<_> = world.names().iter().map(|name| id(&world, name)).collect();
    assert!(ids.contains(&again), "{ids:?}");
    let ran = world.run(["vm", "run", "--rm", "--init", "none", "--", "echo", "ran"]);
    assert_eq!(ran.good().text(), "ran\n");
    let names = world.names();
    let _ = world
        .run(
            ["vm", "rm"]
                .into_iter()
                .chain(names.iter().map(String::as_str)),
        )
        .good();
    // Nobody's machines go with an orderly end.
    let _ = waiting(&world);
    world.stop_daemon();
    world.assert_nothing_left();
}

/// To whoever follows, a machine is created when somebody gets it.
#[test]
fn events_tell_of_a_machine_only_once_it_is_somebodys() {
    let (world, waited) = world_with_one_waiting(World::simulated());
    let of_it = |world: &World| -> Vec<String> {
        let lines = world.lines("events.jsonl").into_iter();
        let of_it = lines.filter(|line| line["sandbox"] == waited.as_str());
        of_it
            .map(|line| format!("{} {}", line["name"], line["event"]))
            .collect()
    };
    assert_eq!(of_it(&world), [""; 0]);
    start(&world, "second");
    eventually("both events", LIMIT, || match of_it(&world) {
        told if told == ["\"second\" \"created\"", "\"second\" \"started\""] => Ok(()),
        told => Err(told),
    });
}

#[test]
fn what_cannot_be_that_machine_leaves_it_waiting_or_is_made_anew() {
    let (world, waited) = world_with_one_waiting(World::simulated());
    is_refused(
        &world,
        &["vm", "create", "--name", "first", "--init", "none"],
        "first already",
    );
    for other in [
        &["--memory", "128MiB"][..],
        &["--cold"],
        // In user mode that is on the VMM's command line.
        &["--nat"],
        &["--no-start"],
    ] {
        let create = ["vm", "create", "--name", "other", "--init", "none"];
        let _ = world.run([&create, other].concat()).good();
        assert_ne!(id(&world, "other"), waited, "{other:?}");
        let _ = world.run(["vm", "rm", "other"]).good();
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let create = ["vm", "create", "--name", "busy", "--init", "none", "-p"];
    is_refused(&world, &[&create[..], &[&port]].concat(), "has that port");
    assert_eq!(world.names(), ["first"]);
}

#[test]
fn several_creations_at_once_get_different_machines() {
    let (world, waited) = world_with_one_waiting(World::simulated());
    thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let world = &world;
            scope.spawn(move || start(world, name));
        }
    });
    let ids: BTreeSet<_> = ["a", "b", "c", "d"].map(|name| id(&world, name)).into();
    assert_eq!(ids.len(), 4);
    assert!(ids.contains(&waited), "one of them got it");
}

#[test]
fn what_waits_outlives_its_daemon_and_is_had_from_the_next_one() {
    let (world, waited) = world_with_one_waiting(World::simulated());
    world.kill_daemon();
    assert_eq!(waiting(&world), waited);
    start(&world, "second");
    assert_eq!(id(&world, "second"), waited);
    // The owner wants no pool any more.
    waiting(&world);
    world.kill_daemon();
    world.configure_small("templates = \"prepared\"\n");
    eventually("none to wait", LIMIT, || match pooled(&world) {
        Some(0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let _ = world.run(["vm", "rm", "first", "second"]).good();
    world.assert_nothing_left();
}

#[test]
fn a_guest_that_ended_while_it_waited_is_replaced() {
    let (world, waited) = world_with_one_waiting(World::simulated());
    let pid = world.show(&waited)["run"]["pid"].as_u64().expect("a VMM");
    banger_testkit::world::kill(u32::try_from(pid).expect("a pid"));
    eventually("another to wait", LIMIT, || {
        let others: Vec<_> = directories(&world)
            .into_iter()
            .filter(|id| *id != waited)
            .collect();
        match (pooled(&world), others.len()) {
            (Some(1), 2) if !directories(&world).contains(&waited) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    start(&world, "second");
}

#[test]
fn what_waits_goes_before_a_machine_is_refused_for_want_of_memory() {
    let (world, waited) = world_with_one_waiting(World::simulated());
    world.kill_daemon();
    world.configure_small(&format!("{ONE}memory_reserve = \"1024GiB\"\n"));
    waiting(&world);
    // Of another kind, so that it cannot be the one that waits.
    let create = ["vm", "create", "--name", "new", "--cold", "--init", "none"];
    is_refused(&world, &create, "fit");
    assert!(!directories(&world).contains(&waited), "it made room");
    // And there is none to spare for another.
    thread::park_timeout(std::time::Duration::from_secs(5));
    assert_eq!(pooled(&world), Some(0));
}

/// Wherever the daemon is killed while somebody gets the machine: they have it, whole and once.
#[test]
fn a_daemon_that_is_killed_while_it_gives_one_away_has_given_it() {
    for side in ["before", "after"] {
        let (world, waited) = world_with_one_waiting(World::simulated().with_faults());
        let unnamed = world.show(&waited)["name"].clone();
        // By then it has been recorded under its new name.
        let name = match side {
            "after" => "second",
            _ => unnamed.as_str().expect("a name"),
        };
        let place = format!("take.{side}");
        world.watch_places(name);
        world.ask_fault(name, &place, "hold");
        thread::scope(|scope| {
            let creating = scope.spawn(|| start(&world, "second"));
            eventually("it to be held", LIMIT, || {
                match world.is_held(name, &place) {
                    true => Ok(()),
                    false => Err(world.passed(name)),
                }
            });
            world.kill_daemon();
            world.lift_faults(name);
            creating.join().expect("it is told that it is there");
        });
        assert_eq!(id(&world, "second"), waited, "{side}");
        let health = api::get(&world, "/v1/sandboxes/second/health");
        assert_eq!(health.expect("an answer").status, 200);
        disks::write(&world, "second", "mine");
    }
}

/// What fails while somebody gets it is nobody's: nothing is left of it, and its name is free.
#[test]
fn one_that_cannot_be_had_after_all_is_removed() {
    let (world, _) = world_with_one_waiting(World::simulated().with_faults());
    for (place, fault) in [
        ("take.before", "fail"),
        ("take.after", "fail"),
        ("take.after", "panic"),
    ] {
        let waited = waiting(&world);
        let unnamed = world.show(&waited)["name"].clone();
        let unnamed = unnamed.as_str().expect("a name");
        for name in [unnamed, "second"] {
            world.watch_places(name);
            world.ask_fault(name, place, fault);
        }
        let create = ["vm", "create", "--name", "second", "--init", "none"];
        assert_eq!(world.run(create).code, Some(1), "{place} {fault}");
        for name in [unnamed, "second"] {
            world.lift_faults(name);
        }
        assert_eq!(world.names(), ["first"], "{place} {fault}");
        assert!(!directories(&world).contains(&waited), "{place} {fault}");
    }
    start(&world, "second");
}
