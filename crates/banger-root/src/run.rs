//! The process: from its arguments to serving, confined.

use crate::flags::{self, Door, Flags};
use crate::judge::Place;
use crate::serve::Server;
use crate::{VERSION, log};
use banger_linux::confine::{self, Capability, Plan};
use banger_linux::memory;
use banger_linux::programs::Programs;
use banger_linux::seqpacket::Listener;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

/// Bad arguments, as in BSD's sysexits(3).
const USAGE: u8 = 64;
/// Descriptors: the silent, those who wait for a worker, and what workers need for programs and netlink.
const OPEN_FILES: u64 = 512;

/// Runs the helper with the arguments after its name.
#[must_use]
pub fn run(arguments: &[OsString]) -> ExitCode {
    match flags::parse(arguments) {
        Ok(Flags::Version) => {
            println!("banger-root {VERSION}");
            ExitCode::SUCCESS
        }
        Ok(Flags::Help) => {
            print!("{}", flags::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Flags::Serve(place, door)) => match start(place, &door) {
            Ok(server) => {
                if matches!(door, Door::PathUntilInputEnds(_)) {
                    std::thread::spawn(leave_with_input);
                }
                server.serve()
            }
            Err(why) => {
                log::line(None, format_args!("cannot start: {why}"));
                ExitCode::FAILURE
            }
        },
        Err(why) => {
            eprint!("banger-root: {why}\n\n{}", flags::USAGE);
            ExitCode::from(USAGE)
        }
    }
}

/// Finds what is needed, takes the socket, gives up what is not needed any more. Nothing of a peer is
/// read before that.
fn start(place: Place, door: &Door) -> Result<Server, String> {
    let programs = Programs::find().map_err(|error| said(&error))?;
    let listener = match door {
        Door::Path(path) | Door::PathUntilInputEnds(path) => Listener::bind(path, place.owner),
        Door::Input => Listener::inherit(input()?),
    };
    let listener = listener.map_err(|error| said(&error))?;
    memory::share_one_heap();
    let plan = Plan {
        keep: &[Capability::NetAdmin],
        open_files: OPEN_FILES,
        oom_score: oom_score(),
    };
    let confined = confine::process(&plan).map_err(|error| said(&error))?;
    log::line(None, confined);
    log::line(
        None,
        format_args!(
            "version {VERSION} serves user {}, installation {}, bridge {}",
            place.owner, place.installation, place.bridge
        ),
    );
    Server::new(place, programs, listener)
}

/// Whoever started the helper is gone: what was begun is for the next one to survey and to sweep.
#[expect(
    clippy::disallowed_methods,
    reason = "nobody is left to answer, and the kernel closes what is open"
)]
pub(crate) fn leave_with_input() {
    let mut ignored = [0; 64];
    while !matches!(std::io::stdin().read(&mut ignored), Ok(0) | Err(_)) {}
    log::line(None, "standard input has ended: leaving");
    std::process::exit(0);
}

/// What the helper was started with: its unit decides, and lowering it needs a capability that root in a
/// container lacks.
fn oom_score() -> i16 {
    let score = std::fs::read_to_string("/proc/self/oom_score_adj");
    score
        .ok()
        .and_then(|score| score.trim().parse().ok())
        .unwrap_or_default()
}

/// Standard input, under a number of its own.
fn input() -> Result<OwnedFd, String> {
    std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| said(&error))
}

fn said(error: &dyn Display) -> String {
    error.to_string()
}
