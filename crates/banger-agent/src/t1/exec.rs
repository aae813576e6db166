use super::host::{Outcome, exec, run};
use super::{Guest, Talk};
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{Call, Exec, ExitStatus, Steer, TerminalSize};

pub(super) fn refused(outcome: Outcome) -> (FaultCode, String) {
    let fault = outcome.expect_err("refused");
    (fault.code, fault.message)
}

pub(super) fn shell(session: u8, script: &str) -> Exec {
    exec(session, &["/bin/sh", "-c", script])
}

#[test]
fn output_error_and_status_come_back_apart() {
    let guest = Guest::start();
    let talk = run(
        &mut guest.connect(),
        1,
        shell(1, "echo out; echo err >&2; exit 42"),
        b"",
    );
    assert_eq!(talk.stdout, b"out\n");
    assert_eq!(talk.stderr, b"err\n");
    assert_eq!(talk.status, Some(ExitStatus::Code(42)));
    assert_eq!(talk.ends, 2);
}

#[test]
fn a_command_that_a_signal_ends_says_which() {
    let guest = Guest::start();
    let talk = run(&mut guest.connect(), 1, shell(1, "kill -9 $$"), b"");
    assert_eq!(talk.status, Some(ExitStatus::Signal(9)));
}

#[test]
fn arguments_and_environment_arrive_as_the_bytes_they_were() {
    let guest = Guest::start();
    let mut call = exec(
        1,
        &["/bin/sh", "-c", "printf '%s|' \"$@\" \"$STRANGE\"", "sh"],
    );
    call.argv.extend([
        b"a b".to_vec(),
        b"'\"\n\\".to_vec(),
        b"\xff\xfe".to_vec(),
        vec![],
    ]);
    call.environment = vec![(b"STRANGE".to_vec(), b"= \xff".to_vec())];
    let talk = run(&mut guest.connect(), 1, call, b"");
    assert_eq!(talk.stdout, b"a b|'\"\n\\|\xff\xfe||= \xff|");
}

#[test]
fn a_long_command_line_comes_in_parts() {
    let guest = Guest::start();
    let mut call = exec(1, &["/bin/sh", "-c", "printf %s \"$*\" | wc -c", "sh"]);
    call.argv.extend((0..3).map(|_| vec![b'x'; 100_000]));
    let talk = run(&mut guest.connect(), 1, call, b"");
    assert_eq!(String::from_utf8_lossy(&talk.stdout).trim(), "300002");
}

#[test]
fn twenty_megabytes_come_back_equal() {
    let guest = Guest::start();
    let input = noise(20 << 20);
    let mut call = exec(1, &["cat"]);
    call.stdin = true;
    let talk = run(&mut guest.connect(), 1, call, &input);
    assert!(
        talk.stdout == input,
        "{} of {} bytes",
        talk.stdout.len(),
        input.len()
    );
    assert_eq!(talk.status, Some(ExitStatus::Code(0)));
}

pub(super) fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    };
    (0..count).map(next).collect()
}

#[test]
fn input_that_nobody_reads_is_no_obstacle() {
    let guest = Guest::start();
    let mut call = exec(1, &["true"]);
    call.stdin = true;
    let talk = run(&mut guest.connect(), 1, call, &vec![1; 3 << 20]);
    assert_eq!(talk.status, Some(ExitStatus::Code(0)));
}

#[test]
fn what_cannot_be_run_is_the_answer_to_the_call() {
    let guest = Guest::start();
    let mut host = guest.connect();
    let (code, message) = refused(host.ask(1, &Call::Exec(exec(1, &["no-such-program"]))));
    assert_eq!(code, FaultCode::NotFound);
    assert_eq!(message, "the guest has no program no-such-program");
    let (code, message) = refused(host.ask(2, &Call::Exec(exec(1, &["/etc/passwd"]))));
    assert_eq!(code, FaultCode::Refused);
    assert_eq!(message, "cannot run /etc/passwd: permission denied");
    let mut lost = exec(1, &["true"]);
    lost.directory = Some(b"/no/such".to_vec());
    let (code, message) = refused(host.ask(3, &Call::Exec(lost)));
    assert_eq!(code, FaultCode::BadRequest);
    assert_eq!(
        message,
        "cannot work in the directory /no/such: no such file or directory"
    );
    let mut stranger = exec(1, &["true"]);
    stranger.user = Some("nobody-knows".to_owned());
    assert_eq!(
        refused(host.ask(4, &Call::Exec(stranger))).0,
        FaultCode::NotFound
    );
    let mut too_much = exec(1, &["true"]);
    too_much.argv.push(vec![b'x'; 1 << 20]);
    assert_eq!(
        refused(host.ask(5, &Call::Exec(too_much))).0,
        FaultCode::BadRequest
    );
    let talk = run(&mut host, 6, exec(1, &["true"]), b"");
    assert_eq!(
        talk.status,
        Some(ExitStatus::Code(0)),
        "the session's id is free again"
    );
}

#[test]
fn without_arguments_a_shell_reads_the_input() {
    let guest = Guest::start();
    let mut call = exec(1, &[]);
    call.stdin = true;
    let talk = run(&mut guest.connect(), 1, call, b"echo $0\n");
    assert_eq!(talk.stdout, b"-sh\n");
}

#[test]
fn a_terminal_has_its_size_and_a_new_one_after_a_resize() {
    let guest = Guest::start();
    let mut host = guest.connect();
    let script =
        "stty size; trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.05; done";
    let mut call = shell(1, script);
    call.terminal = Some(TerminalSize {
        rows: 24,
        columns: 80,
    });
    call.stdin = true;
    host.call(1, &Call::Exec(call));
    let mut talk = Talk::default();
    talk.open(&mut host, 1).expect("sent");
    while !String::from_utf8_lossy(&talk.stdout).contains("ready") {
        assert!(talk.step(&mut host, 1).expect("connected"));
    }
    host.steer(
        1,
        &Steer::Resize(TerminalSize {
            rows: 50,
            columns: 132,
        }),
    );
    talk.finish(&mut host, 1).expect("connected");
    let text = String::from_utf8_lossy(&talk.stdout).replace('\r', "");
    assert!(
        text.starts_with("24 80\n") && text.ends_with("50 132\n"),
        "{text}"
    );
    assert_eq!(talk.status, Some(ExitStatus::Code(3)));
}

#[test]
fn a_signal_reaches_the_foreground_of_a_terminal_and_the_group_without_one() {
    let guest = Guest::start();
    let mut host = guest.connect();
    for (session, terminal) in [
        (1, None),
        (
            2,
            Some(TerminalSize {
                rows: 1,
                columns: 1,
            }),
        ),
    ] {
        let stream = u32::from(session);
        let mut call = shell(session, "echo ready; sleep 100; echo never");
        call.terminal = terminal;
        host.call(stream, &Call::Exec(call));
        let mut talk = Talk::default();
        talk.open(&mut host, stream).expect("sent");
        while talk.stdout.is_empty() {
            talk.step(&mut host, stream).expect("connected");
        }
        host.steer(stream, &Steer::Signal(0));
        host.steer(stream, &Steer::Signal(15));
        talk.finish(&mut host, stream).expect("connected");
        assert_eq!(talk.status, Some(ExitStatus::Signal(15)));
    }
}

#[test]
fn the_end_of_input_is_told_to_a_terminal_as_it_expects_it() {
    let guest = Guest::start();
    let mut call = shell(1, "stty -echo; cat; echo over");
    call.terminal = Some(TerminalSize {
        rows: 24,
        columns: 80,
    });
    call.stdin = true;
    let talk = run(&mut guest.connect(), 1, call, b"line\n");
    let text = String::from_utf8_lossy(&talk.stdout).replace('\r', "");
    assert!(
        text.contains("line\n") && text.ends_with("over\n"),
        "{text}"
    );
    assert_eq!(talk.status, Some(ExitStatus::Code(0)));
}
