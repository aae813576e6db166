//! `vm try`: several forks at once, the best of them, and nothing of the others.

use banger_testkit::checks::{disks, start};
use banger_testkit::world::{LIMIT, kill};
use banger_testkit::{World, api, eventually};
use std::path::PathBuf;
use std::process::{Child, Stdio};

fn world() -> World {
    let world = World::simulated();
    world.configure_small("templates = \"off\"\n");
    start(&world, "dev");
    world
}

fn begin(world: &World, arguments: &[&str]) -> Child {
    let mut client = world.banger(arguments);
    let client = client.stdout(Stdio::null()).stderr(Stdio::null());
    client.spawn().expect("begun")
}

fn ends_by(client: &mut Child, signal: &str) {
    match signal {
        "KILL" => kill(client.id()),
        _ => banger_testkit::world::signal(client.id(), rustix::process::Signal::INT),
    }
    let ended = client.wait().expect("it ends");
    assert!(!ended.success(), "{signal}: {ended:?}");
}

fn only_dev_is_left(world: &World) {
    eventually("all forks to be gone", LIMIT, || match world.names() {
        names if names == ["dev"] => Ok(()),
        names => Err(names),
    });
    assert_eq!(world.show("dev")["state"], "running");
    let directory = PathBuf::from(world.show("dev")["directory"].as_str().expect("a path"));
    eventually("the moment to be forgotten", LIMIT, || {
        let left: Vec<_> = std::fs::read_dir(directory.join("snapshots"))
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok().map(|entry| entry.file_name()))
            .collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

#[test]
fn each_attempt_is_told_which_it_is_and_the_best_one_comes_first() {
    let world = world();
    let script = "echo $BANGER_TRY_INDEX of $BANGER_TRY_COUNT has $WAY; test $WAY != bad";
    let ran = world.run([
        "vm",
        "try",
        "dev",
        "--vary",
        "WAY=bad,good,better",
        "--score",
        "test $WAY = better && echo 9 || echo 1",
        "--",
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let text = ran.text();
    for line in [
        "[1] 1 of 3 has bad",
        "[2] 2 of 3 has good",
        "[3] 3 of 3 has better",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let rows: Vec<&str> = text.lines().rev().take(3).collect();
    for (row, with) in rows.iter().zip(["WAY=bad", "WAY=good", "WAY=better"]) {
        assert!(row.ends_with(with), "{text}");
    }
    assert!(
        ran.stderr.contains("attempt 3 is the best"),
        "{}",
        ran.stderr
    );
    only_dev_is_left(&world);
    let smaller = world.run([
        "--json",
        "vm",
        "try",
        "dev",
        "-n",
        "2",
        "--score",
        "echo $BANGER_TRY_INDEX",
        "--smaller",
        "--",
        "sh",
        "-c",
        "exit 7",
    ]);
    assert_eq!(smaller.code, Some(7), "the best one's: {smaller:?}");
    let told = smaller.json();
    assert_eq!(told["attempts"][0]["index"], 1, "{told}");
    assert_eq!(told["attempts"][0]["exit"], 7, "{told}");
    assert_eq!(told["attempts"][1]["score"], 2.0, "{told}");
    only_dev_is_left(&world);
    world.assert_nothing_corrupted();
}

#[test]
fn the_best_one_is_kept_under_a_name_and_the_others_are_not() {
    let world = world();
    let id = world.show("dev")["id"].clone();
    let keep = |name: &str, command: &str| {
        let keep = format!("--keep={name}");
        world.run([
            "vm", "try", "dev", "-n", "2", &keep, "--", "sh", "-c", command,
        ])
    };
    let ran = keep("best", "test $BANGER_TRY_INDEX = 2");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("attempt 2 is kept as best"),
        "{}",
        ran.stderr
    );
    eventually("the other to be gone", LIMIT, || {
        let mut names = world.names();
        names.sort();
        if names == ["best", "dev"] {
            Ok(())
        } else {
            Err(names)
        }
    });
    assert_eq!(world.show("best")["ephemeral"], false);
    assert_ne!(world.show("best")["id"], id);
    let _ = world.run(["exec", "best", "--", "true"]).good();
    let taken = keep("best", "true");
    assert!(
        taken.stderr.contains("there is a machine best already"),
        "{taken:?}"
    );
    let failed = keep("other", "exit 3");
    assert_eq!(failed.code, Some(3), "{failed:?}");
    assert!(
        failed.stderr.contains("no attempt succeeded"),
        "{}",
        failed.stderr
    );
    let _ = world.run(["rm", "best"]).good();
    only_dev_is_left(&world);
}

#[test]
fn a_machine_goes_on_as_its_best_attempt_and_stays_the_same_machine() {
    let world = world();
    disks::write(&world, "dev", "old");
    let id = world.show("dev")["id"].clone();
    let client = world
        .banger([
            "vm",
            "try",
            "dev",
            "-n",
            "2",
            "--promote",
            "--",
            "sh",
            "-c",
            "test $BANGER_TRY_INDEX = 2 && sleep 3",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("begun");
    let forks = eventually("the forks", LIMIT, || {
        let names: Vec<_> = world
            .names()
            .into_iter()
            .filter(|name| name != "dev")
            .collect();
        let run = names
            .iter()
            .all(|name| world.show(name)["state"] == "running");
        if run && names.len() == 2 {
            Ok(names)
        } else {
            Err(names)
        }
    });
    for name in &forks {
        disks::write(&world, name, "new");
    }
    let ended = client.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{ended:?}");
    only_dev_is_left(&world);
    assert_eq!(world.show("dev")["id"], id);
    assert_eq!(disks::read(&world, "dev"), "new");
    let _ = world.run(["exec", "dev", "--", "true"]).good();
    world.assert_nothing_corrupted();
}

#[test]
fn no_fork_is_left_when_the_client_is_interrupted_or_killed() {
    let world = world();
    for signal in ["INT", "KILL"] {
        let mut client = begin(
            &world,
            &["vm", "try", "dev", "-n", "3", "--", "sleep", "1000"],
        );
        eventually("the forks to run", LIMIT, || {
            let all = world.run(["ps", "-q"]).text();
            if all.lines().count() == 4 {
                Ok(())
            } else {
                Err(all)
            }
        });
        ends_by(&mut client, signal);
        only_dev_is_left(&world);
    }
    world.assert_nothing_corrupted();
}

#[test]
fn what_attempts_print_is_shown_beside_each_other_once_they_have_ended() {
    let world = world();
    let command = "echo I am $BANGER_TRY_INDEX; test $BANGER_TRY_INDEX = 2 && echo two lines >&2";
    let vary = ["--vary", "A=1,2", "--side-by-side"];
    let ran = world.run(
        [
            &["vm", "try", "dev"],
            &vary[..],
            &["--", "sh", "-c", command],
        ]
        .concat(),
    );
    let text = ran.good().text();
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.split('│').map(str::trim).collect::<Vec<_>>())
        .collect();
    assert_eq!(lines[0], ["[1] A=1", "[2] A=2"], "{text}");
    assert_eq!(lines[2], ["I am 1", "I am 2"], "{text}");
    assert_eq!(lines[3], ["", "two lines"], "{text}");
    assert!(lines[4][0].starts_with("RANK"), "the table: {text}");
    // A program reads what is on standard output.
    let ran = world.run(
        [
            &["vm", "try", "dev", "--json"],
            &vary[..],
            &["--", "echo", "x"],
        ]
        .concat(),
    );
    let ran = ran.good();
    assert!(ran.stderr.contains("[1] A=1"), "{}", ran.stderr);
    assert!(ran.json()["attempts"].is_array());
    only_dev_is_left(&world);
}

/// As of a try's: what several forks share goes with them, and none stays half made.
#[test]
fn of_several_forks_nothing_is_left_when_their_client_is_interrupted_or_killed() {
    let world = world();
    for signal in ["INT", "KILL"] {
        world.scenario("waits");
        let mut client = begin(&world, &["vm", "fork", "dev", "-n", "3"]);
        eventually("three forks to be made at once", LIMIT, || {
            match world.names().len() {
                4 => Ok(()),
                _ => Err(world.names()),
            }
        });
        ends_by(&mut client, signal);
        only_dev_is_left(&world);
    }
    world.assert_nothing_corrupted();
}

#[test]
fn what_is_wrong_is_refused_before_anything_is_made() {
    let world = world();
    for (arguments, why) in [
        (&["nobody", "-n", "2", "--", "true"][..], "nobody"),
        (
            &["dev", "-n", "1", "--vary", "A=1,2", "--", "true"],
            "fewer than",
        ),
        (&["dev", "--vary", "A", "--", "true"], "NAME=VALUE"),
        (
            &["dev", "--keep", "--promote", "--", "true"],
            "cannot be used with",
        ),
        (
            &["dev", "--group", "--side-by-side", "--", "true"],
            "cannot be used with",
        ),
        (&["dev", "--from", "none", "--", "true"], "no snapshot none"),
        (&["dev", "-n", "101", "--", "true"], "101"),
    ] {
        let ran = world.run([&["vm", "try"], arguments].concat());
        assert_ne!(ran.code, Some(0), "{arguments:?}");
        assert!(ran.stderr.contains(why), "{arguments:?}: {}", ran.stderr);
    }
    world.stop_daemon();
    world.configure_small("memory_reserve = \"1TiB\"\n");
    let ran = world.run(["vm", "try", "dev", "-n", "2", "--", "true"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("no fork of dev fits"), "{}", ran.stderr);
    only_dev_is_left(&world);
}

#[test]
fn changes_of_the_best_one_are_those_of_its_git_repository() {
    let world = world();
    // The simulated guest has the host's files.
    let repository = world.path("repository");
    std::fs::create_dir(&repository).expect("made");
    std::fs::write(repository.join("old"), "one\n").expect("written");
    let directory = repository.to_str().expect("a path");
    let git = "git init -q . && git add . && git -c user.name=n -c user.email=e commit -qm first";
    let _ = world
        .run(["exec", "-w", directory, "dev", "--", "sh", "-c", git])
        .good();
    let command = "echo two > old; echo new > new";
    let diff = |more: &[&str]| {
        let first = ["vm", "try", "dev", "-n", "1", "--diff"];
        let last = ["--", "sh", "-c", command];
        world.run([&first[..], more, &last[..]].concat())
    };
    let ran = diff(&["-w", directory]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let text = ran.text();
    for line in ["-one", "+two", "+new", "b/new"] {
        assert!(text.lines().any(|found| found.contains(line)), "{text}");
    }
    assert!(
        !text.contains("RANK") && ran.stderr.contains("RANK"),
        "{ran:?}"
    );
    only_dev_is_left(&world);
}

/// Read from the disks of the simulated machines, which are those of the fixture and the same for both.
#[test]
fn without_a_repository_the_best_ones_files_are_compared_with_those_of_its_origin() {
    let world = world();
    let ran = world.run([
        "vm", "try", "dev", "-n", "2", "--diff", "-w", "/", "--", "true",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.text(), "", "nothing is different");
    only_dev_is_left(&world);
    // Dev itself is no fork.
    let body = serde_json::json!({"origin": true});
    let answer = api::request(&world, "POST", "/v1/sandboxes/dev/diff", Some(&body));
    let answer = answer.expect("an answer");
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 409, "{said}");
    assert!(said.contains("not kept"), "{said}");
}

#[test]
fn only_a_fork_that_is_ephemeral_and_of_its_kind_takes_a_machines_place() {
    let world = world();
    start(&world, "other");
    let promote = |name: &str, fork: &str| {
        let body = serde_json::json!({"fork": fork});
        let path = format!("/v1/sandboxes/{name}/promote");
        let answer = api::request(&world, "POST", &path, Some(&body)).expect("an answer");
        (
            answer.status,
            String::from_utf8_lossy(&answer.body).into_owned(),
        )
    };
    let (_, told) = promote("dev", "other");
    assert!(told.contains("no fork that a try has made"), "{told}");
    assert_eq!(promote("dev", "nobody").0, 404);
    assert_eq!(promote("dev", "").0, 400);
    for name in ["dev", "other"] {
        let _ = world.run(["exec", name, "--", "true"]).good();
    }
}
