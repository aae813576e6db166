//! What is killed, and what goes on.

use super::start;
use crate::run::{self, Ran};
use crate::world::{LIMIT, kill, signal};
use crate::{World, eventually};
use std::io::{BufRead, BufReader};

/// # Panics
/// When a killed daemon takes a guest or a session with it.
pub fn guests_and_sessions_outlive_the_daemon(world: &World) {
    start(world, "v");
    let before = world.vmms();
    let script = "i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); sleep 0.01; done; exit 7";
    let mut child = run::start(&mut world.banger(["vm", "exec", "v", "--", "sh", "-c", script]));
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut lines = Vec::new();
    let mut line = String::new();
    while output.read_line(&mut line).expect("readable") > 0 {
        lines.push(std::mem::take(&mut line));
        if lines.len() == 50 {
            world.kill_daemon();
        }
    }
    let status = child.wait().expect("ended");
    let wanted: Vec<String> = (0..400).map(|i| format!("line {i}\n")).collect();
    assert_eq!(lines, wanted);
    assert_eq!(status.code(), Some(7));
    assert_eq!(world.vmms(), before);
    assert_eq!(world.show("v")["state"], "running");
}

/// # Panics
/// When a killed VMM is not noticed, or its sandbox cannot be started again with its disk.
pub fn a_killed_vmm_is_told_and_its_sandbox_starts_again(world: &World, keeps_files: bool) {
    start(world, "v");
    let file = world.guest_path("kept");
    let script = format!("echo precious > {file}; sync");
    let _ = world
        .run(["vm", "exec", "v", "--", "sh", "-c", &script])
        .good();
    world.vmms().into_iter().for_each(kill);
    let shown = eventually("the end to be noticed", LIMIT, || {
        let shown = world.show("v");
        if shown["state"] == "stopped" {
            Ok(shown)
        } else {
            Err(shown["state"].to_string())
        }
    });
    let reason = shown["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.contains("KILL") || reason.contains('9'), "{reason}");
    let refused = world.run(["vm", "exec", "v", "--", "true"]);
    assert_eq!(refused.code, Some(125), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("banger vm start v"),
        "{}",
        refused.stderr
    );
    let _ = world.run(["vm", "start", "v"]).good();
    if keeps_files {
        let ran = world.run(["vm", "exec", "v", "--", "cat", &file]);
        assert_eq!(ran.good().text(), "precious\n");
    }
}

/// # Panics
/// When a VMM that died while no daemon ran is not told.
pub fn a_vmm_that_died_without_a_daemon_is_told(world: &World) {
    start(world, "v");
    world.kill_daemon();
    world.vmms().into_iter().for_each(kill);
    let shown = eventually("the end to be noticed", LIMIT, || {
        let shown = world.show("v");
        if shown["state"] == "stopped" {
            Ok(shown)
        } else {
            Err(shown["state"].to_string())
        }
    });
    assert!(
        shown["reason"]
            .as_str()
            .expect("a reason")
            .contains("while no daemon ran")
    );
    let _ = world.run(["vm", "rm", "v"]).good();
    world.assert_nothing_left();
}

/// # Panics
/// When `--rm` leaves something behind after Ctrl-C or a killed client.
pub fn rm_removes_whatever_happened(world: &World) {
    let interrupted = |name: &str, sent| -> Ran {
        let arguments = super::run(&[
            "--rm",
            "--name",
            name,
            "--",
            "sh",
            "-c",
            "echo up; exec sleep 600",
        ]);
        let mut child = run::start(&mut world.banger(arguments));
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("readable");
        assert_eq!(line, "up\n");
        signal(child.id(), sent);
        child.stdout = Some(output.into_inner());
        run::finish(child, Vec::new(), LIMIT)
    };
    let ran = world.run(super::run(&["--rm", "--", "sh", "-c", "exit 3"]));
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(world.names().is_empty(), "gone when the client is");
    let ran = interrupted("a", rustix::process::Signal::INT);
    assert_eq!(ran.code, Some(130), "{}", ran.stderr);
    // Not by the daemon some time later, which is for clients that could not do it themselves.
    assert!(world.names().is_empty(), "gone when the client is");
    world.assert_nothing_left();
    let ran = interrupted("b", rustix::process::Signal::KILL);
    assert_eq!(ran.code, None);
    world.assert_nothing_left();
}
