//! Commands of a real guest that are undone.

use banger_testkit::checks::disks;
use banger_testkit::{Ran, World, eventually};
use std::time::{Duration, Instant};

/// How long an emulated guest may take for a hundred counts.
const LIMIT: Duration = Duration::from_secs(120);

/// Counts in the memory of a shell, and tells how far it is in a file that is in memory as well.
const COUNTS: &str = "(i=0; while :; do i=$((i+1)); echo $i > /run/count; sleep 0.05; done) \
                      >/dev/null 2>&1 < /dev/null &";

fn sh(world: &World, script: &str) -> Ran {
    world.run(["vm", "exec", "v", "--", "sh", "-ec", script])
}

/// Looks without a checkpoint.
fn look(world: &World, script: &str) -> String {
    let arguments = [
        "vm",
        "exec",
        "--no-checkpoint",
        "v",
        "--",
        "sh",
        "-ec",
        script,
    ];
    world.run(arguments).good().text()
}

fn count(world: &World) -> u64 {
    // It may be empty for a moment.
    let text = look(
        world,
        "while ! [ -s /run/count ]; do sleep 0.01; done; cat /run/count",
    );
    text.trim().parse().unwrap_or(0)
}

fn counts_beyond(world: &World, number: u64) -> u64 {
    eventually("the counter to go on", LIMIT, || match count(world) {
        now if now > number => Ok(now),
        now => Err(now),
    })
}

#[test]
fn files_and_running_programs_are_what_they_were_and_it_goes_on_and_back_again() {
    let world = World::real();
    let create = [
        "vm",
        "create",
        "--name",
        "v",
        "--checkpoint",
        "--wait",
        "init",
    ];
    let small = ["--memory", "512MiB", "--disk-size", "256MiB"];
    let _ = world.run([&create[..], &small[..]].concat()).good();
    let _ = sh(&world, COUNTS).good();
    let boot = look(&world, "cat /etc/machine-id");
    for round in ["first", "second"] {
        let earlier = counts_beyond(&world, 0);
        let write = format!("echo {round} > /root/{round}; echo x > /etc/{round}; sync");
        let begun = Instant::now();
        let _ = sh(&world, &write).good();
        println!("{round}: command with its checkpoint {:?}", begun.elapsed());
        assert_eq!(look(&world, &format!("cat /root/{round}")).trim(), round);
        let later = counts_beyond(&world, earlier + 40);
        let begun = Instant::now();
        let _ = world.run(["vm", "undo", "v"]).good();
        println!("{round}: undo {:?}", begun.elapsed());
        let back = count(&world);
        assert!(back < later, "{earlier}, {later}, then {back}");
        let gone = format!("! [ -e /root/{round} ] && ! [ -e /etc/{round} ] && echo gone");
        assert_eq!(look(&world, &gone).trim(), "gone");
        counts_beyond(&world, back);
        let _ = sh(&world, "echo kept >> /root/kept").good();
    }
    assert_eq!(look(&world, "cat /root/kept"), "kept\nkept\n");
    let now = look(&world, "cat /etc/machine-id");
    assert_eq!(now, boot, "it is the same machine");
    let _ = world.run(["vm", "stop", "v"]).good();
    disks::are_clean(&world, "v");
    let _ = world.run(["vm", "rm", "v"]).good();
    world.assert_nothing_left();
}
