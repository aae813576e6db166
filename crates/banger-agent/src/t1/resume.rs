//! A guest that goes on from saved memory: what the agent itself keeps, and gives up.

use super::exec::{noise, refused, shell};
use super::host::exec;
use super::link::configuration;
use super::{Guest, Host, Talk, eventually};
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{Answer, Attach, Call, Configure, Resumed, TerminalSize};
use std::path::Path;
use std::sync::atomic::Ordering;

pub(super) fn resumption(keeps_sessions: bool) -> Resumed {
    Resumed {
        mac: Some([2, 0, 0, 0, 0, 1]),
        keeps_sessions,
        configure: Configure {
            hostname: "fork".to_owned(),
            ..configuration()
        },
    }
}

/// Goes on in another connection, as another sandbox or the same.
fn resume(guest: &Guest, keeps_sessions: bool) -> Host {
    let mut host = guest.connect_as(u64::MAX, b"");
    let answer = host.ask(1, &Call::Resumed(resumption(keeps_sessions)));
    assert!(matches!(answer, Ok(Answer::Configured(_))), "{answer:?}");
    host
}

fn attach(session: u8) -> Call {
    Call::Attach(Attach {
        session: [session; 16],
        stdout: 0,
        stderr: 0,
    })
}

fn running(host: &mut Host, stream: u32) -> u32 {
    match host.ask(stream, &Call::Health) {
        Ok(Answer::Health(health)) => health.sessions,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_resume_is_passed_on_and_its_rest_follows_behind_the_answer() {
    let guest = Guest::start();
    let before = guest.connect().hello.expect("answered");
    let _host = resume(&guest, false);
    let asked = guest.machine.resumed.lock().expect("whole").clone();
    assert_eq!(asked, [resumption(false)]);
    eventually("the rest", || {
        guest.machine.settled.load(Ordering::SeqCst) == 1
    });
    let after = guest.connect_as(3, b"").hello.expect("answered");
    assert!(after.configured, "as by a configuration");
    assert_ne!(before.boot, after.boot, "the copies' own number");
}

/// A guest that is saved again and again soon after it goes on has one rest before it, not several.
#[test]
fn what_an_earlier_resume_had_still_before_it_does_not_cut_a_later_ones_lull_short() {
    let guest = Guest::start();
    let settled = || guest.machine.settled.load(Ordering::SeqCst);
    for _ in 0..4 {
        drop(resume(&guest, true));
    }
    eventually("the rest", || settled() == 1);
    drop(resume(&guest, true));
    eventually("another one", || settled() == 2);
}

#[test]
fn a_resume_that_fails_has_no_rest() {
    let guest = Guest::start();
    let mut host = guest.connect();
    let mut nameless = resumption(false);
    nameless.configure.hostname.clear();
    let failed = host.ask(1, &Call::Resumed(nameless));
    assert_eq!(refused(failed).0, FaultCode::BadRequest);
    // One after the other: this one would be behind it.
    drop(resume(&guest, false));
    eventually("the rest", || {
        guest.machine.settled.load(Ordering::SeqCst) == 1
    });
}

/// Runs a command that tells of its input's end, writes more than anything holds, and goes on for
/// as long as its file is there: the test's end is its own.
fn start_writer(host: &mut Host, marker: &Path, terminal: Option<TerminalSize>) {
    let script = format!(
        "cat > /dev/null; i=0; while [ $i -lt 60000 ]; do \
         echo 0123456789012345678901234567890123456789; i=$((i+1)); done; : > {0}; \
         while [ -e {0} ]; do sleep 0.05; done",
        marker.display()
    );
    let mut call = shell(1, &script);
    call.stdin = true;
    call.terminal = terminal;
    assert!(host.ask(1, &Call::Exec(call)).is_ok());
}

#[test]
fn what_its_parent_ran_goes_on_undisturbed_and_nobody_finds_it() {
    let size = TerminalSize {
        rows: 24,
        columns: 80,
    };
    for terminal in [None, Some(size)] {
        let guest = Guest::start();
        let marker = guest.root.path().join("written");
        let mut host = guest.connect();
        start_writer(&mut host, &marker, terminal);
        assert!(host.ask(2, &Call::Exec(exec(2, &["true"]))).is_ok());
        eventually("the end of the second", || running(&mut host, 3) == 1);
        let mut host = resume(&guest, false);
        eventually("the end of input, and room for output", || marker.exists());
        assert_eq!(running(&mut host, 2), 1, "nothing has ended it");
        for session in [1, 2] {
            assert_eq!(
                refused(host.ask(3, &attach(session))).0,
                FaultCode::NotFound
            );
        }
        // Its number is as free as any other.
        let again = super::host::run(&mut host, 4, shell(1, "echo mine; exit 3"), b"");
        assert_eq!(again.stdout, b"mine\n");
        assert_eq!(running(&mut host, 5), 1);
    }
}

#[test]
fn a_command_that_was_given_up_is_no_longer_counted_once_it_ends() {
    let guest = Guest::start();
    let mut host = guest.connect();
    let mut call = exec(1, &["cat"]);
    call.stdin = true;
    assert!(host.ask(1, &Call::Exec(call)).is_ok());
    let mut host = resume(&guest, false);
    eventually("the end with the input", || running(&mut host, 2) == 0);
    let none = super::host::run(&mut host, 3, exec(1, &["true"]), b"");
    assert!(none.status.is_some());
    assert_eq!(running(&mut host, 4), 0);
}

#[test]
fn the_same_sandbox_keeps_its_sessions_and_loses_nothing() {
    let guest = Guest::start();
    let input = noise(2 << 20);
    let mut call = exec(1, &["cat"]);
    call.stdin = true;
    let mut talk = Talk::with_input(&input);
    let mut host = guest.connect();
    host.call(1, &Call::Exec(call));
    talk.open(&mut host, 1).expect("sent");
    for _ in 0..20 {
        assert!(talk.step(&mut host, 1).expect("connected"), "not over yet");
    }
    let mut host = resume(&guest, true);
    let mut talk = super::sessions::attach(&mut host, talk);
    talk.finish(&mut host, 1).expect("connected");
    assert!(talk.stdout == input, "{} bytes", talk.stdout.len());
}

#[test]
fn file_systems_are_synced_on_request_and_what_follows_is_prepared_before() {
    let guest = Guest::start();
    let mut host = guest.connect();
    assert_eq!(host.ask(1, &Call::Sync), Ok(Answer::Done));
    assert_eq!(guest.machine.synced.load(Ordering::SeqCst), 1);
    assert_eq!(guest.machine.prepared.load(Ordering::SeqCst), 1);
}

#[test]
fn a_guest_that_will_be_nobodys_leaves_its_network_on_request_and_tells_what_stays() {
    let guest = Guest::start();
    let mut host = guest.connect();
    assert_eq!(host.ask(1, &Call::LeaveNetwork), Ok(Answer::Done));
    assert_eq!(guest.machine.left_network.load(Ordering::SeqCst), 1);
    let again = host.ask(2, &Call::LeaveNetwork).expect_err("left already");
    assert_eq!(again.message, "it has none");
}
