//! The daemon ends, again and again, in every way, under sessions that go on.

use super::start;
use crate::run;
use crate::world::{LIMIT, signal};
use crate::{World, eventually};
use rustix::process::Signal;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, ChildStdin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// So many lines are there at the same time, at most: what a session may be behind its daemon.
const AHEAD: usize = 200;

/// How a daemon ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// `banger daemon stop`.
    Asked,
    Terminated,
    Killed,
    /// Its program is another one when it is asked to leave, as an upgrade does it.
    Upgraded,
}

impl End {
    pub(super) const ALL: [Self; 4] = [Self::Killed, Self::Asked, Self::Upgraded, Self::Terminated];
}

/// Lines of one session's output, looked at while they come.
struct Lines {
    /// How many have come, each of them the next one.
    good: Arc<AtomicUsize>,
    /// The first that was not.
    wrong: Arc<Mutex<Option<String>>>,
    reading: JoinHandle<()>,
}

impl Lines {
    fn read(output: impl Read + Send + 'static) -> Self {
        let good = Arc::<AtomicUsize>::default();
        let wrong = Arc::<Mutex<Option<String>>>::default();
        let (count, first) = (Arc::clone(&good), Arc::clone(&wrong));
        let reading = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let next = count.load(Ordering::SeqCst);
                if line == format!("line {next}") {
                    count.store(next + 1, Ordering::SeqCst);
                } else {
                    let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                    first.get_or_insert(format!("{line:?} came for line {next}"));
                }
            }
        });
        Self {
            good,
            wrong,
            reading,
        }
    }

    /// How many have come.
    fn count(&self) -> usize {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(*wrong, None, "a line was lost or doubled");
        self.good.load(Ordering::SeqCst)
    }

    /// Waits until some more have come: the session has found the next daemon.
    fn go_on(&self, what: &str) {
        let before = self.count();
        eventually(what, LIMIT, || match self.count() {
            now if now > before + 2 => Ok(()),
            now => Err(format!("{now} lines have come, {before} before")),
        });
    }

    fn all(self) -> usize {
        let Self { reading, good, .. } = &self;
        eventually("the end of the output", LIMIT, || {
            if reading.is_finished() {
                Ok(())
            } else {
                Err(good.load(Ordering::SeqCst))
            }
        });
        self.count()
    }
}

/// Writes numbered lines as fast as they are read elsewhere, until it is told to end; how many.
fn write_lines(
    mut input: ChildStdin,
    read: Arc<AtomicUsize>,
    end: Arc<AtomicBool>,
) -> JoinHandle<usize> {
    std::thread::spawn(move || {
        let mut written = 0;
        while !end.load(Ordering::SeqCst) {
            eventually("what was written to be read", LIMIT, || {
                match written < read.load(Ordering::SeqCst) + AHEAD || end.load(Ordering::SeqCst) {
                    true => Ok(()),
                    false => Err(written),
                }
            });
            writeln!(input, "line {written}").expect("a session that takes its input");
            written += 1;
        }
        written
    })
}

/// # Panics
/// When a line is lost or doubled, or comes out of order, while the daemon under two sessions ends
/// `ends` times: one that writes lines, one that sends back the lines that it is given.
pub fn sessions_lose_and_double_no_line_however_often_the_daemon_ends(
    world: &mut World,
    ends: usize,
) {
    let programs = two_programs(world);
    start(world, "v");
    let vmms = world.vmms();
    let stop = world.guest_path("stop");
    let script = format!(
        "i=0; while [ ! -e {stop} ]; do n=0; while [ $n -lt 10 ]; do echo line $i; i=$((i+1)); \
         n=$((n+1)); done; sleep 0.01; done; exit 7"
    );
    let mut speaks = run::start(&mut world.banger(["vm", "exec", "v", "--", "sh", "-c", &script]));
    let spoken = Lines::read(speaks.stdout.take().expect("a pipe"));
    let mut echoes = run::start(&mut world.banger(["vm", "exec", "-i", "v", "--", "cat"]));
    let echoed = Lines::read(echoes.stdout.take().expect("a pipe"));
    let enough = Arc::new(AtomicBool::new(false));
    let input = echoes.stdin.take().expect("a pipe");
    let writing = write_lines(input, Arc::clone(&echoed.good), Arc::clone(&enough));

    for (number, end) in End::ALL.into_iter().cycle().take(ends).enumerate() {
        let what = format!("more lines before end {number}, {end:?}");
        spoken.go_on(&what);
        echoed.go_on(&what);
        end_daemon(world, end, &programs);
    }
    spoken.go_on("more lines after the last end");
    echoed.go_on("more lines after the last end");
    enough.store(true, Ordering::SeqCst);
    let written = writing.join().expect("written");
    let _ = world.run(["vm", "exec", "v", "--", "touch", &stop]).good();
    assert_eq!(ended(speaks), Some(7));
    assert_eq!(ended(echoes), Some(0));
    assert!(spoken.all() > ends);
    assert_eq!(echoed.all(), written, "all that went in came back");
    assert_eq!(world.vmms(), vmms, "the guest is the same");
}

fn ended(child: Child) -> Option<i32> {
    let mut child = child;
    eventually("the end of a session", LIMIT, || match child.try_wait() {
        Ok(Some(status)) => Ok(status.code()),
        other => Err(format!("{other:?}")),
    })
}

/// The daemon's program twice, as two builds, and the world's daemon a link to the first.
///
/// # Panics
/// When they cannot be made.
pub fn two_programs(world: &mut World) -> [PathBuf; 2] {
    let original = PathBuf::from(world.program("bangerd").get_program());
    let programs = ["bangerd.1", "bangerd.2"].map(|name| world.path(name));
    for program in &programs {
        std::fs::copy(&original, program).expect("copied");
    }
    let link = world.path("bangerd");
    symlink(&programs[0], &link).expect("linked");
    // Beside it are looked for: the agent, and the root helper.
    for beside in ["banger-agent", "banger-root"] {
        let there = original.with_file_name(beside);
        if there.exists() && !world.path(beside).exists() {
            symlink(there, world.path(beside)).expect("linked");
        }
    }
    world.set_variable("BANGER_DAEMON", link);
    programs
}

/// The program of the daemon that serves now; whoever misses one has started it.
///
/// # Panics
/// When nobody has.
#[must_use]
pub fn serving_program(world: &World) -> PathBuf {
    eventually("a daemon", LIMIT, || {
        let pid = world.daemon().ok_or("none")?;
        std::fs::read_link(format!("/proc/{pid}/exe")).map_err(|_| "it has ended")
    })
}

/// Ends the daemon that serves now. Whoever misses it starts the next.
pub(super) fn end_daemon(world: &World, end: End, programs: &[PathBuf; 2]) {
    let serving = eventually("a daemon", LIMIT, || world.daemon().ok_or("none"));
    match end {
        End::Killed => signal(serving, Signal::KILL),
        End::Terminated => signal(serving, Signal::TERM),
        End::Asked => drop(world.run(["daemon", "stop"]).good()),
        End::Upgraded => {
            upgrade(world, programs);
            drop(world.run(["daemon", "stop"]).good());
        }
    }
    let limit = Duration::from_secs(60);
    eventually("the daemon's end", limit, || match world.daemon() {
        Some(still) if still == serving => Err(still),
        _ => Ok(()),
    });
}

/// Has the other program take over from the daemon that serves now, as an upgrade does it.
///
/// # Panics
/// When the daemon does not leave.
pub fn upgrade_daemon(world: &World, programs: &[PathBuf; 2]) {
    end_daemon(world, End::Upgraded, programs);
}

/// Puts the other program in its place, as a package manager does: by rename.
fn upgrade(world: &World, programs: &[PathBuf; 2]) {
    let link = world.path("bangerd");
    let present = std::fs::read_link(&link).expect("a link");
    let other = programs.iter().find(|program| **program != present);
    let new = world.path("bangerd.new");
    symlink(other.expect("one of two"), &new).expect("linked");
    std::fs::rename(new, link).expect("renamed");
}
