//! A world whose test is killed.

use banger_testkit::world::{kill, signal};
use banger_testkit::{World, checks, eventually};
use rustix::process::Signal;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const COPY: &str = "BANGER_TEST_ENDS";

/// Processes that have a directory among their arguments.
fn started_in(directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(directory)).collect()
}

/// The copy that is killed: tells where its world is, and waits for its end.
fn waits_with_a_world() {
    let world = World::simulated();
    checks::start(&world, "v");
    println!("\n{}", world.path("").display());
    let _ = std::io::stdin().lock().read_line(&mut String::new());
}

#[test]
fn nothing_of_a_world_outlives_a_test_that_is_killed() {
    if std::env::var_os(COPY).is_some() {
        return waits_with_a_world();
    }
    let own = std::env::current_exe().expect("this program");
    let name = "ends::nothing_of_a_world_outlives_a_test_that_is_killed";
    let mut test = Command::new(own)
        .args(["--exact", name, "--nocapture"])
        .env(COPY, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let lines = BufReader::new(test.stdout.take().expect("a pipe")).lines();
    let directory = lines
        .map(|line| line.expect("text"))
        .find(|line| line.starts_with('/'))
        .expect("a world");
    assert!(!started_in(&directory).is_empty(), "its VMM");
    signal(test.id(), Signal::STOP);
    kill(test.id());
    test.wait().expect("ended");
    eventually("its world to end", LIMIT, || {
        let left = started_in(&directory);
        match (left.as_slice(), Path::new(&directory).exists()) {
            ([], false) => Ok(()),
            (_, there) => Err(format!("{left:?}, {directory} is there: {there}")),
        }
    });
}
