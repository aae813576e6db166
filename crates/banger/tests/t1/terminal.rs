//! A person at a terminal: a pseudo-terminal stands for theirs.

use crate::fake::{Fake, eventually, signal};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::process::Child;

struct Terminal {
    ours: File,
    theirs: File,
}

impl Terminal {
    fn open() -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).expect("granted");
        unlockpt(&ours).expect("unlocked");
        let name = ptsname(&ours, Vec::new()).expect("a name");
        let path = std::ffi::OsStr::from_bytes(name.as_bytes());
        let theirs = File::options()
            .read(true)
            .write(true)
            .open(path)
            .expect("open");
        let terminal = Self {
            ours: ours.into(),
            theirs,
        };
        terminal.resize(30, 100);
        terminal
    }

    fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.ours, size).expect("resized");
    }

    fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.theirs).expect("a terminal");
        !modes.local_modes.contains(LocalModes::ICANON)
    }

    fn spawn(&self, fake: &Fake, arguments: &[&str]) -> Child {
        let end = || self.theirs.try_clone().expect("cloned");
        let mut command = fake.command(arguments);
        command.stdin(end()).stdout(end()).env("TERM", "xterm");
        command.spawn().expect("runs")
    }
}

#[test]
fn a_terminal_is_raw_while_the_session_lasts_and_its_size_is_told() {
    let fake = Fake::start();
    let terminal = Terminal::open();
    let mut child = terminal.spawn(&fake, &["exec", "dev", "sleep"]);
    eventually(|| {
        if terminal.is_raw() {
            Ok(())
        } else {
            Err("not raw")
        }
    });
    eventually(|| {
        if fake.state().sessions.is_empty() {
            Err("none")
        } else {
            Ok(())
        }
    });
    let start = fake.state().starts.first().cloned().expect("started");
    let size = start.terminal.expect("a terminal");
    assert_eq!((size.rows, size.columns, start.stdin), (30, 100, true));
    assert_eq!(start.environment, [("TERM".into(), "xterm".into())]);

    terminal.resize(40, 120);
    eventually(|| {
        signal(&child, Signal::WINCH);
        let sizes = fake.state().sizes.clone();
        let told = sizes
            .iter()
            .any(|size| size == r#"{"rows":40,"columns":120}"#);
        if told { Ok(()) } else { Err(sizes) }
    });
    signal(&child, Signal::HUP);
    assert_eq!(child.wait().expect("ended").code(), Some(129));
    assert!(!terminal.is_raw(), "given back");
}

#[test]
fn without_a_terminal_on_both_sides_there_is_none_in_the_guest() {
    let fake = Fake::start();
    let terminal = Terminal::open();
    let mut command = fake.command(&["exec", "dev", "exit", "0"]);
    command.stdin(terminal.theirs.try_clone().expect("cloned"));
    assert!(command.output().expect("runs").status.success());
    let start = fake.state().starts.first().cloned().expect("started");
    assert_eq!((start.terminal, start.stdin), (None, false));
}
