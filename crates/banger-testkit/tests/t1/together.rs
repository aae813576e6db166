//! Many machines at once: what one of them waits for, no other one does.

use banger_testkit::checks::start;
use banger_testkit::world::LIMIT;
use banger_testkit::{World, api, eventually, run};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a list may take, whatever goes on: on an idle machine it is a few milliseconds.
const LIST_LIMIT: Duration = Duration::from_secs(5);
/// How long all that goes on at once may take. What is stuck is so for longer: see [`configure`].
const ALL_LIMIT: Duration = Duration::from_secs(80);

/// A start may wait longer for its agent than anything here takes.
fn configure(world: &World) {
    world.configure("accelerator = \"tcg\"\nstart_limit_seconds = 600\n");
}

fn begin(world: &World, arguments: &[&str]) -> Child {
    run::start(&mut world.banger(arguments))
}

fn state(world: &World, name: &str) -> String {
    world.show(name)["state"]
        .as_str()
        .expect("a state")
        .to_owned()
}

/// One machine whose guest never answers while it starts, and one that does not power off while it is
/// stopped: both operations take minutes.
fn two_that_are_stuck(world: &World) -> [Child; 2] {
    world.scenario("deaf");
    start(world, "deaf");
    let stopping = begin(world, &["vm", "stop", "deaf"]);
    eventually("a machine that stops", LIMIT, || {
        match state(world, "deaf").as_str() {
            "stopping" => Ok(()),
            other => Err(other.to_owned()),
        }
    });
    world.scenario("silent");
    let sockets = || {
        let machines = std::fs::read_dir(world.path("run/banger/vm")).expect("there");
        let listening = |vm: &std::fs::DirEntry| vm.path().join("agent.sock").exists();
        machines.flatten().filter(listening).count()
    };
    let before = sockets();
    let starting = begin(
        world,
        &["vm", "run", "-d", "--init", "none", "--name", "mute"],
    );
    eventually(
        "a VMM that has read its scenario",
        LIMIT,
        || match sockets() {
            now if now > before => Ok(()),
            now => Err(now),
        },
    );
    world.scenario("");
    [starting, stopping]
}

/// Asks for the list until it is told to end; the longest that one took, and how many there were.
fn lists(world: &World, end: &AtomicBool) -> (Duration, usize) {
    let (mut longest, mut count) = (Duration::ZERO, 0);
    while !end.load(Ordering::SeqCst) {
        let answer = api::get(world, "/v1/sandboxes").expect("an answer");
        assert_eq!(answer.status, 200);
        longest = longest.max(answer.took);
        count += 1;
    }
    (longest, count)
}

#[test]
fn no_operation_waits_for_another_machine_s_and_the_list_answers_all_the_time() {
    let world = World::simulated();
    configure(&world);
    let names = |prefix: &str, count: usize| -> Vec<String> {
        (0..count).map(|index| format!("{prefix}{index}")).collect()
    };
    let (used, deleted) = (names("used", 4), names("deleted", 4));
    for name in used.iter().chain(&deleted[..2]) {
        start(&world, name);
    }
    for name in &deleted[2..] {
        let create = ["vm", "create", "--no-start", "--name", name];
        let _ = world.run(create).good();
    }
    let mut stuck = two_that_are_stuck(&world);

    let mut all = Vec::new();
    for name in names("made", 4) {
        all.push(begin(
            &world,
            &["vm", "create", "--no-start", "--name", &name],
        ));
    }
    for name in names("run", 4) {
        all.push(begin(
            &world,
            &["vm", "run", "-d", "--init", "none", "--name", &name],
        ));
    }
    for name in used.iter().chain(&used) {
        all.push(begin(&world, &["vm", "exec", name, "--", "true"]));
    }
    for name in &deleted {
        all.push(begin(&world, &["vm", "rm", name]));
    }
    let end = AtomicBool::new(false);
    let begun = Instant::now();
    let (longest, count) = std::thread::scope(|scope| {
        let listing = scope.spawn(|| lists(&world, &end));
        for child in all {
            let left = ALL_LIMIT.saturating_sub(begun.elapsed());
            let ended = run::finish(child, Vec::new(), left);
            end.store(ended.code != Some(0), Ordering::SeqCst);
            let _ = ended.good();
        }
        end.store(true, Ordering::SeqCst);
        listing.join().expect("lists")
    });
    assert!(longest < LIST_LIMIT, "a list took {longest:?}");
    assert!(count > 0);
    for child in &mut stuck {
        assert!(child.try_wait().expect("a child").is_none(), "still stuck");
    }
    assert_eq!(state(&world, "mute"), "starting");
    assert_eq!(state(&world, "deaf"), "stopping");
    assert_eq!(world.names().len(), 4 + 4 + 4 + 2);

    // Nor does taking them away wait for what they are stuck in.
    let _ = world.run(["vm", "rm", "mute", "deaf"]).good();
    for child in stuck {
        let overtaken = run::finish(child, Vec::new(), LIMIT);
        assert_ne!(overtaken.code, Some(0));
    }
}

#[test]
fn a_machine_that_is_deleted_while_it_is_created_is_gone_and_its_creator_is_told() {
    let world = World::simulated();
    configure(&world);
    world.scenario("silent");
    let creating = begin(
        &world,
        &["vm", "run", "-d", "--init", "none", "--name", "v"],
    );
    eventually("a VMM", LIMIT, || match world.vmms().as_slice() {
        [] => Err("none"),
        _ => Ok(()),
    });
    // Its creation fails then, and takes back what it has made: a second deletion, which must not
    // come in between the first.
    let _ = world.run(["vm", "rm", "v"]).good();
    let created = run::finish(creating, Vec::new(), LIMIT);
    assert_eq!(created.code, Some(125), "{}", created.stderr);
    assert!(
        created.stderr.contains("came in between"),
        "{}",
        created.stderr
    );
    world.assert_nothing_left();
}
