//! Sessions: what outlives a command's end, a connection, a client.

use super::exec::{noise, refused, shell};
use super::host::{exec, run};
use super::{Guest, Host, Talk, eventually};
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{Answer, Attach, Call, ExitStatus, Steer, TerminalSize};

#[test]
fn a_child_left_behind_delays_nothing_and_lives_on() {
    let guest = Guest::start();
    let mut host = guest.connect();
    let marker = guest.root.path().join("alive");
    let script = format!(
        "(trap '' HUP; sleep 0.3; i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; echo $? > {0}.new; mv {0}.new {0}) & echo out",
        marker.display()
    );
    let talk = run(&mut host, 1, shell(1, &script), b"");
    assert_eq!(
        (talk.stdout.as_slice(), talk.status),
        (&b"out\n"[..], Some(ExitStatus::Code(0)))
    );
    assert!(!marker.exists(), "the notice waited for the child");
    eventually("the child's end, without a broken pipe", || marker.exists());
    assert_eq!(std::fs::read_to_string(&marker).expect("read"), "0\n");
}

#[test]
fn all_that_was_written_before_the_end_arrives_before_the_notice() {
    let guest = Guest::start();
    let mut host = guest.connect();
    for terminal in [
        None,
        Some(TerminalSize {
            rows: 1,
            columns: 1,
        }),
    ] {
        let mut call = shell(
            1,
            "i=0; while [ $i -lt 2000 ]; do echo 012345678901234; i=$((i+1)); done",
        );
        call.terminal = terminal;
        let talk = run(&mut host, 1, call, b"");
        let lines = talk.stdout.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines, 2000, "{terminal:?}");
        assert_eq!(host.ask(9, &Call::Forget([1; 16])), Ok(Answer::Done));
    }
}

#[test]
fn a_session_outlives_its_connection_and_nothing_is_lost_or_doubled() {
    let guest = Guest::start();
    let input = noise(6 << 20);
    let mut call = exec(1, &["cat"]);
    call.stdin = true;
    let mut talk = Talk::with_input(&input);
    let mut host = guest.connect();
    host.call(1, &Call::Exec(call));
    talk.open(&mut host, 1).expect("sent");
    for round in 1..=12_u64 {
        // Lets some frames pass, then drops the connection in the middle of whatever it does.
        let mut over = false;
        for _ in 0..20 + round * 3 {
            over = over || !talk.step(&mut host, 1).expect("connected");
        }
        if over {
            break;
        }
        drop(host);
        host = guest.connect_as(round + 1, b"");
        talk = attach(&mut host, talk);
    }
    if talk.status.is_none() {
        talk.finish(&mut host, 1).expect("connected");
    }
    assert!(
        talk.stdout == input,
        "{} of {} bytes",
        talk.stdout.len(),
        input.len()
    );
    assert_eq!(talk.status, Some(ExitStatus::Code(0)));
}

/// Takes a session up again where it was.
pub(super) fn attach(host: &mut Host, mut talk: Talk) -> Talk {
    let [stdout, stderr] = [talk.stdout.len() as u64, talk.stderr.len() as u64];
    let call = Call::Attach(Attach {
        session: [1; 16],
        stdout,
        stderr,
    });
    let answer = host.ask(1, &call).expect("the session is there");
    let Answer::Attached(attached) = answer else {
        panic!("{answer:?}");
    };
    talk.input.resume(attached.stdin).expect("possible");
    talk.open(host, 1).expect("sent");
    talk
}

#[test]
fn the_end_of_a_command_waits_for_whoever_comes_back_until_it_is_forgotten() {
    let guest = Guest::start();
    let mut host = guest.connect();
    let first = run(&mut host, 1, shell(1, "echo kept; exit 7"), b"");
    assert_eq!(first.status, Some(ExitStatus::Code(7)));
    let mut host = guest.connect_as(2, b"");
    // Nothing was acknowledged: the same call again is an attach from the beginning.
    let again = run(&mut host, 1, shell(1, "not run again"), b"");
    assert_eq!(
        (again.stdout.as_slice(), again.status),
        (&b"kept\n"[..], first.status)
    );
    assert_eq!(host.ask(2, &Call::Forget([1; 16])), Ok(Answer::Done));
    let gone = Call::Attach(Attach {
        session: [1; 16],
        stdout: 0,
        stderr: 0,
    });
    assert_eq!(refused(host.ask(3, &gone)).0, FaultCode::NotFound);
}

#[test]
fn a_session_is_taken_from_the_stream_that_had_it() {
    let guest = Guest::start();
    let mut host = guest.connect();
    let mut call = exec(1, &["cat"]);
    call.stdin = true;
    assert!(host.ask(1, &Call::Exec(call)).is_ok());
    host.call(
        2,
        &Call::Attach(Attach {
            session: [1; 16],
            stdout: 0,
            stderr: 0,
        }),
    );
    let mut first = Talk::default();
    first.finish(&mut host, 1).expect("connected");
    assert!(first.taken);
    assert!(host.answer(2).is_ok());
    let mut second = Talk::with_input(b"hello");
    second.open(&mut host, 2).expect("sent");
    second.finish(&mut host, 2).expect("connected");
    assert_eq!(second.stdout, b"hello");
    assert_eq!(
        refused(host.ask(
            3,
            &Call::Attach(Attach {
                session: [1; 16],
                stdout: 9,
                stderr: 0
            })
        ))
        .0,
        FaultCode::Refused
    );
}

#[test]
fn a_hangup_ends_the_session_and_spares_what_ignores_it() {
    let guest = Guest::start();
    let mut host = guest.connect();
    let marker = guest.root.path().join("done");
    let script = format!(
        "(trap '' HUP; echo ready; sleep 0.2; head -c 1000000 /dev/zero; : > {}) & wait",
        marker.display()
    );
    host.call(1, &Call::Exec(shell(1, &script)));
    let mut talk = Talk::default();
    talk.open(&mut host, 1).expect("sent");
    while talk.stdout.is_empty() {
        talk.step(&mut host, 1).expect("connected");
    }
    host.steer(1, &Steer::Hangup);
    talk.finish(&mut host, 1).expect("connected");
    assert_eq!(talk.status, Some(ExitStatus::Signal(1)));
    eventually("the end of what ignores the hangup", || marker.exists());
}

#[test]
fn a_command_waits_while_nobody_takes_its_output() {
    let guest = Guest::start();
    let mut host = guest.connect();
    let marker = guest.root.path().join("done");
    let script = format!("head -c 4000000 /dev/zero; : > {}", marker.display());
    assert!(host.ask(1, &Call::Exec(shell(1, &script))).is_ok());
    // Another stream is served meanwhile.
    let other = run(&mut host, 2, shell(2, "echo here"), b"");
    assert_eq!(other.stdout, b"here\n");
    assert!(
        !marker.exists(),
        "a pipe and a window of 1 MiB each have no room for it"
    );
    let mut talk = Talk::default();
    talk.open(&mut host, 1).expect("sent");
    talk.finish(&mut host, 1).expect("connected");
    assert_eq!(talk.stdout.len(), 4_000_000);
}
