//! Commands in a guest that runs.

use super::bare::{Bare, Template};
use super::error::Error;
use super::figure::{Figure, Unit};
use super::process;
use super::raw::{BYTES, MIB, Raw, Zeros, write_zeros};
use super::{milliseconds, repeat};
use crate::World;
use banger_proto::guest::message::{Answer, Call};
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

/// Writes [`BYTES`] zeros.
const WRITE: [&str; 5] = ["dd", "if=/dev/zero", "bs=64k", "count=2048", "status=none"];
/// Reads everything and says how much it was.
const READ: [&str; 2] = ["wc", "-c"];

/// A machine of banger's and a bare one, side by side.
struct Pair {
    world: World,
    bare: Bare,
    raw: Raw,
}

/// Times of banger's way, of the bare mechanism, and of the same command over the bare port.
#[derive(Debug, Default)]
struct Times {
    ours: Vec<Duration>,
    bare: Vec<Duration>,
    agent: Vec<Duration>,
}

/// Measures them.
///
/// # Errors
/// When a command fails or bytes are lost or changed.
pub fn measure(count: usize) -> Result<Vec<Figure>, Error> {
    let world = World::real();
    crate::checks::start(&world, "v");
    let template = Template::of_running(&world, "v")?.with_raw_port();
    let mut bare = template.boot(&world)?;
    let raw = Raw::open(&mut bare)?;
    let mut pair = Pair { world, bare, raw };
    pair.check_bytes()?;
    let mut figures = pair.smallest(count)?;
    figures.extend(pair.stdout(count)?);
    figures.extend(pair.stdin(count)?);
    Ok(figures)
}

impl Pair {
    fn exec(&self, options: &[&str], argv: &[&str]) -> Command {
        self.world
            .banger([&["vm", "exec"], options, &["v", "--"], argv].concat())
    }

    /// Figures of speed say nothing of a way that changes bytes.
    fn check_bytes(&self) -> Result<(), Error> {
        let mut bytes = vec![0; 8 * 1024 * 1024];
        let mut random = File::open("/dev/urandom").map_err(Error::io("open /dev/urandom"))?;
        random
            .read_exact(&mut bytes)
            .map_err(Error::io("read /dev/urandom"))?;
        let write = |mut stdin: std::process::ChildStdin| {
            // If not all arrive, not all come back.
            let _broken = stdin.write_all(&bytes);
        };
        let ran = process::run(&mut self.exec(&["-i"], &["cat"]), write, process::all_of)?;
        if ran.output != bytes {
            return Err(Error::wrong("random bytes came back changed"));
        }
        Ok(())
    }

    fn smallest(&mut self, count: usize) -> Result<Vec<Figure>, Error> {
        let mut times = Times::default();
        let once = |pair: &mut Self, times: &mut Times| {
            let ran = process::run_for_output(&mut pair.exec(&[], &["true"]))?;
            times.ours.push(ran.took);
            let begun = Instant::now();
            let answer = pair.bare.port.call(&Call::Health)?;
            times.bare.push(begun.elapsed());
            if !matches!(answer, Answer::Health(_)) {
                return Err(Error::wrong(format!("health was answered with {answer:?}")));
            }
            let begun = Instant::now();
            pair.bare.port.run(&["true"])?;
            times.agent.push(begun.elapsed());
            Ok(())
        };
        once(self, &mut Times::default())?;
        repeat("exec.true", count, |_| once(self, &mut times))?;
        let ours = milliseconds("exec.true", &times.ours)?;
        let bare = milliseconds("exec.true", &times.bare)?;
        let agent = milliseconds("exec.true", &times.agent)?;
        let ms = Unit::Milliseconds;
        Ok(vec![
            Figure::new("exec.true", ms, &ours, Some(&bare)).with_goal(Some(10.0), Some(30.0)),
            Figure::new("exec.true.agent", ms, &agent, Some(&bare)),
        ])
    }

    fn stdout(&mut self, count: usize) -> Result<Vec<Figure>, Error> {
        let mut times = Times::default();
        let once = |pair: &mut Self, times: &mut Times| {
            let mut command = pair.exec(&[], &WRITE);
            let ran = process::run(&mut command, drop, Zeros::read)?;
            ran.output.demand(BYTES)?;
            times.ours.push(ran.took);
            times.bare.push(pair.raw.from_guest(&mut pair.bare)?);
            let begun = Instant::now();
            let output = pair.bare.port.run(&WRITE)?;
            times.agent.push(begun.elapsed());
            Zeros::read(output.stdout.as_slice()).demand(BYTES)
        };
        once(self, &mut Times::default())?;
        repeat("exec.stdout", count, |_| once(self, &mut times))?;
        rates("exec.stdout", "exec.stdout.agent", &times)
    }

    fn stdin(&mut self, count: usize) -> Result<Vec<Figure>, Error> {
        let mut times = Times::default();
        let once = |pair: &mut Self, times: &mut Times| {
            let mut command = pair.exec(&["-i"], &READ);
            let write = |mut stdin: std::process::ChildStdin| {
                // If not all arrive, the count is another.
                let _broken = write_zeros(&mut stdin, BYTES);
            };
            let ran = process::run(&mut command, write, process::all_of)?;
            demand_count(&ran.output)?;
            times.ours.push(ran.took);
            times.bare.push(pair.raw.to_guest(&mut pair.bare)?);
            let begun = Instant::now();
            let reading = pair.bare.port.exec(&READ, BYTES)?;
            let output = pair.bare.port.finish(reading)?;
            times.agent.push(begun.elapsed());
            demand_count(&output.stdout)
        };
        once(self, &mut Times::default())?;
        repeat("exec.stdin", count, |_| once(self, &mut times))?;
        rates("exec.stdin", "exec.stdin.agent", &times)
    }
}

fn demand_count(said: &[u8]) -> Result<(), Error> {
    let said = String::from_utf8_lossy(said);
    if said.trim() == BYTES.to_string() {
        return Ok(());
    }
    Err(Error::wrong(format!(
        "{} bytes arrived of {BYTES}",
        said.trim()
    )))
}

fn rates(name: &'static str, agent: &'static str, times: &Times) -> Result<Vec<Figure>, Error> {
    let ours = milliseconds(name, &times.ours)?;
    let bare = milliseconds(name, &times.bare)?;
    let direct = milliseconds(agent, &times.agent)?;
    Ok(vec![
        Figure::rate(name, MIB, &ours, Some(&bare)).with_goal(Some(0.7), None),
        Figure::rate(agent, MIB, &direct, Some(&bare)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_count_of_bytes_is_an_error() {
        assert!(demand_count(b"134217728\n").is_ok());
        assert!(demand_count(b"134217727\n").is_err());
        assert!(demand_count(b"").is_err());
    }

    #[test]
    fn what_is_written_is_what_is_demanded() {
        let [.., size, count, _] = WRITE;
        assert_eq!((size, count), ("bs=64k", "count=2048"));
        assert_eq!(BYTES, 64 * 1024 * 2048);
    }
}
