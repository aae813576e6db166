//! The audit log: who asked for what, and what came of it.

use banger_testkit::{World, checks, eventually, run};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// The lines, once there is one that is looked for: they are written behind the answers.
fn until(world: &World, what: &str, is_it: impl Fn(&Value) -> bool) -> Vec<Value> {
    eventually(what, LIMIT, || {
        let lines = world.lines("audit.jsonl");
        if lines.iter().any(&is_it) {
            Ok(lines)
        } else {
            Err(lines)
        }
    })
}

fn with_verb<'a>(lines: &'a [Value], verb: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["verb"] == verb).collect()
}

#[test]
fn each_request_is_recorded_with_who_asked_and_what_came_of_it() {
    let world = World::simulated();
    let child = run::start(&mut world.banger(["vm", "create", "--name", "v"]));
    let pid = child.id();
    let _ = run::finish(child, Vec::new(), LIMIT).good();
    let is_creation = |line: &Value| line["verb"] == "POST /v1/sandboxes";
    let lines = until(&world, "the creation", is_creation);
    let created = with_verb(&lines, "POST /v1/sandboxes");
    assert_eq!(created.len(), 1, "{lines:?}");
    let (line, op) = (created[0], created[0]["op"].clone());
    assert_eq!(
        (line["pid"].as_u64(), line["status"].as_u64()),
        (Some(pid.into()), Some(200))
    );
    assert_eq!(line["uid"], rustix::process::getuid().as_raw());
    assert!(
        op.as_str().is_some_and(|op| op.starts_with("op-")),
        "{line}"
    );
    let is_outcome = |line: &Value| line["op"] == op && line["outcome"] == "done";
    let lines = until(&world, "its outcome", is_outcome);
    let outcome = lines.iter().find(|line| is_outcome(line)).expect("there");
    assert_eq!(outcome["sandbox"], world.show("v")["id"]);
    assert!(outcome["took_ms"].is_u64() && line["time"].is_string());
    let mode = std::fs::metadata(world.state().join("audit.jsonl")).expect("there");
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
}

#[test]
fn refusals_are_recorded_and_looking_is_not() {
    let world = World::simulated();
    let _ = world.run(["vm", "list"]).good();
    let _ = world.run(["doctor"]);
    assert_ne!(world.run(["vm", "stop", "nobody"]).code, Some(0));
    assert_ne!(world.run(["vm", "show", "nobody"]).code, Some(0));
    let lines = until(&world, "the refusals", |line| {
        line["verb"] == "GET /v1/sandboxes/{sandbox}"
    });
    let stop = with_verb(&lines, "POST /v1/sandboxes/{sandbox}/stop");
    assert_eq!(stop.len(), 1);
    assert_eq!(
        (&stop[0]["target"], &stop[0]["fault"]),
        (&"nobody".into(), &"not_found".into())
    );
    for quiet in ["GET /v1/version", "GET /v1/sandboxes", "GET /v1/doctor"] {
        assert!(with_verb(&lines, quiet).is_empty(), "{lines:?}");
    }
}

#[test]
fn a_command_is_recorded_by_its_program_and_no_secret_of_it() {
    let world = World::simulated();
    checks::start(&world, "v");
    let secrets = [
        "--env",
        "TOKEN=hush-hush",
        "v",
        "--",
        "sh",
        "-c",
        "exit 3 # hush-hush",
    ];
    let ran = world.run([&["vm", "exec"][..], &secrets].concat());
    assert_eq!(ran.code, Some(3));
    let file = world.path("hush-hush.txt");
    std::fs::write(&file, "hush-hush").expect("written");
    let target = format!("v:{}", world.guest_path("copied"));
    let _ = world
        .run(["vm", "cp", file.to_str().expect("text"), &target])
        .good();
    let lines = until(&world, "the copy", |line| {
        line["verb"] == "PUT /v1/sandboxes/{sandbox}/files"
    });
    let program = lines
        .iter()
        .find(|line| line["program"] == "sh")
        .expect("a command");
    assert_eq!(program["arguments"], 2);
    let of_it = |line: &&Value| line["op"] == program["op"];
    let (asked, ended) = (lines.iter().find(of_it), lines.iter().rfind(of_it));
    assert_eq!(
        asked.expect("asked")["verb"],
        "GET /v1/sandboxes/{sandbox}/exec"
    );
    assert_eq!(asked.expect("asked")["target"], "v");
    assert_eq!(ended.expect("ended")["outcome"], "exit status 3");
    let copied = with_verb(&lines, "PUT /v1/sandboxes/{sandbox}/files");
    assert!(
        copied[0]["path"]
            .as_str()
            .is_some_and(|path| path.ends_with("copied")),
        "{copied:?}"
    );
    let text = std::fs::read_to_string(world.state().join("audit.jsonl")).expect("read");
    assert!(!text.contains("hush-hush"), "{text}");
}

#[test]
fn a_log_that_cannot_be_written_stops_nobody_and_is_said_once() {
    let world = World::simulated();
    let log = world.state().join("audit.jsonl");
    std::fs::remove_file(&log).expect("removed");
    std::fs::create_dir(&log).expect("in its way");
    checks::start(&world, "v");
    let _ = world.run(["vm", "rm", "v"]).good();
    world.stop_daemon();
    let said = std::fs::read_to_string(world.state().join("bangerd.log")).expect("read");
    let said = said
        .lines()
        .filter(|line| line.contains("audit log cannot be written"));
    assert_eq!(said.count(), 1);
    // The next daemon has a log again, and the one before its gap is not hidden by it.
    std::fs::remove_dir(&log).expect("removed");
    assert_ne!(world.run(["vm", "stop", "nobody"]).code, Some(0));
    until(&world, "the log to go on", |line| {
        line["target"] == "nobody"
    });
}
