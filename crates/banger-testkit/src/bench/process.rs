//! Processes that are timed: no polling between their end and the clock.

use super::error::Error;
use super::interrupt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpgid, kill_process_group, pidfd_open};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a command may take: sixteen times what the slowest takes on an idle machine.
pub const LIMIT: Duration = Duration::from_secs(240);

/// A child of ours; dropped, it is killed and waited for. One that leads a process group is so with all of it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    handle: OwnedFd,
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> Result<Self, Error> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .spawn()
            .map_err(Error::io(format!("start {name}")))?;
        let handle = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        match handle {
            Ok(handle) => Ok(Self { child, handle }),
            Err(error) => {
                end(&mut child);
                Err(Error::io(format!("watch {name}"))(error.into()))
            }
        }
    }

    /// Whether it has ended, or ends within this time.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub fn ends_within(&self, time: Duration) -> Result<bool, Error> {
        let limit = Timespec::try_from(time)
            .map_err(|_| Error::wrong("a limit is longer than the system's clock"))?;
        let mut handles = [PollFd::new(&self.handle, PollFlags::IN)];
        match poll(&mut handles, Some(&limit)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(Error::io("watch a process")(error.into())),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When that takes too long, or somebody interrupts; it is killed then.
    pub fn finish(mut self) -> Result<ExitStatus, Error> {
        let until = Instant::now() + LIMIT;
        while !self.ends_within(interrupt::LOOK)? {
            interrupt::check()?;
            if Instant::now() >= until {
                let limit = LIMIT.as_secs();
                return Err(Error::wrong(format!("a process ran for {limit} s")));
            }
        }
        // What it has left keeps our pipes open.
        end_group(&self.child);
        self.child.wait().map_err(Error::io("wait for a process"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// After the end all of it does nothing.
fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        end_group(child);
    }
    let _ended_already = child.kill();
    let _waited_already = child.wait();
}

/// Kills the group that a child leads. Only before it was waited for: its pid is its own until then.
fn end_group(child: &Child) {
    let pid = Pid::from_child(child);
    if getpgid(Some(pid)) == Ok(pid) {
        let _gone_already = kill_process_group(pid, Signal::KILL);
    }
}

/// What a timed program did.
#[derive(Debug)]
pub struct Finished<T> {
    /// From before its start until its end was known and its output read.
    pub took: Duration,
    /// What became of its output.
    pub output: T,
    /// What it said on standard error, and when each line had come.
    pub notes: Vec<(Duration, String)>,
}

/// Runs a program to its end and demands that it succeeds. `write` gets its standard input, `read`
/// its standard output, each on a thread of its own.
///
/// # Errors
/// When it cannot be run, fails, takes too long, or somebody interrupts.
pub fn run<T: Send>(
    command: &mut Command,
    write: impl FnOnce(ChildStdin) + Send,
    read: impl FnOnce(ChildStdout) -> T + Send,
) -> Result<Finished<T>, Error> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let begun = Instant::now();
    let mut process = Process::spawn(command)?;
    let child = &mut process.child;
    let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = streams else {
        return Err(Error::wrong("a process without pipes"));
    };
    let (status, output, notes) = std::thread::scope(|scope| {
        scope.spawn(move || write(stdin));
        let notes = scope.spawn(move || lines(stderr, begun));
        let output = scope.spawn(move || read(stdout));
        // Whatever comes of it, the process is gone then, so that the threads end.
        (process.finish(), output.join(), notes.join())
    });
    let took = begun.elapsed();
    let (status, Ok(output), Ok(notes)) = (status?, output, notes) else {
        return Err(Error::wrong("the output of a process could not be read"));
    };
    if !status.success() {
        let said: Vec<String> = notes.into_iter().map(|(_, line)| line).collect();
        let said = said.join("\n");
        return Err(Error::wrong(format!("{command:?}: {status}: {said}")));
    }
    Ok(Finished {
        took,
        output,
        notes,
    })
}

/// Runs a program without input, for its output.
///
/// # Errors
/// As [`run`].
pub fn run_for_output(command: &mut Command) -> Result<Finished<Vec<u8>>, Error> {
    run(command, drop, all_of)
}

/// Everything that comes. A process that is killed breaks its pipe: what came is what there is.
pub fn all_of(mut pipe: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _broken = pipe.read_to_end(&mut bytes);
    bytes
}

fn lines(pipe: impl Read, begun: Instant) -> Vec<(Duration, String)> {
    use std::io::BufRead;
    let lines = std::io::BufReader::new(pipe).lines();
    let come = lines.map_while(Result::ok);
    come.map(|line| (begun.elapsed(), line)).collect()
}

#[cfg(test)]
mod t1 {
    use super::*;
    use std::io::Write;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_s_input_output_and_notes_are_its_own() {
        let write = |mut stdin: ChildStdin| stdin.write_all(b"in").expect("written");
        let ran = run(&mut sh("cat; echo note >&2"), write, all_of).expect("fine");
        assert_eq!(ran.output, b"in");
        assert_eq!(ran.notes.len(), 1);
        assert_eq!(ran.notes[0].1, "note");
        assert!(ran.notes[0].0 <= ran.took);
    }

    #[test]
    fn a_failing_program_is_an_error_with_what_it_said() {
        let error = run_for_output(&mut sh("echo why >&2; exit 3")).expect_err("failed");
        let text = error.to_string();
        assert!(text.contains("exit status: 3: why"), "{text}");
        assert!(run_for_output(&mut Command::new("/no/such/program")).is_err());
    }

    #[test]
    fn a_process_that_is_dropped_is_gone() {
        let process = Process::spawn(sh("exec sleep 1000").stdin(Stdio::null())).expect("started");
        let pid = process.child.id();
        assert!(!process.ends_within(Duration::ZERO).expect("watched"));
        drop(process);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_group_ends_with_who_leads_it() {
        use std::os::unix::process::CommandExt;
        // The second keeps the pipe open when the first has ended.
        let mut leader = sh("sleep 1000 & echo $!");
        let ran = run_for_output(leader.process_group(0)).expect("fine");
        let pid = String::from_utf8(ran.output).expect("text");
        let gone = || match std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())) {
            Ok(stat) if !stat.contains(") Z ") => Err(stat),
            _ => Ok(()),
        };
        crate::eventually("the end of the group", LIMIT, gone);
    }
}
