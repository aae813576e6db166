//! A program of the host whose output is read while it runs, with all that it starts.

use super::ProgramError;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

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
    /// Its process group, until it is waited for: the number may be another's afterwards.
    group: Arc<Mutex<Option<Pid>>>,
    program: PathBuf,
    _watch: Option<AbortOnDropHandle<()>>,
    /// The last lines, once every process that could write more is gone.
    lines: Receiver<VecDeque<String>>,
    ended: Option<(ExitStatus, String)>,
}

impl RunningChild {
    /// Starts it; `told` gets each line of its standard error. When it is cancelled, the whole group is
    /// asked to end.
    pub(crate) fn start(
        mut command: Command,
        cancelled: &CancellationToken,
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
        let group = Arc::new(Mutex::new(Pid::from_child(&child).into()));
        let running = Self {
            _watch: watch(Arc::clone(&group), cancelled.clone()),
            child,
            group,
            program: program.clone(),
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
        *self.group.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let status = self.child.wait().map_err(|source| ProgramError::Start {
            program: self.program.clone(),
            source,
        })?;
        let text = Vec::from(lines).join("\n");
        Ok(self.ended.insert((status, text)).clone())
    }
}

fn signal(group: &Mutex<Option<Pid>>, signal: Signal) {
    if let Some(group) = *group.lock().unwrap_or_else(PoisonError::into_inner) {
        let _gone_already = kill_process_group(group, signal);
    }
}

/// Ends a group when it is cancelled; there is nobody to cancel it outside of a runtime.
fn watch(
    group: Arc<Mutex<Option<Pid>>>,
    cancelled: CancellationToken,
) -> Option<AbortOnDropHandle<()>> {
    let runtime = tokio::runtime::Handle::try_current().ok()?;
    Some(AbortOnDropHandle::new(runtime.spawn(async move {
        cancelled.cancelled().await;
        signal(&group, Signal::TERM);
    })))
}

impl Drop for RunningChild {
    fn drop(&mut self) {
        if self.ended.is_some() {
            return;
        }
        // Not waited for yet, so the number is still this group's.
        signal(&self.group, Signal::TERM);
        let _ = self.lines.recv_timeout(CLEAN_UP);
        signal(&self.group, Signal::KILL);
        *self.group.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
            RunningChild::start(command, &CancellationToken::new(), |_| {}).expect("starts")
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
        async fn a_child_that_is_cancelled_ends_with_its_children() {
            let mut command = Command::new("sh");
            let script = "echo up; sleep 600 & wait";
            command.args(["-c", script]).stdin(Stdio::null());
            let cancelled = CancellationToken::new();
            let token = cancelled.clone();
            let work = tokio::task::spawn_blocking(move || {
                let (mut child, mut stdout) =
                    RunningChild::start(command, &token, |_| {}).expect("starts");
                stdout.read_exact(&mut [0; 3]).expect("reads");
                token.cancel();
                // Its output ends with its last child.
                stdout.read_to_end(&mut Vec::new()).expect("reads");
                child.wait().expect("ends").0
            });
            let ended = work.await.expect("whole");
            assert!(!ended.success(), "{ended}");
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
            let state =
                || std::fs::read_to_string(format!("/proc/{text}/stat")).unwrap_or_default();
            let has_ended = |state: &str| state.is_empty() || state.contains(") Z ");
            // It is killed and may still be on its way out.
            let until = std::time::Instant::now() + Duration::from_secs(10);
            while !has_ended(&state()) && std::time::Instant::now() < until {
                std::thread::yield_now();
            }
            assert!(has_ended(&state()), "{}", state());
        }
    }
}
