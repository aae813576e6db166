//! One daemon after the other: a daemon that leaves holds its claim until everything is put away, and
//! does not listen any more. Whoever is started then waits for its turn.

use super::{Claim, claim};
use crate::layout::Layout;
use banger_proto::fault::{Fault, FaultCode};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long the one before may take to leave. Open connections, rules that are on their way and work that
/// has begun are each given up after a few seconds; the command line waits for 15 s in all.
const LIMIT: Duration = Duration::from_secs(13);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Takes the lock, once whoever has it and does not serve is gone; `None` when another daemon serves.
///
/// # Errors
/// As [`claim`]; when the other one stays and does not serve.
pub fn claim_in_turn(layout: &Layout) -> Result<Option<Claim>, Fault> {
    claim_within(layout, LIMIT)
}

pub(super) fn claim_within(layout: &Layout, limit: Duration) -> Result<Option<Claim>, Fault> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(claim) = claim(layout)? {
            return Ok(Some(claim));
        }
        if UnixStream::connect(layout.socket()).is_ok() {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            return Err(stays(layout));
        }
        std::thread::park_timeout(LOOK);
    }
}

fn stays(layout: &Layout) -> Fault {
    let noted = std::fs::read_to_string(layout.lock_file()).unwrap_or_default();
    let pid = noted.trim();
    let message =
        format!("the daemon before this one (pid {pid}) does not serve any more and has not left");
    let remedy = format!("try again; if it does not leave, end the process {pid}");
    Fault::new(FaultCode::Unavailable, message).with_remedy(remedy)
}
