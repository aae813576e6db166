//! Running a program to its end, with a limit.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a program did.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its exit status, or `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained.
    pub stderr: String,
}

impl Ran {
    /// Its output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Demands that it succeeded.
    ///
    /// # Panics
    /// When it did not.
    #[must_use]
    pub fn good(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stderr, self.text());
        self
    }
}

fn all_of(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A process that is killed breaks its pipe: what came is what there is.
        let _broken = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// Starts the program with all three streams as pipes.
///
/// # Panics
/// When it cannot be started.
pub fn start(command: &mut Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

/// Gives the program its input and waits for its end.
///
/// # Panics
/// When it does not end within `limit`; it is killed then.
#[must_use]
pub fn finish(mut child: Child, input: Vec<u8>, limit: Duration) -> Ran {
    let stdout = all_of(child.stdout.take().expect("a pipe"));
    let stderr = all_of(child.stderr.take().expect("a pipe"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let writing = std::thread::spawn(move || {
        // The program may end without reading it all.
        let _broken = stdin.write_all(&input);
    });
    let pid = child.id();
    let status =
        crate::wait::eventually(&format!("the end of process {pid}"), limit, || match child
            .try_wait()
        {
            Ok(Some(status)) => Ok(Some(status)),
            Ok(None) => Err("still running"),
            Err(_) => Ok(None),
        });
    writing.join().expect("written");
    Ran {
        code: status.and_then(|status| status.code()),
        stdout: stdout.join().expect("read"),
        stderr: String::from_utf8_lossy(&stderr.join().expect("read")).into_owned(),
    }
}
