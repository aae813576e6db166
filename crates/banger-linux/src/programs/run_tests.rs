//! Scripts in a program's place. Unit tests of T1: processes and files of their own.

use super::super::Programs;
use super::*;
use rustix::event::{EventfdFlags, eventfd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

/// A shell script that is run as nft.
struct Script {
    _directory: tempfile::TempDir,
    programs: Programs,
}

const PLENTY: Limits = Limits {
    time: Duration::from_secs(40),
    output: 1 << 20,
};

impl Script {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("nft");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("mode");
        Self {
            programs: Programs::with_nft(path),
            _directory: directory,
        }
    }

    fn run(&self, input: Option<&[u8]>, limits: Limits) -> Result<Output, RunError> {
        self.cancellable(input, limits, Cancel::Never)
    }

    fn cancellable(
        &self,
        input: Option<&[u8]>,
        limits: Limits,
        cancel: Cancel<'_>,
    ) -> Result<Output, RunError> {
        self.programs.run(&Call {
            program: Program::Nft,
            arguments: &["one", "two words"],
            input,
            limits,
            cancel,
        })
    }

    fn says(&self) -> String {
        let output = self.run(None, PLENTY).expect("it runs");
        String::from_utf8(output.stdout).expect("text")
    }
}

#[test]
fn it_gets_its_arguments_an_empty_environment_and_the_root_directory() {
    assert_eq!(Script::new("echo \"$#:$2\"").says(), "2:two words\n");
    // The shell itself adds PWD and perhaps SHLVL, OLDPWD and _.
    let own = ["PWD", "SHLVL", "OLDPWD", "_"];
    let environment = Script::new("/usr/bin/env").says();
    let names = environment.lines().filter_map(|line| line.split_once('='));
    let given: Vec<_> = names.filter(|(name, _)| !own.contains(name)).collect();
    assert_eq!(given, [("LC_ALL", "C")]);
    assert_eq!(Script::new("pwd").says(), "/\n");
}

#[test]
fn it_inherits_no_descriptor_whatever_the_caller_has_open() {
    let left_open = std::fs::File::open("/").expect("opened");
    rustix::io::fcntl_setfd(&left_open, rustix::io::FdFlags::empty()).expect("set");
    // Reading the directory takes `ls` one of its own; the shell has the script at 10 (dash) or 255 (bash).
    let listed = Script::new("for f in /proc/self/fd/*; do readlink $f; done").says();
    assert!(!listed.lines().any(|target| target == "/"), "{listed}");
    let stdin = Script::new("readlink /proc/self/fd/0").says();
    assert_eq!(stdin, "/dev/null\n");
}

#[test]
fn input_larger_than_a_pipe_goes_in_while_output_comes_out() {
    let input = vec![b'x'; 700_000];
    let output = Script::new("cat; echo done >&2")
        .run(Some(&input), PLENTY)
        .expect("it runs");
    assert!(output.status.success());
    assert_eq!(
        (output.stdout.len(), output.stderr.as_slice()),
        (700_000, &b"done\n"[..])
    );
}

#[test]
fn a_program_that_does_not_read_its_input_is_heard_all_the_same() {
    let input = vec![b'x'; 700_000];
    let output = Script::new("exec 0<&-; echo 'Error: no' >&2; exit 3")
        .run(Some(&input), PLENTY)
        .expect("it runs");
    assert_eq!(
        (output.status.code(), output.complaint().as_str()),
        (Some(3), "Error: no")
    );
}

#[test]
fn one_that_hangs_is_killed_with_its_children() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let path = file.path().display();
    let script = Script::new(&format!("sleep 1000 & echo $! > {path}; wait"));
    let limits = Limits {
        time: Duration::from_millis(300),
        ..PLENTY
    };
    let error = script.run(None, limits).expect_err("it hangs");
    assert_eq!(
        error.to_string(),
        "nft was stopped: it took longer than 0.3 s"
    );
    let child = std::fs::read_to_string(file.path()).expect("written");
    let child = child
        .trim()
        .parse()
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process");
    // Killed, then reaped by init: a moment later.
    let limit = wait::deadline(Duration::from_secs(20));
    while is_alive(child) {
        assert!(std::time::Instant::now() < limit, "{child:?} is left");
        let _ = wait::until(wait::deadline(Duration::from_millis(5)), &mut []);
    }
}

/// Neither gone nor a zombie that nobody reaps, as in a container without an init.
fn is_alive(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn one_that_prints_without_end_is_killed() {
    let limits = Limits {
        output: 100_000,
        ..PLENTY
    };
    let error = Script::new("exec yes")
        .run(None, limits)
        .expect_err("it does not end");
    assert_eq!(
        error,
        RunError::TooMuch {
            name: "nft",
            limit: 100_000
        }
    );
}

#[test]
fn complaints_without_end_are_bounded_and_the_first_line_is_kept() {
    let script = Script::new("echo first >&2; head -c 900000 /dev/zero >&2; exit 1");
    let output = script.run(None, PLENTY).expect("it ends");
    assert_eq!(
        (output.stderr.len(), output.complaint().as_str()),
        (MOST_ERRORS, "first")
    );
}

#[test]
fn it_is_killed_when_nobody_waits_any_more() {
    let script = Script::new("exec sleep 1000");
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| script.cancellable(None, PLENTY, Cancel::WhenHungUp(ours.as_fd())));
        drop(theirs);
        let result = waiting.join().expect("no panic");
        assert_eq!(result, Err(RunError::Cancelled { name: "nft" }));
    });
    let event = eventfd(1, EventfdFlags::CLOEXEC).expect("an eventfd");
    let result = script.cancellable(None, PLENTY, Cancel::WhenReadable(event.as_fd()));
    assert_eq!(result, Err(RunError::Cancelled { name: "nft" }));
}

#[test]
fn what_cannot_be_started_is_an_error_with_the_reason() {
    let programs = Programs::with_nft("/no/such/nft".into());
    let call = Call {
        program: Program::Nft,
        arguments: &[],
        input: None,
        limits: PLENTY,
        cancel: Cancel::Never,
    };
    let error = programs.run(&call).expect_err("it is not there");
    assert_eq!(
        error.to_string(),
        "cannot run nft: No such file or directory (os error 2)"
    );
    let resolvectl = Call {
        program: Program::Resolvectl,
        ..call
    };
    let error = programs
        .run(&resolvectl)
        .expect_err("it is not installed")
        .to_string();
    assert!(
        error.starts_with("resolvectl is in none of /usr/sbin, "),
        "{error}"
    );
}

#[test]
fn a_signal_is_its_end_like_another() {
    let output = Script::new("kill -9 $$")
        .run(None, PLENTY)
        .expect("it ends");
    assert_eq!(output.complaint(), "signal: 9 (SIGKILL)");
}
