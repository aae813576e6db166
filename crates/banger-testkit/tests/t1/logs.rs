//! A log that is followed over the daemon's end.

use banger_testkit::{World, checks, run};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};

#[test]
fn a_log_that_is_followed_loses_and_doubles_nothing_when_daemons_are_killed_or_stopped() {
    let world = World::simulated();
    checks::start(&world, "v");
    let log = world.directory("v").join("console.log");
    let mut guest = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&log)
        .expect("opened");
    let before = std::fs::read_to_string(&log).expect("text").lines().count();
    let mut following = run::start(&mut world.banger(["vm", "logs", "-f", "v"]));
    let mut lines = BufReader::new(following.stdout.take().expect("a pipe")).lines();
    let mut printed = 0;
    let mut print = |count: usize| {
        for _ in 0..count {
            writeln!(guest, "line {printed}").expect("written");
            printed += 1;
        }
    };
    let mut next = || lines.next().expect("a line").expect("text");
    for _ in 0..before {
        next();
    }
    for (round, daemon) in ["killed", "stopped", "killed"].into_iter().enumerate() {
        if round == 1 {
            // It is followed as the machine that it was, not by what it was called.
            let _ = world.run(["vm", "rename", "v", "renamed"]).good();
        }
        print(50);
        for line in round * 100..round * 100 + 50 {
            assert_eq!(next(), format!("line {line}"));
        }
        match daemon {
            "killed" => world.kill_daemon(),
            _ => drop(world.run(["daemon", "stop"]).good()),
        }
        print(50);
        for line in round * 100 + 50..round * 100 + 100 {
            assert_eq!(next(), format!("line {line}"), "after it was {daemon}");
        }
    }
    let _ = world.run(["vm", "kill", "renamed"]).good();
    assert!(lines.next().is_none(), "it ends with its guest");
    assert!(following.wait().expect("ended").success());
}
