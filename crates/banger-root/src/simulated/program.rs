//! The helper as a program on a host in memory: its own command line, socket and judge, no root.
//!
//! ```text
//! daemon ──▶ helper: command line, socket ──relays──▶ host: judge, act, the kernel in memory
//!            ends with the daemon, or is killed        goes on, as a kernel does
//! ```
//!
//! The host is a process of its own, started by the first helper; it listens in the directory of the
//! helper's program, where tests ask and change it.

use super::SimulatedKernel;
use crate::act::{self, Host};
use crate::flags::{self, Door, Flags};
use crate::judge::{self, Peer, Place};
use crate::run::leave_with_input;
use banger_linux::seqpacket::{Connection, Listener};
use banger_proto::root::{Outcome, PACKET_MAX, Refusal, Reply};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The host's socket, beside the program.
pub const SOCKET: &str = "kernel.sock";
/// What a test sends to add an interface as another program would; its name follows.
pub const ADD_LINK: &str = "add-link ";
/// What a test sends to remove one as another program would; its name follows.
pub const REMOVE_LINK: &str = "remove-link ";
/// What a test sends to have systemd-resolved forget what it knows of the bridge.
pub const RESOLVED_FORGETS: &str = "resolved-forgets";
/// What a test sends to have no systemd-resolved from now on.
pub const NO_RESOLVED: &str = "no-resolved";
/// What a test sends to be answered with what systemd-resolved was told, a line each.
pub const TOLD_RESOLVED: &str = "told-resolved";
/// What a test sends to have only so many more changes succeed; the number follows, or nothing.
pub const CHANGES_LEFT: &str = "changes-left ";
/// What a test sends to have a helper of another version from now on; the version follows.
pub const BE_OF_VERSION: &str = "be-of-version ";

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// What tells the program that it is to be the host.
const BE_THE_HOST: &str = "--be-the-host";

/// Runs the program.
#[must_use]
pub fn program(path: &Path, arguments: &[OsString]) -> ExitCode {
    let (be_the_host, rest) = match arguments.split_first() {
        Some((first, rest)) if first == BE_THE_HOST => (true, rest),
        _ => (false, arguments),
    };
    let ended = match flags::parse(rest) {
        Ok(Flags::Serve(place, _)) if be_the_host => {
            serve_host(&path.with_file_name(SOCKET), &place)
        }
        Ok(Flags::Serve(place, Door::Path(socket) | Door::PathUntilInputEnds(socket))) => {
            std::thread::spawn(leave_with_input);
            relay(path, arguments, &socket, place.owner)
        }
        Ok(_) => Err("it only serves at a path".to_owned()),
        Err(why) => Err(why),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("simulated helper: {why}");
            ExitCode::FAILURE
        }
    }
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn each(listener: &Listener, mut serve: impl FnMut(&Connection)) -> Result<(), String> {
    loop {
        let accepted = listener.accept(Instant::now() + PATIENCE).map_err(said)?;
        if let Some(connection) = accepted {
            serve(&connection);
        }
    }
}

/// The helper: takes each packet to the host, and the answer back.
fn relay(path: &Path, arguments: &[OsString], socket: &Path, owner: u32) -> Result<(), String> {
    let kernel = path.with_file_name(SOCKET);
    if Connection::connect(&kernel).is_err() {
        let mut host = Command::new(path);
        host.arg(BE_THE_HOST).args(arguments).process_group(0);
        host.stdin(Stdio::null()).spawn().map_err(said)?;
    }
    wait_for(&kernel)?;
    let listener = Listener::bind(socket, owner).map_err(said)?;
    each(&listener, |client| {
        // A client without an answer sees that its connection ends.
        if let Err(why) = relay_one(client, &kernel) {
            eprintln!("simulated helper: {why}");
        }
    })
}

fn wait_for(socket: &Path) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    while let Err(error) = Connection::connect(socket) {
        if Instant::now() > until {
            return Err(said(error));
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(())
}

fn relay_one(client: &Connection, kernel: &Path) -> Result<(), String> {
    let until = || Instant::now() + PATIENCE;
    let packet = client.receive(PACKET_MAX, until()).map_err(said)?;
    let host = Connection::connect(kernel).map_err(said)?;
    host.send(&packet, until()).map_err(said)?;
    let answer = host.receive(PACKET_MAX, until()).map_err(said)?;
    client.send(&answer, until()).map_err(said)
}

/// The host: judges and acts, and does what tests tell it.
fn serve_host(socket: &Path, place: &Place) -> Result<(), String> {
    let listener = Listener::bind(socket, place.owner).map_err(said)?;
    let kernel = SimulatedKernel::new(place.clone());
    let mut place = place.clone();
    each(&listener, |connection| {
        let Ok(packet) = connection.receive(PACKET_MAX, Instant::now() + PATIENCE) else {
            return;
        };
        let answer = match told(&kernel, &mut place, &packet) {
            Some(said) => Ok(said.into_bytes()),
            None => answer(connection, &packet, &kernel, &place).encode(),
        };
        // Whoever asked may be gone.
        if let Ok(answer) = answer {
            let _gone = connection.send(&answer, Instant::now() + PATIENCE);
        }
    })
}

/// Does what a test tells, and what is to be said of it; none for a request.
fn told(kernel: &SimulatedKernel, place: &mut Place, packet: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(packet).ok()?;
    let mut state = kernel.state();
    match text {
        RESOLVED_FORGETS => state.resolved = Some(BTreeMap::new()),
        NO_RESOLVED => state.resolved = None,
        TOLD_RESOLVED => return Some(state.told_resolved.join("\n")),
        _ => {
            if let Some(version) = text.strip_prefix(BE_OF_VERSION) {
                version.clone_into(&mut place.version);
            } else if let Some(name) = text.strip_prefix(ADD_LINK) {
                state.add_link(name);
            } else if let Some(name) = text.strip_prefix(REMOVE_LINK) {
                state.remove_link(name);
            } else {
                state.changes_left = text.strip_prefix(CHANGES_LEFT)?.parse().ok();
            }
        }
    }
    Some("done".to_owned())
}

fn answer(
    connection: &Connection,
    packet: &[u8],
    kernel: &SimulatedKernel,
    place: &Place,
) -> Reply {
    let reply = |op, outcome| Reply {
        version: place.version.clone(),
        op,
        outcome,
    };
    let refused = |refusal: Refusal| Outcome::Refused(refusal);
    let request = match judge::read(packet) {
        Ok(request) => request,
        Err(refusal) => return reply(None, refused(refusal)),
    };
    let op = Some(request.op);
    // Relayed by the helper, who is the daemon's own user as well.
    let uid = connection.peer().map_or(u32::MAX, |peer| peer.uid);
    let outcome = match judge::judge(request, Peer { uid }, place) {
        Ok(granted) => match act::act(&granted, Host { kernel, place }) {
            Ok(answer) => Outcome::Done(answer),
            Err(fault) => Outcome::Failed(fault),
        },
        Err(refusal) => refused(refusal),
    };
    reply(op, outcome)
}
