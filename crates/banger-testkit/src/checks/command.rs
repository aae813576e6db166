//! Commands: arguments, streams, exit statuses.

use super::{run, start};
use crate::World;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// # Panics
/// When the exit status of a command does not become banger's own.
pub fn exit_statuses_are_the_commands_own(world: &World) {
    let ran = world.run(run(&["--rm", "--", "sh", "-c", "exit 42"]));
    assert_eq!(ran.code, Some(42), "{}", ran.stderr);
    start(world, "v");
    let status = |command: &[&str]| {
        let arguments = [&["vm", "exec", "v", "--"], command].concat();
        world.run(arguments)
    };
    assert_eq!(status(&["true"]).code, Some(0));
    assert_eq!(status(&["sh", "-c", "kill -9 $$"]).code, Some(137));
    assert_eq!(status(&["sh", "-c", "kill -TERM $$"]).code, Some(143));
    let missing = status(&["no-such-program"]);
    assert_eq!(missing.code, Some(127), "{}", missing.stderr);
    assert!(
        missing.stderr.contains("no-such-program"),
        "{}",
        missing.stderr
    );
    let directory = status(&["/etc"]);
    assert_eq!(directory.code, Some(126), "{}", directory.stderr);
}

/// # Panics
/// When a byte of an argument or a variable arrives changed.
pub fn arguments_arrive_as_the_bytes_they_were(world: &World) {
    start(world, "v");
    let odd: Vec<Vec<u8>> = vec![
        b"with space".to_vec(),
        b"'quotes' \"both\" `back`".to_vec(),
        b"new\nline\ttab".to_vec(),
        b"$HOME ${x} $(x) ; & | > < * ? \\".to_vec(),
        vec![0xff, 0xfe, b'x', 0x80],
        b"".to_vec(),
        b"-rf".to_vec(),
        "ü€𝄞".as_bytes().to_vec(),
    ];
    let mut arguments: Vec<OsString> = ["vm", "exec", "v", "--", "printf", r"%s\0"]
        .map(OsString::from)
        .to_vec();
    arguments.extend(odd.iter().cloned().map(OsString::from_vec));
    let mut wanted = odd.join(&0);
    wanted.push(0);
    assert_eq!(world.run(arguments).good().stdout, wanted);

    let long = "x".repeat(100_000);
    let ran = world.run([
        "vm",
        "exec",
        "-e",
        "A=b c\nd",
        "v",
        "--",
        "sh",
        "-c",
        "echo \"$A\" ${#1}",
        "sh",
        &long,
    ]);
    assert_eq!(ran.good().text(), "b c\nd 100000\n");
}

/// # Panics
/// When bytes are lost or changed on their way through standard input and output.
pub fn random_bytes_come_back_equal(world: &World, count: usize) {
    start(world, "v");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |state: &mut u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        state.to_le_bytes()
    };
    let bytes: Vec<u8> = (0..count / 8).flat_map(|_| next(&mut state)).collect();
    let ran = world
        .run_with(["vm", "exec", "-i", "v", "--", "cat"], bytes.clone())
        .good();
    assert!(
        ran.stdout == bytes,
        "{} bytes came back of {}",
        ran.stdout.len(),
        bytes.len()
    );
}

/// # Panics
/// When standard error is mixed with standard output.
pub fn standard_error_stays_apart(world: &World) {
    start(world, "v");
    let ran = world.run([
        "vm",
        "exec",
        "v",
        "--",
        "sh",
        "-c",
        "echo out; echo err >&2; echo out2",
    ]);
    assert_eq!(ran.text(), "out\nout2\n");
    assert_eq!(ran.stderr, "err\n");
}

/// # Panics
/// When the working directory, the user or a background child are not handled as they should be.
pub fn surroundings_of_a_command_are_those_asked_for(world: &World) {
    start(world, "v");
    let ran = world.run(["vm", "exec", "-w", "/usr", "v", "--", "pwd"]);
    assert_eq!(ran.good().text(), "/usr\n");
    let ran = world.run(["vm", "exec", "-w", "/no/such", "v", "--", "pwd"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("/no/such"), "{}", ran.stderr);
    let ran = world.run(["vm", "exec", "-u", "nobody-at-all", "v", "--", "true"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("nobody-at-all"), "{}", ran.stderr);
    // A child that goes on in the background does not keep the command from ending.
    let ran = world.run(["vm", "exec", "v", "--", "sh", "-c", "sleep 30 & echo done"]);
    assert_eq!(ran.good().text(), "done\n");
}
