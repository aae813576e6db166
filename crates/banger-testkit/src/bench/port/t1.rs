use super::*;
use crate::simulated_qemu;
use std::os::unix::net::UnixListener;

/// A port with the real agent at its end, whose commands run on the host.
fn port() -> (tempfile::TempDir, Port) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("agent.sock");
    let listener = UnixListener::bind(&path).expect("bound");
    let end = simulated_qemu::End::Never;
    std::thread::spawn(move || simulated_qemu::serve_agent(listener, end));
    let socket = UnixStream::connect(&path).expect("connected");
    let port = Port::meet(socket).expect("a hello");
    (directory, port)
}

#[test]
fn a_call_is_answered_and_an_impossible_one_is_an_error() {
    let (_directory, mut port) = port();
    port.configure().expect("configured");
    let health = port.call(&Call::Health).expect("answered");
    assert!(matches!(health, Answer::Health(_)), "{health:?}");
    let error = port.call(&Call::Get(b"/no/such/file".to_vec()));
    let text = error.expect_err("refused").to_string();
    assert!(text.contains("the guest refused"), "{text}");
}

#[test]
fn a_command_s_output_comes_whole_and_its_failure_is_an_error() {
    let (_directory, mut port) = port();
    let count = 1_000_000;
    let argv = ["head", "-c", "1000000", "/dev/zero"];
    let output = port.run(&argv).expect("ran");
    assert_eq!(output.stdout, vec![0; count]);
    let failed = port.run(&["sh", "-c", "echo why >&2; exit 3"]);
    let text = failed.expect_err("failed").to_string();
    assert!(text.contains("why"), "{text}");
    assert!(port.run(&["no-such-program"]).is_err());
}

#[test]
fn input_of_more_than_a_window_arrives_and_ends() {
    let (_directory, mut port) = port();
    let counting = port.exec(&["wc", "-c"], 3_000_000).expect("begun");
    let output = port.finish(counting).expect("ran");
    assert_eq!(output.stdout, b"3000000\n");
}

#[test]
fn a_port_that_closes_is_an_error() {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    drop(theirs);
    assert!(Port::meet(ours).is_err());
}
