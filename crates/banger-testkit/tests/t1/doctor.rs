//! `banger doctor`: that it looks without touching, says what is broken where no daemon can start, repairs
//! what is safe, and proves what is left.

use banger_testkit::world::kill;
use banger_testkit::{World, checks, eventually};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// How often in a row nothing may have changed before a daemon's files are still. The looks are 20 ms apart,
/// and so long does the daemon wait for more to record before it tidies its database.
const STILL: u32 = 25;

fn found(world: &World, name: &str) -> Value {
    let all = world.run(["doctor", "--json"]).json();
    let all = all.as_array().expect("checks").clone();
    let found = all.iter().find(|check| check["name"] == name);
    found
        .unwrap_or_else(|| panic!("no {name}: {all:?}"))
        .clone()
}

fn proof(world: &World, arguments: &[&str]) -> Value {
    let ran = world.run([&["doctor", "--prove", "--json"], arguments].concat());
    let proof = ran.json();
    let left = proof["left"].as_array().expect("a list").len();
    assert_eq!(ran.code, Some(i32::from(left > 0)), "{proof}");
    proof
}

/// What is left: kind, last part of the name, whose.
fn left(proof: &Value) -> Vec<(String, String, String)> {
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let last = |name: String| name.rsplit('/').next().unwrap_or_default().to_owned();
    let all = proof["left"].as_array().expect("a list").iter();
    all.map(|one| {
        (
            text(one, "kind"),
            last(text(one, "name")),
            text(one, "belongs_to"),
        )
    })
    .collect()
}

fn nothing_is_left(world: &World) {
    let proof = proof(world, &[]);
    assert_eq!(left(&proof), [], "{proof}");
}

/// Each file of the world but those that note who looks, with its time and content.
fn everything(world: &World) -> BTreeMap<PathBuf, (i64, i64, Option<Vec<u8>>)> {
    let mut all = BTreeMap::new();
    let mut next = ["state", "cache", "config"]
        .map(|home| world.path(home))
        .to_vec();
    while let Some(path) = next.pop() {
        let found = path.symlink_metadata().expect("there");
        if found.is_dir() {
            next.extend(
                std::fs::read_dir(&path)
                    .expect("read")
                    .flatten()
                    .map(|entry| entry.path()),
            );
        }
        // Disks are large and sparse: their times have to do.
        let is_small = found.is_file() && found.len() < 1 << 20;
        let content = is_small.then(|| std::fs::read(&path).expect("read"));
        // The index of SQLite's log notes who reads.
        let notes = ["bangerd.log", "state.db-shm"];
        if !notes.iter().any(|name| path.ends_with(name)) {
            all.insert(path, (found.mtime(), found.mtime_nsec(), content));
        }
    }
    all
}

/// Waits until the daemon has done what it does when nobody asks for anything: it brings a long log into the
/// database a moment after the last record.
fn everything_when_still(world: &World) -> BTreeMap<PathBuf, (i64, i64, Option<Vec<u8>>)> {
    let mut before = everything(world);
    let mut same = 0;
    eventually("the daemon has written what it writes", LIMIT, || {
        let now = everything(world);
        same = if now == before { same + 1 } else { 0 };
        before = now;
        (same >= STILL).then_some(()).ok_or(same)
    });
    before
}

#[test]
fn looking_changes_nothing_with_a_daemon_and_without() {
    let world = World::simulated();
    checks::start(&world, "v");
    let look = || {
        let before = everything_when_still(&world);
        let _ = world.run(["doctor"]);
        let _ = world.run(["doctor", "--prove"]);
        let after = everything(&world);
        assert_eq!(
            before.keys().collect::<Vec<_>>(),
            after.keys().collect::<Vec<_>>()
        );
        for (path, was) in &before {
            assert!(
                after.get(path) == Some(was),
                "{} was changed",
                path.display()
            );
        }
    };
    assert!(world.daemon().is_some());
    look();
    world.kill_daemon();
    look();
    assert!(world.daemon().is_none(), "no daemon is started to look");
    nothing_is_left_but_the_socket(&world);
}

/// A daemon that was killed leaves its socket; its machine's guest goes on and is nobody's leftover.
fn nothing_is_left_but_the_socket(world: &World) {
    let socket = ("file".into(), "bangerd.sock".into(), "daemon".into());
    assert_eq!(left(&proof(world, &[])), [socket]);
}

#[test]
fn a_database_that_no_daemon_can_open_is_told_and_not_touched() {
    let world = World::simulated();
    let database = world.state().join("state.db");
    let garbage = b"this is no database at all, whatever its name says".repeat(100);
    std::fs::write(&database, &garbage).expect("written");
    // What was written last may still be beside it, and would be taken instead.
    for end in ["-wal", "-shm"] {
        let _not_there = std::fs::remove_file(world.state().join(format!("state.db{end}")));
    }
    assert_ne!(world.run(["vm", "list"]).code, Some(0));
    let ran = world.run(["doctor"]);
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    let state = found(&world, "state");
    assert_eq!(state["verdict"], "fail", "{state}");
    let text = state["found"].as_str().expect("text");
    assert!(text.contains(database.to_str().expect("text")), "{text}");
    assert!(state["remedy"].is_string());
    // Everything else is looked at all the same.
    assert_eq!(found(&world, "VMM")["verdict"], "pass");
    assert_eq!(std::fs::read(&database).expect("read"), garbage);
    // A proof would have to know whose things are.
    let ran = world.run(["doctor", "--prove"]);
    assert!(
        ran.code == Some(1) && ran.stderr.contains("state.db"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_configuration_that_cannot_be_read_and_an_open_directory_are_told() {
    let world = World::simulated();
    world.configure_exactly("network = \"user\"\nnonsense = 1\n");
    let configuration = found(&world, "configuration");
    assert_eq!(configuration["verdict"], "fail");
    assert!(
        configuration["found"]
            .as_str()
            .is_some_and(|text| text.contains("nonsense"))
    );
    world.configure("accelerator = \"tcg\"\n");
    let mode = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(world.state().join("sandboxes"), mode).expect("set");
    };
    mode(0o755);
    let directories = found(&world, "directories");
    assert_eq!(directories["verdict"], "fail", "{directories}");
    assert!(
        directories["found"]
            .as_str()
            .is_some_and(|text| text.contains("sandboxes is open"))
    );
    let fixed = world.run(["doctor", "--fix", "--json"]).json();
    let did = fixed["repairs"][0]["did"].as_str().unwrap_or_default();
    assert!(
        did.contains("closed") && did.contains("sandboxes"),
        "{fixed}"
    );
    assert_eq!(found(&world, "directories")["verdict"], "pass");
}

#[test]
fn another_build_of_the_daemon_is_told() {
    let world = World::simulated();
    assert_eq!(found(&world, "versions")["verdict"], "pass");
    checks::start(&world, "v");
    assert_eq!(found(&world, "versions")["verdict"], "pass");
    let other = world.path("bangerd");
    std::fs::copy(world.program("bangerd").get_program(), &other).expect("copied");
    let mut command = world.banger(["doctor", "--json"]);
    let ran = banger_testkit::run::start(command.env("BANGER_DAEMON", &other));
    let ran = banger_testkit::run::finish(ran, vec![], LIMIT);
    let checks = ran.json();
    let versions = &checks[0];
    assert_eq!(
        (&versions["name"], &versions["verdict"]),
        (&"versions".into(), &"warn".into())
    );
    assert!(
        versions["remedy"]
            .as_str()
            .is_some_and(|remedy| remedy.contains("daemon stop"))
    );
}

/// A baseline is best made before anything else: on a host that banger has never run on.
#[test]
fn a_baseline_is_made_where_banger_has_never_run_or_says_where_it_cannot_write() {
    let world = World::bare();
    assert!(!world.state().exists());
    let ran = world.run(["doctor", "--prove", "--baseline"]).good();
    assert!(ran.stderr.contains("recorded"), "{}", ran.stderr);
    let proof = proof(&world, &[]);
    assert!(
        proof["baseline"].is_string() && left(&proof).is_empty(),
        "{proof}"
    );
    let other = World::bare();
    std::fs::create_dir_all(other.state().join("baseline.json/in-the-way")).expect("made");
    let ran = other.run(["doctor", "--prove", "--baseline"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("cannot write the baseline"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("may write there"), "{}", ran.stderr);
}

#[test]
fn nothing_is_left_of_machines_whatever_was_done_with_them() {
    let world = World::simulated();
    let ran = world.run(["doctor", "--prove", "--baseline"]).good();
    assert!(ran.stderr.contains("recorded"), "{}", ran.stderr);
    nothing_is_left(&world);
    let _ = world.run(checks::run(&["--rm", "--", "true"])).good();
    nothing_is_left(&world);
    checks::start(&world, "v");
    let _ = world.run(["vm", "publish", "v", "0:80"]).good();
    let during = proof(&world, &[]);
    assert_eq!(left(&during), [], "{during}");
    assert!(
        during["owned"].as_u64().is_some_and(|owned| owned > 10) && during["baseline"].is_string()
    );
    world.kill_daemon();
    nothing_is_left_but_the_socket(&world);
    let _ = world.run(["vm", "list"]).good();
    nothing_is_left(&world);
    let _ = world.run(["vm", "stop", "v"]).good();
    nothing_is_left(&world);
    let _ = world.run(["vm", "rm", "v"]).good();
    nothing_is_left(&world);
    world.stop_daemon();
    nothing_is_left(&world);
}

#[test]
fn each_thing_that_is_left_on_purpose_is_found_and_is_somebodys() {
    let world = World::simulated();
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "web"])
        .good();
    let id = world.show("web")["id"].as_str().expect("an id").to_owned();
    let gone = "ab".repeat(16);
    let (state, runtime) = (world.state(), world.path("run/banger"));
    let make = |path: PathBuf| std::fs::create_dir_all(path).expect("made");
    make(state.join("sandboxes").join(&gone));
    make(runtime.join("vm").join(&id[..8]));
    make(runtime.join("vm").join(&gone[..8]));
    std::fs::write(state.join("notes.txt"), "mine").expect("written");
    // A helper's socket without a helper.
    drop(std::os::unix::net::UnixListener::bind(runtime.join("banger-root.sock")).expect("bound"));
    // A VMM that nobody has recorded, with a socket that it listens at.
    let program = world.path("stray/qemu-system-x86_64");
    make(world.path("stray"));
    symlink("/bin/sh", &program).expect("linked");
    let argument = runtime.join("vm").join(&gone[..8]).join("qmp.sock");
    let mut vmm = Command::new(&program)
        .args(["-c", "read line", argument.to_str().expect("text")])
        .stdin(Stdio::piped())
        .spawn()
        .expect("started");
    let proof = proof(&world, &[]);
    let expected = [
        (
            "process",
            format!("{} ", vmm.id()),
            format!("machine ({})", &gone[..8]),
        ),
        (
            "file",
            id[..8].to_owned(),
            format!("machine web ({}), created", &id[..8]),
        ),
        (
            "file",
            gone[..8].to_owned(),
            format!("machine ({})", &gone[..8]),
        ),
        ("file", "banger-root.sock".into(), "helper".into()),
        (
            "file",
            "notes.txt".into(),
            format!("unknown (user {})", rustix::process::getuid().as_raw()),
        ),
        ("file", gone.clone(), format!("machine ({gone})")),
    ];
    let left = left(&proof);
    for (kind, name, whose) in &expected {
        let is_it =
            |(k, n, w): &&(String, String, String)| k == kind && n.starts_with(name) && w == whose;
        assert_eq!(
            left.iter().filter(is_it).count(),
            1,
            "{kind} {name} {whose}: {left:#?}"
        );
    }
    assert_eq!(left.len(), expected.len(), "{left:#?}");
    // The doctor warns of each, and what is safe is removed when it is asked to; the rest stays.
    let checks = world.run(["doctor", "--json"]).json();
    let warned = checks
        .as_array()
        .expect("checks")
        .iter()
        .filter(|check| check["name"] == "leftovers");
    assert_eq!(warned.count(), expected.len());
    let fixed = world.run(["doctor", "--fix"]).text();
    assert!(
        fixed.contains("DONE") && fixed.contains("banger-root.sock"),
        "{fixed}"
    );
    assert!(!runtime.join("banger-root.sock").exists() && state.join("notes.txt").exists());
    assert!(
        vmm.try_wait().expect("looked").is_none(),
        "what runs is not touched"
    );
    drop(vmm.stdin.take());
    vmm.wait().expect("ended");
    let _ = world.run(["doctor", "--fix"]);
    let rest = left_names(&world);
    assert_eq!(rest, ["notes.txt"]);
    // What was there when the baseline was made is its owner's own.
    let _ = world.run(["doctor", "--prove", "--baseline"]).good();
    nothing_is_left(&world);
}

fn left_names(world: &World) -> Vec<String> {
    left(&proof(world, &[]))
        .into_iter()
        .map(|(_, name, _)| name)
        .collect()
}

#[test]
fn a_guest_whose_record_is_gone_is_found_with_its_pid_and_its_machines_name() {
    let world = World::simulated();
    checks::start(&world, "web");
    let vmm = world.vmms()[0];
    world.kill_daemon();
    // The owner moves the database away: nobody knows of the guest any more.
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        let path = world.state().join(file);
        if path.exists() {
            std::fs::rename(&path, world.path(file)).expect("moved");
        }
    }
    let proof = proof(&world, &[]);
    let all = proof["left"].as_array().expect("a list");
    let process = all
        .iter()
        .find(|one| one["kind"] == "process")
        .expect("found");
    assert_eq!(process["pid"], vmm);
    let whose = process["belongs_to"].as_str().expect("text");
    assert!(
        whose.starts_with("machine web ("),
        "its events say what it was called: {whose}"
    );
    assert!(all.iter().any(|one| one["kind"] == "socket"), "{all:#?}");
    kill(vmm);
    eventually("its end", LIMIT, || match world.vmms().as_slice() {
        [] => Ok(()),
        living => Err(living.to_vec()),
    });
}

#[test]
fn what_is_not_bangers_is_listed_only_where_that_is_asked_for() {
    let world = World::simulated();
    let _ = world.run(["doctor", "--prove", "--baseline"]).good();
    let mut other = Command::new("/bin/sh")
        .args([
            "-c",
            "read line",
            world.state().join("bangerd.log").to_str().expect("text"),
        ])
        .stdin(Stdio::piped())
        .spawn()
        .expect("started");
    nothing_is_left(&world);
    let all = proof(&world, &["--all"]);
    let others = all["others"].as_array().expect("a list");
    let name = format!("{} ", other.id());
    let is_it = |one: &&Value| {
        one["name"]
            .as_str()
            .is_some_and(|text| text.starts_with(&name))
    };
    assert_eq!(others.iter().filter(is_it).count(), 1, "{others:?}");
    drop(other.stdin.take());
    other.wait().expect("ended");
    assert!(
        all["not_seen"]
            .as_array()
            .is_some_and(|all| !all.is_empty()),
        "{all}"
    );
}
