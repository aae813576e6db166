//! A real guest that waited before somebody asked for it.

use banger_testkit::{World, eventually};
use std::time::Duration;

const SMALL: [&str; 4] = ["--memory", "512MiB", "--disk-size", "256MiB"];

/// How long it may take until one waits: eight resumes on an idle machine.
const LIMIT: Duration = Duration::from_secs(120);

fn until_one_waits(world: &World) {
    eventually("one to wait", LIMIT, || {
        let status = world.run(["daemon", "status", "--json"]).good().json();
        match status["pooled"] == 1 && status["operations"] == 0 {
            true => Ok(()),
            false => Err(status),
        }
    });
}

fn text(world: &World, name: &str, script: &str) -> String {
    let ran = world.run(["vm", "exec", name, "--", "sh", "-ec", script]);
    ran.good().text()
}

fn create(world: &World, name: &str, more: &[&str]) -> String {
    let create = ["vm", "create", "--name", name];
    let ran = world.run([&create, &SMALL[..], more].concat()).good();
    ran.stderr
}

#[test]
fn a_guest_that_waited_is_the_machine_that_was_asked_for() {
    let world = World::real();
    world.configure("templates = \"prepared\"\npool_size = 1\n");
    let prepare = [&["image", "prepare"], &SMALL[..]].concat();
    let _ = world.run(prepare).good();
    create(&world, "first", &[]);
    until_one_waits(&world);
    let told = create(&world, "second", &["-p", "0:8080"]);
    assert!(told.contains("from the pool"), "{told}");
    let who = "hostname; cat /etc/machine-id; head -c 16 /dev/urandom | sha256sum";
    let [first, second] = ["first", "second"].map(|name| text(&world, name, who));
    let (first, second): (Vec<_>, Vec<_>) = (first.lines().collect(), second.lines().collect());
    assert_eq!((first[0], second[0]), ("first", "second"));
    assert_ne!(first[1], second[1]);
    assert_ne!(first[2], second[2]);
    // Nothing of the command that ran in it is left, and it keeps what is written to it as any other.
    let files = ["first", "second"].map(|name| text(&world, name, "ls -A /root /tmp"));
    assert_eq!(files[0], files[1]);
    let state = text(&world, "second", "systemctl is-system-running || true");
    assert!(
        state.starts_with("running") || state.starts_with("degraded"),
        "{state}"
    );
    let _ = text(&world, "second", "echo kept > /root/file; sync");
    let _ = world.run(["vm", "restart", "second"]).good();
    assert_eq!(
        text(&world, "second", "cat /root/file; hostname"),
        "kept\nsecond\n"
    );
    let _ = world.run(["vm", "rm", "first", "second"]).good();
    world.stop_daemon();
    world.assert_nothing_left();
}
