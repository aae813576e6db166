//! Without `BANGER_SOCKET`: the daemon is started, verified, replaced.
//!
//! The daemon is this very test program: `bangerd serve` becomes `<test> serve`, which runs the
//! test of that name below.

use crate::fake::{self, Ended, State, banger, sandbox};
use banger_proto::owner::daemon::build_of;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// Set for a process that is to be the daemon.
const ROLE: &str = "FAKE_DAEMON";

#[test]
fn serve() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    if role == "broken" {
        // Not with a macro: the test harness would catch it.
        let words = b"bangerd: the state cannot be read\n";
        std::io::stderr().write_all(words).expect("written");
        #[expect(clippy::disallowed_methods, reason = "stands for a daemon that ends")]
        std::process::exit(3);
    }
    let runtime = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR").expect("set")).join("banger");
    let log = runtime.join("starts");
    let lock = std::fs::File::create(runtime.join("lock")).expect("lock");
    if rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
        return;
    }
    let own = std::env::current_exe()
        .and_then(std::fs::metadata)
        .expect("own file");
    let build = if role == "current" {
        build_of(&own)
    } else {
        "older".into()
    };
    let version = if role == "ancient" {
        "0.0.1"
    } else {
        env!("CARGO_PKG_VERSION")
    };
    let running = std::env::var_os("FAKE_RUNNING").map(|_| sandbox('a', "dev", "running"));
    let (stop, stopped) = oneshot::channel();
    let state = Arc::new(Mutex::new(State {
        version: serde_json::json!({"version": version, "build": build, "api": "v1"}),
        sandboxes: running.into_iter().collect(),
        stop: Some(stop),
        ..State::default()
    }));
    let starts = std::fs::read_to_string(&log).unwrap_or_default();
    std::fs::write(log, starts + &role + "\n").expect("log");
    std::fs::write(runtime.join("pid"), std::process::id().to_string()).expect("pid");
    let socket = runtime.join("bangerd.sock");
    let _stale = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).expect("bound");
    fake::serve(listener, &state, stopped);
    std::fs::remove_file(&socket).expect("removed");
}

/// A runtime directory; the daemon in it is stopped in the end.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("temporary directory"))
    }

    fn runtime(&self) -> PathBuf {
        self.0.path().join("banger")
    }

    fn command(&self, role: &str, arguments: &[&str]) -> Command {
        let mut command = banger(arguments);
        command
            .env("XDG_RUNTIME_DIR", self.0.path())
            .env("BANGER_DAEMON", std::env::current_exe().expect("own file"))
            .env(ROLE, role);
        command
    }

    fn run(&self, role: &str, arguments: &[&str]) -> Ended {
        self.command(role, arguments).output().expect("runs").into()
    }

    fn starts(&self) -> String {
        std::fs::read_to_string(self.runtime().join("starts")).unwrap_or_default()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _open = std::fs::set_permissions(self.runtime(), PermissionsExt::from_mode(0o700));
        self.run("current", &["daemon", "stop"]);
    }
}

#[test]
fn the_first_command_starts_a_daemon_and_the_next_one_finds_it() {
    let home = Home::new();
    assert_eq!(
        home.run("current", &["daemon", "status"]).code,
        1,
        "not started for this"
    );
    for _ in 0..3 {
        let ended = home.run("current", &["ps"]);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    }
    assert_eq!(home.starts(), "current\n");
    let version = home.run("current", &["version"]);
    assert!(version.out.contains("bangerd 0.1.0"), "{}", version.out);
}

#[test]
fn several_at_once_start_one_daemon() {
    let home = Home::new();
    let children: Vec<_> = (0..6)
        .map(|_| home.command("current", &["ps"]).spawn().expect("runs"))
        .collect();
    for child in children {
        let ended = Ended::from(child.wait_with_output().expect("ended"));
        assert_eq!(ended.code, 0, "{}", ended.err);
    }
    assert_eq!(home.starts(), "current\n");
}

#[test]
fn an_idle_daemon_of_another_build_is_replaced() {
    let home = Home::new();
    assert_eq!(home.run("old", &["ps"]).code, 0);
    let ended = home.run("current", &["ps"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(
        home.starts().ends_with("old\ncurrent\n"),
        "{}",
        home.starts()
    );
}

#[test]
fn a_busy_daemon_of_another_build_stays_and_one_of_another_version_is_refused() {
    let home = Home::new();
    let start = home
        .command("old", &["ps"])
        .env("FAKE_RUNNING", "1")
        .output();
    assert_eq!(Ended::from(start.expect("runs")).code, 0);
    let ended = home.run("current", &["ps", "-q"]);
    assert_eq!(
        (ended.code, ended.out.trim()),
        (0, &*"a".repeat(32)),
        "{}",
        ended.err
    );
    assert_eq!(home.starts(), "old\n");

    let ancient = Home::new();
    let mut start = ancient.command("ancient", &["ps"]);
    let ended = Ended::from(start.env("FAKE_RUNNING", "1").output().expect("runs"));
    assert_eq!(ended.code, 1);
    assert!(
        ended.err.contains("version 0.0.1") && ended.err.contains("remedy:"),
        "{}",
        ended.err
    );
}

#[test]
fn a_daemon_that_does_not_start_is_quoted() {
    let home = Home::new();
    let ended = home.run("broken", &["ps"]);
    assert_eq!(ended.code, 1);
    assert!(
        ended.err.contains("the state cannot be read"),
        "{}",
        ended.err
    );
    let mut command = home.command("current", &["ps"]);
    let output = command.env("BANGER_DAEMON", "/no/such/program").output();
    let ended = Ended::from(output.expect("runs"));
    assert!(
        ended.code == 1 && ended.err.contains("BANGER_DAEMON"),
        "{}",
        ended.err
    );
}

#[test]
fn a_session_looks_for_its_command_in_the_daemon_that_comes_after_a_killed_one() {
    let home = Home::new();
    let mut child = home
        .command("current", &["exec", "dev", "yes"])
        .spawn()
        .expect("runs");
    let mut out = child.stdout.take().expect("piped");
    out.read_exact(&mut [0; 2]).expect("the command runs");
    let pid = std::fs::read_to_string(home.runtime().join("pid")).expect("pid");
    let pid = Pid::from_raw(pid.parse().expect("a number")).expect("a process");
    kill_process(pid, Signal::KILL).expect("killed");
    let ended = Ended::from(child.wait_with_output().expect("ended"));
    // The made-up guest died with its daemon.
    assert_eq!(ended.code, 125, "{}", ended.err);
    assert_eq!(ended.err, "banger: no such session\n");
    assert_eq!(home.starts(), "current\ncurrent\n");
}

#[test]
fn a_runtime_directory_that_others_could_enter_is_refused() {
    let home = Home::new();
    let refused = |path: &Path, word: &str| {
        let ended = home.run("current", &["ps"]);
        assert_eq!(ended.code, 1, "{}", path.display());
        assert!(
            ended.err.contains(word) && ended.err.contains("remedy:"),
            "{}",
            ended.err
        );
    };
    let runtime = home.runtime();
    std::fs::create_dir(&runtime).expect("made");
    std::fs::set_permissions(&runtime, PermissionsExt::from_mode(0o755)).expect("mode");
    refused(&runtime, "0700");
    std::fs::remove_dir(&runtime).expect("removed");
    let elsewhere = home.0.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("made");
    std::os::unix::fs::symlink(&elsewhere, &runtime).expect("linked");
    refused(&runtime, "symbolic link");
    std::fs::remove_file(&runtime).expect("removed");
    assert_eq!(home.starts(), "");
}

#[test]
fn a_given_socket_is_never_started_for() {
    let home = Home::new();
    let mut command = home.command("current", &["ps"]);
    let output = command
        .env("BANGER_SOCKET", home.0.path().join("none"))
        .output();
    let ended = Ended::from(output.expect("runs"));
    assert!(
        ended.code == 1 && ended.err.contains("BANGER_SOCKET"),
        "{}",
        ended.err
    );
    assert_eq!(home.starts(), "");
}
