//! A world ends with its parent: a process beside each world ends what that has left, when its test was
//! killed and could not.
//!
//! It knows by a pipe, whose other end only the test has: that ends with the test, however that comes. In a
//! session of its own it outlives whoever ends the test's whole group.

use super::{kill, processes};
use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// How long what was killed may take to be gone.
const LIMIT: Duration = Duration::from_secs(10);

/// The test's end of the pipe.
#[derive(Debug)]
pub(super) struct Reaper {
    _child: Child,
    _pipe: Option<ChildStdin>,
}

impl Reaper {
    /// One for the world in this directory. It is told by the pipe which: what has the directory in its
    /// arguments is the world's own.
    ///
    /// # Panics
    /// When the program was not built.
    pub(super) fn of(directory: &Path, programs: &Path) -> Self {
        let program = programs.join("world-reaper");
        let mut command = Command::new(&program);
        command.env_clear().current_dir("/").stdin(Stdio::piped());
        // A test's output ends with the test.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn();
        let mut child = child.expect("build first: `cargo build --workspace --bins`");
        let mut pipe = child.stdin.take();
        let told = pipe
            .as_mut()
            .map(|pipe| writeln!(pipe, "{}", directory.display()));
        told.expect("a pipe").expect("told");
        Self {
            _child: child,
            _pipe: pipe,
        }
    }
}

/// The program: waits for the end of its standard input, then ends what is left of the world that its first
/// line names.
pub fn main() -> ExitCode {
    if rustix::process::setsid().is_err() {
        return ExitCode::FAILURE;
    }
    let mut input = std::io::stdin().lock();
    let mut directory = String::new();
    let mut rest = Vec::new();
    if input.read_line(&mut directory).is_err() || input.read_to_end(&mut rest).is_err() {
        return ExitCode::FAILURE;
    }
    let directory = PathBuf::from(directory.trim_end());
    // Gone already when the test came to its end; relative, it would be anybody's.
    if !directory.is_absolute() || !directory.exists() {
        return ExitCode::SUCCESS;
    }
    reap(&directory)
}

fn reap(directory: &Path) -> ExitCode {
    let until = Instant::now() + LIMIT;
    // Children of a killed process may appear while it dies: look until there is none.
    loop {
        let left = processes::with_mark(directory);
        if left.is_empty() || Instant::now() >= until {
            break;
        }
        left.into_iter().for_each(kill);
        #[expect(
            clippy::disallowed_methods,
            reason = "it has nothing else to do, and nobody waits for it"
        )]
        std::thread::sleep(Duration::from_millis(20));
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "a directory of a world whose test is gone"
    )]
    match std::fs::remove_dir_all(directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
