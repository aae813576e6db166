//! Commands in guests.

use crate::fake::{Ended, Fake, eventually, signal};
use rustix::process::Signal;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

#[test]
fn the_exit_status_is_the_commands_own() {
    let fake = Fake::start();
    for code in [0, 1, 42, 255] {
        let ended = fake.run(&["exec", "dev", "--", "exit", &code.to_string()]);
        assert_eq!(ended.code, code, "{}", ended.err);
    }
}

#[test]
fn what_cannot_be_started_has_the_shells_numbers_and_words() {
    let fake = Fake::start();
    let cases = [
        ("dev", "nonsense", 127),
        ("dev", "directory", 126),
        ("missing", "cat", 125),
    ];
    for (sandbox, program, code) in cases {
        let ended = fake.run(&["vm", "exec", sandbox, program]);
        assert_eq!(ended.code, code, "{program}: {}", ended.err);
        assert!(ended.err.starts_with("banger: "), "{}", ended.err);
    }
}

#[test]
fn a_guest_that_goes_away_is_not_taken_for_the_commands_end() {
    let fake = Fake::start();
    let ended = fake.run(&["exec", "dev", "lost"]);
    assert_eq!(ended.code, 125);
    assert_eq!(ended.err, "banger: the guest went away\n");
}

#[test]
fn arguments_arrive_as_the_bytes_they_are() {
    let fake = Fake::start();
    let odd = [
        &b"a b"[..],
        b"'\"$x`",
        b"line\nfeed",
        b"\xff\xfe",
        b"--rm",
        b"",
    ];
    let mut command = fake.command(&["exec", "dev", "--", "args"]);
    command.args(odd.iter().map(|bytes| OsStr::from_bytes(bytes)));
    let ended = Ended::from(command.output().expect("runs"));
    assert_eq!(ended.raw, odd.join(&0), "{}", ended.err);
}

#[test]
fn standard_error_stays_apart() {
    let fake = Fake::start();
    let ended = fake.run(&["exec", "dev", "both"]);
    assert_eq!(
        (ended.out.as_str(), ended.err.as_str()),
        ("to out\n", "to err\n")
    );
}

fn through_cat(fake: &Fake, bytes: &[u8]) -> Ended {
    let mut child = fake
        .command(&["exec", "dev", "cat"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut stdin = child.stdin.take().expect("piped");
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(bytes));
        child.wait_with_output().expect("ended").into()
    })
}

fn pattern(length: u32) -> Vec<u8> {
    (0..length)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

#[test]
fn megabytes_through_input_and_output_come_back_equal() {
    let fake = Fake::start();
    let bytes = pattern(20_000_000);
    let ended = through_cat(&fake, &bytes);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.raw == bytes, "{} bytes came back", ended.raw.len());
}

#[test]
fn nothing_is_lost_or_doubled_when_connections_break() {
    for drop_after in [70_000, 123_457, 400_001, 1_000_003] {
        let fake = Fake::start();
        fake.state().drop_after = Some(drop_after);
        let bytes = pattern(3_000_000);
        let ended = through_cat(&fake, &bytes);
        assert_eq!(ended.code, 0, "{}", ended.err);
        assert!(ended.raw == bytes, "{} bytes came back", ended.raw.len());
        assert!(fake.state().drops > 1, "it did break");
    }
}

/// The daemon has begun the command and is gone before it says so: the client asks the next one for the
/// same session, which is not begun twice.
#[test]
fn a_connection_that_breaks_before_its_answer_is_made_again_for_the_same_session() {
    let fake = Fake::start();
    fake.state().unanswered = 2;
    let ended = fake.run(&["exec", "dev", "--", "exit", "42"]);
    assert_eq!(ended.code, 42, "{}", ended.err);
    let state = fake.state();
    let asked: Vec<_> = state.starts.iter().map(|start| &start.session).collect();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|session| *session == asked[0]));
    assert_eq!(state.sessions.len(), 1);
}

#[test]
fn input_is_sent_by_the_rule() {
    let fake = Fake::start();
    let file = fake.path("input");
    std::fs::write(&file, "from a file").expect("written");
    let run = |option: &[&str], stdin: Stdio| {
        let all = [&["exec"][..], option, &["dev", "cat"]].concat();
        let output = fake.command(&all).stdin(stdin).output().expect("runs");
        Ended::from(output).out
    };
    let open = || Stdio::from(std::fs::File::open(&file).expect("open"));
    assert_eq!(run(&[], open()), "from a file");
    assert_eq!(run(&["-n"], open()), "");
    assert_eq!(run(&[], Stdio::null()), "");
    let sent: Vec<bool> = fake
        .state()
        .starts
        .iter()
        .map(|start| start.stdin)
        .collect();
    assert_eq!(sent, [true, false, false]);
}

#[test]
fn a_whole_window_of_output_may_come_in_one_message() {
    let fake = Fake::start();
    let ended = fake.run(&["exec", "dev", "window"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert_eq!(ended.out.len(), banger_proto::guest::flow::WINDOW);
}

#[test]
fn an_interrupt_reaches_the_command() {
    let fake = Fake::start();
    let mut child = fake
        .command(&["exec", "dev", "sleep"])
        .spawn()
        .expect("runs");
    eventually(|| {
        if fake.state().sessions.is_empty() {
            Err("no session")
        } else {
            Ok(())
        }
    });
    signal(&child, Signal::INT);
    assert_eq!(child.wait().expect("ended").code(), Some(130));
}

#[test]
fn a_termination_hangs_the_session_up() {
    let fake = Fake::start();
    let child = fake
        .command(&["exec", "dev", "sleep"])
        .spawn()
        .expect("runs");
    eventually(|| {
        if fake.state().sessions.is_empty() {
            Err("no session")
        } else {
            Ok(())
        }
    });
    signal(&child, Signal::TERM);
    let ended = Ended::from(child.wait_with_output().expect("ended"));
    assert_eq!(ended.code, 143);
    assert_eq!(
        ended.err,
        "banger: ended by signal 15; the command was hung up\n"
    );
}

#[test]
fn a_closed_pipe_ends_the_command_as_it_would_here() {
    let fake = Fake::start();
    let mut child = fake.command(&["exec", "dev", "yes"]).spawn().expect("runs");
    let mut out = child.stdout.take().expect("piped");
    out.read_exact(&mut [0; 2]).expect("a line");
    drop(out);
    assert_eq!(child.wait().expect("ended").code(), Some(141));
}

#[test]
fn run_rm_deletes_whatever_the_command_came_to() {
    let fake = Fake::start();
    let delete = format!("DELETE /v1/sandboxes/{}", "c".repeat(32));
    for (program, code) in [(&["exit", "42"][..], 42), (&["nonsense"], 127)] {
        let all = [&["run", "--rm", "--timings", "--"][..], program].concat();
        let ended = fake.run(&all);
        assert_eq!(ended.code, code, "{}", ended.err);
        assert!(
            ended
                .err
                .contains("started in: VMM up 0.120s · guest running 0.130s")
        );
        assert!(!ended.err.contains("still runs"), "{}", ended.err);
        assert!(fake.saw(&delete));
        fake.state().requests.clear();
    }
    let mut child = fake
        .command(&["run", "--rm", "--", "sleep"])
        .spawn()
        .expect("runs");
    let sessions = fake.state().sessions.len();
    eventually(|| {
        if fake.state().sessions.len() == sessions {
            Err("none")
        } else {
            Ok(())
        }
    });
    signal(&child, Signal::HUP);
    assert_eq!(child.wait().expect("ended").code(), Some(129));
    assert!(fake.saw(&delete));
}

#[test]
fn run_without_rm_says_that_it_still_runs_and_detached_it_prints_the_name() {
    let fake = Fake::start();
    let ended = fake.run(&["run", "--", "exit", "3"]);
    assert_eq!(ended.code, 3);
    assert!(
        ended
            .err
            .contains("new still runs: enter it with `banger shell new`")
    );
    let quiet = fake.run(&["run", "-q", "--", "exit", "3"]);
    assert_eq!(quiet.err, "");
    let detached = fake.run(&["run", "-d"]);
    assert_eq!((detached.code, detached.out.as_str()), (0, "new\n"));
    let exec = fake
        .state()
        .requests
        .iter()
        .filter(|r| r.ends_with("/exec"))
        .count();
    assert_eq!(exec, 2);
}
