//! The daemon on demand: races, builds, its socket, how it leaves.

use banger_testkit::{World, eventually, run};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// What `curl --unix-socket` would send and get.
fn request(world: &World, line: &str) -> String {
    let mut connection = UnixStream::connect(world.socket()).expect("a daemon");
    write!(
        connection,
        "{line} HTTP/1.1\r\nHost: banger\r\nConnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn clients_that_race_start_one_daemon() {
    let world = World::bare();
    let children: Vec<_> = (0..8)
        .map(|_| run::start(&mut world.banger(["vm", "list", "--json"])))
        .collect();
    for child in children {
        assert_eq!(
            run::finish(child, Vec::new(), LIMIT).good().text().trim(),
            "[]"
        );
    }
    eventually("one daemon", LIMIT, || match world.processes().as_slice() {
        [_] => Ok(()),
        several => Err(several.to_vec()),
    });
}

#[test]
fn the_socket_is_the_owners_alone_and_serves_its_description() {
    let world = World::bare();
    let _ = world.run(["vm", "list"]).good();
    let mode = std::fs::metadata(world.socket())
        .expect("a socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let answer = request(&world, "GET /v1/openapi.json");
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("/v1/sandboxes"),
        "{answer}"
    );
    let answer = request(&world, "GET /v1/version").to_lowercase();
    assert!(
        answer.contains("banger-version:") && answer.contains("banger-build:"),
        "{answer}"
    );
    let answer = request(&world, "GET /v9/nothing");
    assert!(
        answer.starts_with("HTTP/1.1 404") && answer.contains("openapi.json"),
        "{answer}"
    );
    let answer = request(&world, "GET /v1/sandboxes/nobody");
    assert!(
        answer.contains("\"not_found\"") && answer.contains("nobody"),
        "{answer}"
    );
}

#[test]
fn an_idle_daemon_leaves_and_the_next_command_starts_another() {
    let world = World::bare();
    world.configure("accelerator = \"tcg\"\nidle_exit_seconds = 1\n");
    let _ = world.run(["vm", "list"]).good();
    eventually("the daemon to leave", LIMIT, || {
        world.daemon().map_or(Ok(()), Err)
    });
    assert!(!world.socket().exists());
    let _ = world.run(["vm", "list"]).good();
}

#[test]
fn a_command_right_behind_the_end_of_a_daemon_gets_another() {
    let world = World::bare();
    let mut daemons = Vec::new();
    for _ in 0..15 {
        let _ = world.run(["vm", "list"]).good();
        daemons.push(world.daemon());
        let _ = world.run(["daemon", "stop"]).good();
    }
    let stopped = daemons.len();
    daemons.dedup();
    assert_eq!(daemons.len(), stopped, "{daemons:?}");
}

#[test]
fn commands_while_a_daemon_takes_its_time_to_leave_get_the_next_one() {
    let world = World::bare();
    let _ = world.run(["vm", "list"]).good();
    let first = world.daemon().expect("a daemon");
    // Somebody who has begun to ask and does not go on: the daemon gives them two seconds.
    let mut slow = UnixStream::connect(world.socket()).expect("a daemon");
    write!(slow, "GET /v1/version HTTP/1.1\r\n").expect("sent");
    let stopping = run::start(&mut world.banger(["daemon", "stop"]));
    eventually(
        "a daemon that serves no more",
        LIMIT,
        || match UnixStream::connect(world.socket()) {
            Ok(_) => Err("it serves"),
            Err(_) => Ok(()),
        },
    );
    assert!(
        world.processes().contains(&first),
        "it was to take its time"
    );
    let children: Vec<_> = (0..4)
        .map(|_| run::start(&mut world.banger(["vm", "list", "--json"])))
        .collect();
    // Who was told that it has stopped may take its directories away.
    let _ = run::finish(stopping, Vec::new(), LIMIT).good();
    assert!(!world.processes().contains(&first), "it has left");
    for child in children {
        let ran = run::finish(child, Vec::new(), LIMIT).good();
        assert_eq!(ran.text().trim(), "[]");
    }
    eventually("one daemon, another one", LIMIT, || {
        match world.processes().as_slice() {
            [other] if *other != first => Ok(()),
            several => Err(several.to_vec()),
        }
    });
}

#[test]
fn a_daemon_with_a_guest_does_not_leave() {
    let world = World::simulated();
    world.configure("accelerator = \"tcg\"\nidle_exit_seconds = 1\n");
    banger_testkit::checks::start(&world, "v");
    let daemon = world.daemon();
    let _ = world.run(["vm", "exec", "v", "--", "sleep", "4"]).good();
    assert_eq!(world.daemon(), daemon);
}

#[test]
fn a_daemon_of_another_build_is_replaced_only_when_that_harms_nothing() {
    let world = World::simulated();
    let _ = world.run(["vm", "list"]).good();
    let first = world.daemon().expect("a daemon");
    // Another build: the same program as another file.
    let other = world.path("bangerd");
    let original = world.program("bangerd").get_program().to_owned();
    std::fs::copy(original, &other).expect("copied");
    let list = |world: &World| {
        let mut command = world.banger(["vm", "list"]);
        command.env("BANGER_DAEMON", &other);
        run::finish(run::start(&mut command), Vec::new(), LIMIT).good()
    };
    let _ = list(&world);
    let second = world.daemon().expect("a daemon");
    assert_ne!(first, second, "an idle daemon is replaced");
    let _ = world.run(["vm", "list"]).good();
    banger_testkit::checks::start(&world, "v");
    let third = world.daemon().expect("a daemon");
    let _ = list(&world);
    assert_eq!(world.daemon(), Some(third), "one with a guest is not");
}

#[test]
fn a_runtime_directory_of_somebody_else_is_refused() {
    let world = World::bare();
    let directory = world.path("run/banger");
    banger_testkit::fixtures::private_directory(&directory);
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o755)).expect("set");
    let ran = world.run(["vm", "list"]);
    assert_ne!(ran.code, Some(0));
    assert!(
        ran.stderr.contains("open to others") || ran.stderr.contains("0755"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_creation_whose_client_leaves_is_undone() {
    let world = World::simulated();
    world.scenario("silent");
    let mut child = run::start(&mut world.banger(["vm", "run", "--name", "v", "--", "true"]));
    eventually("the VMM", LIMIT, || {
        if world.vmms().is_empty() {
            Err("none")
        } else {
            Ok(())
        }
    });
    child.kill().expect("killed");
    child.wait().expect("ended");
    world.assert_nothing_left();
}

#[test]
fn status_tells_what_the_daemon_is() {
    let world = World::bare();
    let _ = world.run(["vm", "list"]).good();
    let status = world.run(["daemon", "status", "--json"]).good().json();
    assert_eq!(status["pid"].as_u64(), world.daemon().map(u64::from));
    assert!(
        status["socket"]
            .as_str()
            .is_some_and(|path| path.ends_with("bangerd.sock"))
    );
}

#[test]
fn doctor_says_why_there_is_no_bridge_and_what_helps() {
    let world = World::simulated();
    // The key is named so that the world leaves it out.
    world.configure("# network = the default\nroot_helper = \"/nonexistent/banger-root\"\n");
    let ran = world.run(["doctor"]);
    let table = ran.text();
    let line = |start: &str| {
        let mut lines = table.lines().skip_while(|line| !line.starts_with(start));
        [lines.next(), lines.next()].map(|line| line.unwrap_or_default().to_owned())
    };
    for check in ["WARN  network", "WARN  root helper"] {
        let [found, remedy] = line(check);
        assert!(found.contains("root"), "{table}");
        assert!(remedy.contains("remedy: "), "{table}");
    }
    assert!(line("WARN  network")[0].contains("user mode"), "{table}");
    for check in ["bridge", "rules", "firewall", "names"] {
        assert!(!table.contains(&format!("  {check}  ")), "{table}");
    }
}

#[test]
fn doctor_does_not_look_at_a_bridge_that_the_owner_does_not_want() {
    let world = World::simulated();
    let checks = world.run(["doctor", "--json"]).json();
    let checks = checks.as_array().expect("checks");
    let network = checks.iter().find(|check| check["name"] == "network");
    let found = network.expect("it is there")["found"].as_str();
    assert!(found.expect("text").contains("config.toml"), "{checks:?}");
    assert!(!checks.iter().any(|check| check["name"] == "root helper"));
}

/// As `curl -X DELETE --data` sends it.
#[test]
fn a_request_with_a_body_that_nobody_reads_is_answered() {
    let world = World::simulated();
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "v"])
        .good();
    let body = serde_json::json!({ "nothing": "x".repeat(1 << 20) });
    for (method, path, status) in [
        ("GET", "/v1/version", 200),
        ("POST", "/v1/nowhere", 404),
        ("POST", "/v1/version", 400),
        ("POST", "/v1/sandboxes/w/stop", 404),
        ("POST", "/v1/sandboxes/v/stop", 200),
        ("DELETE", "/v1/sandboxes/v", 200),
    ] {
        let answer = banger_testkit::api::request(&world, method, path, Some(&body));
        let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert_eq!(answer.status, status, "{method} {path}");
    }
    world.assert_nothing_left();
}
