//! The image's own init as PID 1.

use banger_testkit::World;

#[test]
fn systemd_runs_as_pid_1_and_settles_and_powers_off() {
    let world = World::real();
    let _ = world
        .run([
            "vm", "run", "-d", "--name", "v", "--init", "systemd", "--wait", "init",
        ])
        .good();
    let shown = world.show("v");
    assert!(
        shown["run"]["times"]["init_settled_ms"]
            .as_f64()
            .expect("a time")
            > 0.0,
        "{shown}"
    );
    assert_eq!(shown["run"]["init_started"], true);
    let seen = world
        .run(["vm", "exec", "v", "--", "cat", "/proc/1/comm"])
        .good();
    assert_eq!(seen.text(), "systemd\n");
    let state = world.run(["vm", "exec", "v", "--", "systemctl", "is-system-running"]);
    assert!(
        ["running\n", "degraded\n", "starting\n"].contains(&state.text().as_str()),
        "{state:?}"
    );
    // A session and a file outlive a daemon that is killed while systemd runs.
    let _ = world
        .run(["vm", "exec", "v", "--", "sh", "-c", "echo x > /root/x"])
        .good();
    world.kill_daemon();
    let seen = world
        .run(["vm", "exec", "v", "--", "cat", "/root/x"])
        .good();
    assert_eq!(seen.text(), "x\n");
    let _ = world.run(["vm", "stop", "v"]).good();
    assert_eq!(world.show("v")["state"], "stopped");
    assert!(world.vmms().is_empty());
}

#[test]
fn a_command_does_not_wait_for_systemd_and_auto_finds_it() {
    let world = World::real();
    let ran = world.run(["vm", "run", "--rm", "--", "uname", "-s"]).good();
    assert_eq!(ran.text(), "Linux\n");
    world.assert_nothing_left();
}

#[test]
fn a_guest_that_powers_itself_off_is_shown_as_stopped_with_the_reason() {
    let world = World::real();
    let _ = world
        .run([
            "vm", "run", "-d", "--name", "v", "--init", "systemd", "--wait", "init",
        ])
        .good();
    // The guest may be gone before the command's end is told.
    let asked = world.run([
        "vm",
        "exec",
        "v",
        "--",
        "systemctl",
        "poweroff",
        "--no-block",
    ]);
    assert!(!asked.stderr.contains("bus"), "{asked:?}");
    banger_testkit::eventually("the end", banger_testkit::world::LIMIT, || {
        let shown = world.show("v");
        if shown["state"] == "stopped" && shown["reason"].is_string() {
            Ok(())
        } else {
            Err(shown.to_string())
        }
    });
}
