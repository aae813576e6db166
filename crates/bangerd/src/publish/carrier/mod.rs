//! The carrier: a small process beside a VMM that has the sockets of one sandbox's published ports, and the
//! connections to them, so that they outlive the daemon.
//!
//! ```text
//!   client ── socket ── tcp, udp ── ends ── door ──▶ daemon ── link ──▶ agent
//!                                     ▲
//!            requests ── crowd ───────┘  which connections there are, and want a daemon
//! ```
//!
//! It is the daemon's own program, run once more ([`CARRY_VERB`]), in a session of its own. It decides nothing:
//! what it has, a daemon gave it. It ends when it is told to, and with its VMM when no daemon is there; so
//! nothing of it is left whatever was killed. One thread, and for each connection no more than its credit.

mod crowd;
mod ends;
mod requests;
mod tcp;
mod udp;

use crate::host;
use crate::vmm::ProcessIdentity;
use banger_proto::carrier::{Reply, Watched, line};
use requests::Carrier;
use rustix::net::listen;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::ffi::OsString;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::ExitCode;
use tokio::net::UnixListener;
use tokio::task::LocalSet;

/// The first argument by which `main` knows that it is to call [`main`]; the path of the carrier's socket and
/// the VMM follow.
pub(crate) const CARRY_VERB: &str = "__carry";

/// How it is called in lists of processes.
const NAME: &std::ffi::CStr = c"bangerd-carry";
/// Daemons that may wait at its socket, each with some requests.
pub(super) const BACKLOG: i32 = 128;
/// Files that it may have open, if it is allowed to: two for each connection and flow.
const DESCRIPTORS: u64 = 16_384;

/// Runs the carrier: `arguments` are what follows [`CARRY_VERB`], its socket is its standard input. Returns
/// when it has nothing more to carry.
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    let vmm = arguments.get(1).and_then(|text| text.to_str());
    let Some(vmm) = vmm.and_then(|text| serde_json::from_str::<Watched>(text).ok()) else {
        eprintln!("bangerd: {CARRY_VERB} is for the daemon alone");
        return ExitCode::from(2);
    };
    match run(vmm) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bangerd: the carrier failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(vmm: Watched) -> std::io::Result<()> {
    // The terminal of whoever started the daemon may go. Fails only when it has a session already.
    let _own_session = rustix::process::setsid();
    let _only_a_name = rustix::thread::set_name(NAME);
    raise_descriptor_limit();
    let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
    // Whoever connects is told this process, not the one that made the socket (unix(7), SO_PEERCRED).
    listen(&socket, BACKLOG)?;
    let listener = std::os::unix::net::UnixListener::from(socket);
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()?;
    let own = host::random()?;
    let last = {
        let local = LocalSet::new();
        let carrying = async {
            let carrier = Carrier::new(own, vmm);
            carrier.at(UnixListener::from_std(listener)?);
            Ok::<_, std::io::Error>(carrier.until_over().await)
        };
        local.block_on(&runtime, carrying)?
        // What is dropped here closes every socket and resets every connection.
    };
    drop(runtime);
    if let Some(asked) = last.and_then(|asked| asked.into_std().ok()) {
        // Whoever asked may have left.
        let _nobody_waits = asked
            .set_nonblocking(false)
            .and_then(|()| (&asked).write_all(&line(&Reply::Done)));
    }
    Ok(())
}

/// Without it the carrier works as well, with fewer connections.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(DESCRIPTORS).min(DESCRIPTORS);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        let _with_fewer = setrlimit(Resource::Nofile, limit);
    }
}

/// Waits until a VMM has ended. One that cannot be looked at is taken for one that has.
async fn ended(vmm: Watched) {
    let process = ProcessIdentity {
        pid: vmm.pid,
        start_time: vmm.start_time,
        executable: vmm.executable,
        boot_id: vmm.boot_id,
    };
    let _how = process.exited().await;
}
