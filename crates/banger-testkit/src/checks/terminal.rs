//! Commands on a terminal.

use super::start;
use crate::world::signal;
use crate::{World, run};
use rexpect::session::{PtySession, spawn_command};
use std::io::{BufRead, BufReader};
use std::time::Duration;

/// How long an answer from the guest may take: it takes well below a second under emulation.
const LIMIT: Duration = Duration::from_secs(60);

fn on_terminal(world: &World, arguments: &[&str]) -> PtySession {
    let mut command = world.banger(arguments);
    command.env("TERM", "xterm");
    let limit = u64::try_from(LIMIT.as_millis()).expect("a limit");
    spawn_command(command, Some(limit)).expect("a terminal")
}

fn resize(session: &PtySession, rows: u16, columns: u16) {
    use std::os::fd::AsFd;
    let size = rustix::termios::Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = session.process().get_file_handle().expect("the terminal");
    rustix::termios::tcsetwinsize(terminal.as_fd(), size).expect("resized");
}

/// # Panics
/// When the guest's terminal does not follow the size of the user's.
pub fn a_terminal_has_the_right_size_after_a_resize(world: &World) {
    start(world, "v");
    let mut session = on_terminal(world, &["vm", "exec", "-i", "-t", "v", "--", "sh"]);
    session.send_line("echo rea''dy").expect("sent");
    session.exp_string("ready").expect("a shell");
    resize(&session, 33, 111);
    crate::eventually("the size to arrive", LIMIT, || {
        session
            .send_line("stty size")
            .map_err(|error| error.to_string())?;
        let (_, found) = session
            .exp_regex(r"\d+ \d+")
            .map_err(|error| error.to_string())?;
        if found == "33 111" {
            Ok(())
        } else {
            Err(found)
        }
    });
    session.send_line("exit 5").expect("sent");
    let status = session.process().wait().expect("ended");
    assert!(format!("{status:?}").contains('5'), "{status:?}");
}

/// # Panics
/// When Ctrl-C does not reach the guest's process, with and without a terminal.
pub fn an_interrupt_reaches_the_guests_process(world: &World) {
    start(world, "v");
    let script = "trap 'echo caught; exit 3' INT; echo re''ady; while :; do sleep 0.1; done";
    let mut session = on_terminal(
        world,
        &["vm", "exec", "-i", "-t", "v", "--", "sh", "-c", script],
    );
    session.exp_string("ready").expect("a trap");
    session.send_control('c').expect("sent");
    session.exp_string("caught").expect("the interrupt");
    let status = session.process().wait().expect("ended");
    assert!(format!("{status:?}").contains('3'), "{status:?}");

    // Without a terminal there is no key: the interrupt is the signal that a shell would send.
    let mut child = run::start(&mut world.banger(["vm", "exec", "v", "--", "sh", "-c", script]));
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("readable");
    assert_eq!(line, "ready\n");
    signal(child.id(), rustix::process::Signal::INT);
    child.stdout = Some(output.into_inner());
    let ran = run::finish(child, Vec::new(), LIMIT);
    assert_eq!((ran.text().as_str(), ran.code), ("caught\n", Some(3)));
}

fn hung_up(world: &World, mark: &str) {
    crate::eventually("the session's hangup", LIMIT, || {
        let seen = world.run(["vm", "exec", "v", "--", "cat", mark]);
        if seen.code == Some(0) {
            Ok(())
        } else {
            Err(seen.stderr)
        }
    });
}

/// # Panics
/// When losing the terminal kills more or less than the session.
pub fn losing_the_terminal_kills_the_session_and_nothing_else(world: &World) {
    start(world, "v");
    let before = world.vmms();
    let mark = world.guest_path("hung-up");
    let script =
        format!("trap 'echo x > {mark}; exit' HUP; echo re''ady; while :; do sleep 0.1; done");
    let mut session = on_terminal(
        world,
        &["vm", "exec", "-i", "-t", "v", "--", "sh", "-c", &script],
    );
    session.exp_string("ready").expect("a trap");
    drop(session);
    hung_up(world, &mark);
    // A client that is killed cannot even say that it leaves.
    let _ = world.run(["vm", "exec", "v", "--", "rm", &mark]).good();
    let mut child = run::start(&mut world.banger(["vm", "exec", "v", "--", "sh", "-c", &script]));
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("readable");
    assert_eq!(line, "ready\n");
    child.kill().expect("killed");
    child.wait().expect("ended");
    hung_up(world, &mark);
    assert_eq!(world.vmms(), before);
    assert_eq!(world.show("v")["state"], "running");
}
