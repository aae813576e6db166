//! Starting the daemon on demand, as the caller.

use super::connect::{Unconnected, connect};
use crate::place::{DAEMON_VARIABLE, Surroundings};
use banger_proto::fault::{Fault, FaultCode, chain};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::Instant;

/// How long a daemon may take until it answers: it opens its state and looks for guests that run.
pub const START_LIMIT: Duration = Duration::from_secs(15);
/// The most of a daemon's last words that is shown, in bytes.
const LAST_WORDS: u64 = 4096;

/// Why no daemon could be started.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// There is no such program.
    #[error("no daemon runs and the program bangerd was not found")]
    NoProgram,
    /// The program could not be executed.
    #[error("cannot start the daemon {}: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended at once.
    #[error("the daemon did not start: {words}")]
    Ended {
        /// What it said.
        words: String,
    },
    /// It does not answer.
    #[error("the daemon was started and has not answered for {} s", START_LIMIT.as_secs())]
    Silent,
    /// The socket cannot be used.
    #[error(transparent)]
    Unconnected(#[from] Unconnected),
}

impl From<NotStarted> for Fault {
    fn from(error: NotStarted) -> Self {
        let fault = Self::new(FaultCode::Unavailable, &error);
        match error {
            NotStarted::Unconnected(unconnected) => unconnected.into(),
            NotStarted::NoProgram => fault.with_remedy(format!(
                "put bangerd beside banger or into PATH, or set {DAEMON_VARIABLE}"
            )),
            NotStarted::Spawn { .. } => {
                fault.with_remedy(format!("check the program that {DAEMON_VARIABLE} names"))
            }
            NotStarted::Ended { .. } => {
                fault.with_remedy("run `bangerd serve` to see all that it says")
            }
            NotStarted::Silent => {
                fault.with_remedy("look into bangerd.log in the state directory, then try again")
            }
        }
    }
}

/// Starts the daemon and connects to it. Of several that start one at the same time, one wins; the
/// others' daemons leave with status 0, and all connect to the winner. If that one leaves before, another
/// is started.
///
/// # Errors
/// [`NotStarted`].
pub async fn start(surroundings: &Surroundings) -> Result<UnixStream, NotStarted> {
    let program = surroundings.daemon_program().ok_or(NotStarted::NoProgram)?;
    let (mut child, mut words) = spawned(&program)?;
    let place = surroundings.place();
    let deadline = Instant::now() + START_LIMIT;
    let mut pause = Duration::from_millis(2);
    loop {
        match connect(&place, surroundings.uid).await {
            Err(Unconnected::Nobody(_)) => {}
            settled => return Ok(settled?),
        }
        match child.try_wait().ok().flatten() {
            None => {}
            Some(status) if !status.success() => {
                let words = last_words(&mut words, status);
                return Err(NotStarted::Ended { words });
            }
            // It found one that served, and which nobody reaches now.
            Some(_) => (child, words) = spawned(&program)?,
        }
        if Instant::now() >= deadline {
            return Err(NotStarted::Silent);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(Duration::from_millis(50));
    }
}

fn spawned(program: &Path) -> Result<(Child, File), NotStarted> {
    spawn(program).map_err(|source| NotStarted::Spawn {
        program: program.into(),
        source,
    })
}

/// The daemon makes itself a session of its own (setsid(2)); what it says until then goes to a
/// file without a name, which outlives us if it has to.
fn spawn(program: &Path) -> io::Result<(Child, File)> {
    let words = File::from(rustix::fs::memfd_create(
        "bangerd-start",
        rustix::fs::MemfdFlags::CLOEXEC,
    )?);
    let child = Command::new(program)
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(words.try_clone()?)
        .spawn()?;
    Ok((child, words))
}

fn last_words(words: &mut File, status: ExitStatus) -> String {
    let mut bytes = Vec::new();
    let read = words
        .rewind()
        .and_then(|()| words.take(LAST_WORDS).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    match (read, text.trim()) {
        (Err(error), _) => format!("{status} ({})", chain(&error)),
        (Ok(_), "") => status.to_string(),
        (Ok(_), said) => said.trim_start_matches("bangerd: ").to_owned(),
    }
}
