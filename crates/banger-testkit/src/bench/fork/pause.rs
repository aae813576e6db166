//! How long a guest stands still while it is forked: the longest time without a line of a program that writes
//! one every 5 ms, beside the longest while nothing happens.

use super::super::error::Error;
use super::super::figure::{Figure, Unit};
use super::super::process::Process;
use super::super::{milliseconds, repeat};
use super::{banger, begin, end, names};
use crate::World;
use std::io::Read;
use std::process::{ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// What it writes into its memory before each fork.
const DIRTY: &str = "head -c 64M /dev/urandom > /dev/shm/dirty";
/// Perl is part of every Debian; a shell would start a process for each line.
const TICKS: &str = r"$| = 1; while (1) { print '.'; select undef, undef, undef, 0.005 }";

pub(super) fn measure(world: &World, count: usize) -> Result<Vec<Figure>, Error> {
    begin(world, "parent")?;
    let (mut forked, mut quiet) = (Vec::new(), Vec::new());
    let ticks = Ticks::of(world, "parent")?;
    let names = names("p", 1);
    repeat("fork.pause", count, |_| {
        let dirty = ["--", "sh", "-c", DIRTY];
        banger(world, &["vm", "exec", "parent"], &dirty)?;
        let begun = Instant::now();
        banger(world, &["vm", "fork", "parent"], &["--name", &names[0]])?;
        forked.push(ticks.longest(begun, Instant::now())?);
        end(world, &names)?;
        let begun = Instant::now();
        std::thread::park_timeout(Duration::from_millis(500));
        quiet.push(ticks.longest(begun, Instant::now())?);
        Ok(())
    })?;
    drop(ticks);
    end(world, &["parent".to_owned()])?;
    let forked = milliseconds("a pause", &forked)?;
    let quiet = milliseconds("no pause", &quiet)?;
    let ms = Unit::Milliseconds;
    Ok(vec![
        Figure::new("fork.pause", ms, &forked, Some(&quiet)).with_goal(None, Some(100.0)),
    ])
}

/// A program in a guest that shows when it runs.
struct Ticks {
    come: Receiver<Instant>,
    _command: Process,
}

impl Ticks {
    fn of(world: &World, name: &str) -> Result<Self, Error> {
        let arguments = ["vm", "exec", name, "--", "perl", "-e", TICKS];
        let mut command = world.banger(arguments);
        let (read, write) = std::io::pipe().map_err(Error::io("make a pipe"))?;
        command.stdin(Stdio::null()).stdout(write);
        let process = Process::spawn(&mut command)?;
        // Its end of the pipe is the child's alone.
        drop(command);
        let (tell, come) = channel();
        let mut read = ChildStdout::from(std::os::fd::OwnedFd::from(read));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while matches!(read.read(&mut bytes), Ok(1..)) && tell.send(Instant::now()).is_ok() {}
        });
        let ticks = Self {
            come,
            _command: process,
        };
        let first = ticks.come.recv_timeout(super::super::process::LIMIT);
        first.map_err(|_| Error::wrong("the guest's program writes nothing"))?;
        Ok(ticks)
    }

    /// The longest time without one between two moments, and until the first behind them.
    fn longest(&self, from: Instant, to: Instant) -> Result<Duration, Error> {
        let mut last = from;
        let mut longest = Duration::ZERO;
        while last < to {
            let next = self.come.recv_timeout(super::super::process::LIMIT);
            let next = next.map_err(|_| Error::wrong("the guest's program has stopped"))?;
            longest = longest.max(next.saturating_duration_since(last));
            last = last.max(next);
        }
        Ok(longest)
    }
}

#[cfg(test)]
mod t1 {
    use super::*;

    #[test]
    fn the_longest_gap_is_found_across_both_ends() {
        let (tell, come) = channel();
        let mut silent = std::process::Command::new("true");
        let command = Process::spawn(&mut silent).expect("started");
        let ticks = Ticks {
            come,
            _command: command,
        };
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        for ms in [1, 5, 90, 95, 101, 260] {
            tell.send(at(ms)).expect("told");
        }
        let gap = ticks.longest(at(2), at(100)).expect("found");
        assert_eq!(gap, Duration::from_millis(85));
        let gap = ticks.longest(at(110), at(200)).expect("found");
        assert_eq!(gap, Duration::from_millis(150), "until it goes on");
        drop(tell);
        assert!(ticks.longest(at(300), at(400)).is_err());
    }
}
