//! What is recorded of operations, and asked twice.

use super::*;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// What `curl --unix-socket -H "banger-op: …"` would send and get.
fn post(world: &World, path: &str, op: &str) -> String {
    let mut connection = UnixStream::connect(world.socket()).expect("a daemon");
    write!(
        connection,
        "POST {path} HTTP/1.1\r\nHost: banger\r\nConnection: close\r\nContent-Length: 0\r\nbanger-op: {op}\r\n\r\n"
    )
    .expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_request_that_is_sent_again_with_its_id_begins_nothing() {
    let world = World::simulated();
    created(&world, "v");
    let path = "/v1/sandboxes/v/start";
    for _ in 0..2 {
        let answer = post(&world, path, "op-abcdef");
        let has = |text: &str| answer.contains(text);
        assert!(has("banger-op: op-abcdef") && has("\"done\""), "{answer}");
    }
    // As well when the operation has ended under another daemon.
    world.kill_daemon();
    let _ = world.run(["vm", "list"]).good();
    assert!(post(&world, path, "op-abcdef").contains("\"done\""));
    assert_eq!(outcomes(&world, "start"), ["done"]);
    let refused = post(&world, path, "op-nonsense");
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
}

#[test]
fn an_entry_of_a_later_banger_is_ended_as_failed_and_hinders_nothing() {
    let world = World::simulated();
    created(&world, "v");
    world.stop_daemon();
    world.damage(
        "INSERT INTO operations (id, form, kind, name, request, boot, begun_at)
         VALUES ('op-abcdef', 1, 'fork', 'v', '{\"kind\":\"fork\"}', '', 1);",
    );
    assert_eq!(world.names(), ["v"]);
    assert_eq!(outcomes(&world, "fork"), ["failed"]);
    let ran = world.run(["operations", "follow", "op-abcdef"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("does not understand"), "{}", ran.stderr);
}

#[test]
fn a_start_of_a_host_that_was_restarted_meanwhile_has_failed() {
    let world = World::simulated();
    created(&world, "v");
    world.stop_daemon();
    let id = "(SELECT id FROM sandboxes)";
    world.damage(&format!(
        "INSERT INTO operations (id, form, kind, sandbox, name, request, boot, begun_at)
         VALUES ('op-abcdef', 1, 'start', {id}, 'v', '{{\"kind\":\"start\",\"wait\":\"agent\"}}', 'earlier', 1);"
    ));
    let ran = world.run(["operations", "follow", "op-abcdef"]);
    assert!(
        ran.stderr.contains("the host was restarted"),
        "{}",
        ran.stderr
    );
    assert_eq!(world.show("v")["state"], "created");
}

#[test]
fn the_list_is_a_table_for_people_and_ids_when_quiet() {
    let world = World::simulated();
    created(&world, "v");
    let table = world.run(["operations", "--all"]).good().text();
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("OPERATION  KIND"), "{table}");
    assert!(
        lines[3].contains("create") && lines[3].contains("done"),
        "{table}"
    );
    let quiet = world.run(["operations", "--all", "-q"]).good().text();
    assert!(quiet.lines().all(|line| line.starts_with("op-")), "{quiet}");
    assert_eq!(world.run(["operations", "-q"]).good().text(), "");
}
