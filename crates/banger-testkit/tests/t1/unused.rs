//! `auto_stop_stale_after` and `suspend_after`: machines that nobody uses are stopped in order, or suspended,
//! and no others.

use banger_testkit::checks::{run as arguments, start};
use banger_testkit::world::LIMIT;
use banger_testkit::{World, eventually, run};

/// A world whose machines are stopped after two seconds without use.
fn world() -> World {
    let world = World::simulated();
    world.configure(
        "accelerator = \"tcg\"\nstart_limit_seconds = 20\nauto_stop_stale_after = \"2s\"\n",
    );
    world
}

fn is_stopped(world: &World, name: &str) {
    eventually("the machine to be stopped", LIMIT, || {
        let shown = world.show(name);
        match shown["state"].as_str() {
            Some("stopped") => Ok(()),
            other => Err(other.map(str::to_owned)),
        }
    });
}

#[test]
fn a_machine_is_kept_while_a_command_runs_and_stopped_after_it() {
    let world = world();
    let mark = world.path("told");
    let mut command = world.banger(arguments(&["--name", "v", "--", "sh", "-c"]));
    // It ends by itself, after more rounds than an unused machine lives.
    command.arg(format!("sleep 9; touch {}", mark.display()));
    let ran = run::finish(run::start(&mut command), Vec::new(), LIMIT);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(mark.exists(), "the command came to its end");
    is_stopped(&world, "v");
    assert_eq!(world.show("v")["reason"], "nothing used it for 2 s");
    let events = world.run(["vm", "events", "v"]).good().text();
    let stopped = events.lines().find(|line| line.contains("stopped"));
    assert!(
        stopped.is_some_and(|line| line.contains("nothing used it")),
        "{events}"
    );
    let log = std::fs::read_to_string(world.state().join("bangerd.log")).expect("a log");
    assert!(log.contains("nothing uses it"), "told in the log, too");
    let _ = world.run(["vm", "start", "v"]).good();
    assert_eq!(
        world.show("v").get("reason"),
        None,
        "it starts again as any other"
    );
}

#[test]
fn who_only_looks_does_not_keep_a_machine() {
    let world = world();
    start(&world, "v");
    eventually(
        "the machine to be stopped though it is looked at",
        LIMIT,
        || {
            for look in [&["vm", "stats", "v"][..], &["vm", "ping", "v"]] {
                let _may_be_stopped = world.run(look.iter().copied());
            }
            match world.show("v")["state"].as_str() {
                Some("stopped") => Ok(()),
                other => Err(other.map(str::to_owned)),
            }
        },
    );
}

#[test]
fn an_ephemeral_machine_keeps_its_own_rule() {
    let world = world();
    let mut command = world.banger(arguments(&["--rm", "--name", "v", "--", "sleep", "6"]));
    let ran = run::finish(run::start(&mut command), Vec::new(), LIMIT);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let events = world.run(["vm", "events"]).good().text();
    assert!(!events.contains("nothing used it"), "{events}");
    world.assert_nothing_left();
}

#[test]
fn without_the_setting_nothing_is_stopped() {
    let world = World::simulated();
    start(&world, "kept");
    let other = self::world();
    start(&other, "v");
    // Both had the same time.
    is_stopped(&other, "v");
    assert_eq!(world.show("kept")["state"], "running");
}

#[test]
fn a_setting_that_is_no_time_is_refused_by_its_name() {
    let world = World::simulated();
    world.configure("accelerator = \"tcg\"\nauto_stop_stale_after = \"soon\"\n");
    let ran = world.run(["ps"]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("auto_stop_stale_after"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_machine_that_nobody_uses_is_suspended_and_goes_on_when_somebody_does() {
    let world = World::simulated();
    world.configure("accelerator = \"tcg\"\nstart_limit_seconds = 20\nsuspend_after = \"2s\"\n");
    start(&world, "v");
    for _ in 0..2 {
        eventually("the machine to be suspended", LIMIT, || {
            let shown = world.show("v");
            match shown["state"].as_str() {
                Some("suspended") => Ok(()),
                other => Err(other.map(str::to_owned)),
            }
        });
        assert_eq!(world.show("v")["reason"], "nothing used it for 2 s");
        let ran = world.run(["vm", "exec", "v", "--", "echo", "awake"]).good();
        assert_eq!(ran.text(), "awake\n");
    }
    let events = world.run(["vm", "events", "v"]).good().text();
    let suspended = events.lines().filter(|line| line.contains("suspended"));
    assert_eq!(suspended.count(), 2, "{events}");
    let _ = world.run(["vm", "rm", "v"]).good();
    world.assert_nothing_left();
}
