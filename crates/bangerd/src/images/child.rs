//! A program of the host whose output is read while it runs, with all that it starts.

use crate::disks::ProgramError;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

/// Lines kept of what the program writes to its standard error.
const KEPT_LINES: usize = 50;
/// Bytes kept of one line.
const LONGEST_LINE: u64 = 1000;
/// How long the program may take to clean up when it is told to end.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// A running program in a process group of its own. When dropped, the whole group is ended: asked
/// first, so that it can clean up, then killed.
#[derive(Debug)]
pub(crate) struct RunningChild {
    child: Child,
    /// The last lines, once every process that could write more is gone.
    lines: Receiver<VecDeque<String>>,
    ended: Option<(ExitStatus, String)>,
}

impl RunningChild {
    /// Starts it; `told` gets each line of its standard error.
    pub(crate) fn start(
        mut command: Command,
        told: impl Fn(&str) + Send + 'static,
    ) -> Result<(Self, ChildStdout), ProgramError> {
        let program = PathBuf::from(command.get_program());
        let start = |source| ProgramError::Start {
            program: program.clone(),
            source,
        };
        let mut child = command
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        let pipes = child.stdout.take().zip(child.stderr.take());
        let (sender, lines) = channel();
        let running = Self {
            child,
            lines,
            ended: None,
        };
        let Some((stdout, stderr)) = pipes else {
            return Err(start(std::io::ErrorKind::BrokenPipe.into()));
        };
        std::thread::spawn(move || {
            let _ = sender.send(last_lines(stderr, told));
        });
        Ok((running, stdout))
    }

    /// Waits for its end and gives its last lines: for when its standard output has ended.
    pub(crate) fn wait(&mut self) -> Result<(ExitStatus, String), ProgramError> {
        if let Some(ended) = &self.ended {
            return Ok(ended.clone());
        }
        let lines = self.lines.recv().unwrap_or_default();
        let status = self.child.wait().map_err(|source| ProgramError::Start {
            program: PathBuf::from("the bootstrap"),
            source,
        })?;
        let text = Vec::from(lines).join("\n");
        Ok(self.ended.insert((status, text)).clone())
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = pid {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for RunningChild {
    fn drop(&mut self) {
        if self.ended.is_some() {
            return;
        }
        // Not waited for yet, so the number is still this group's.
        self.signal(Signal::TERM);
        let _ = self.lines.recv_timeout(CLEAN_UP);
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Reads lines to the end and keeps the last; long ones are cut.
fn last_lines(stream: impl Read, told: impl Fn(&str)) -> VecDeque<String> {
    let mut stream = BufReader::new(stream);
    let mut kept = VecDeque::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        match stream
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
        {
            Ok(0) | Err(_) => return kept,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if text.is_empty() {
            continue;
        }
        told(&text);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_are_kept_and_long_ones_are_cut() {
        let mut text: String = (0..100).map(|n| format!("line {n}\n\n")).collect();
        text.push_str(&"x".repeat(2500));
        let kept = last_lines(text.as_bytes(), |_| {});
        assert_eq!(kept.len(), KEPT_LINES);
        assert_eq!(kept.back().map(String::len), Some(500));
        assert!(kept.contains(&"line 99".to_owned()) && !kept.contains(&"line 10".to_owned()));
    }

    mod t1 {
        use super::*;

        fn shell(script: &str) -> (RunningChild, ChildStdout) {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdin(Stdio::null());
            RunningChild::start(command, |_| {}).expect("starts")
        }

        #[test]
        fn output_status_and_last_words_are_given() {
            let (mut child, mut stdout) = shell("echo out; echo words >&2; exit 3");
            let mut text = String::new();
            stdout.read_to_string(&mut text).expect("reads");
            let (status, words) = child.wait().expect("ends");
            assert_eq!(
                (text.as_str(), status.code(), words.as_str()),
                ("out\n", Some(3), "words")
            );
        }

        #[test]
        fn a_dropped_child_takes_its_children_with_it() {
            let (child, mut stdout) = shell("sleep 600 & echo $!; trap '' TERM; wait");
            let mut line = [0; 16];
            let read = stdout.read(&mut line).expect("reads");
            let text = String::from_utf8_lossy(&line[..read]).trim().to_owned();
            drop(child);
            let state = std::fs::read_to_string(format!("/proc/{text}/stat")).unwrap_or_default();
            assert!(state.is_empty() || state.contains(") Z "), "{state}");
        }
    }
}
