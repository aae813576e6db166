//! `vm run --rm -- true` from a template, with its files in the host's memory and without, and a cold start of
//! the same guest.

use super::super::error::Error;
use super::super::figure::{Figure, Unit};
use super::super::start_times::StartTimes;
use super::super::{milliseconds, process, repeat};
use super::bare::Saved;
use super::{SHAPE, banger};
use crate::World;
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::time::Duration;

/// A cold start of a guest with systemd takes seconds: not more of them than this.
const MOST_COLD: usize = 5;

/// Times of one kind each.
#[derive(Debug, Default)]
struct Times {
    whole: Vec<Duration>,
    up: Vec<Duration>,
    running: Vec<Duration>,
    answered: Vec<Duration>,
    command: Vec<Duration>,
    bare: Vec<Duration>,
}

pub(super) fn measure(world: &World, saved: &Saved, count: usize) -> Result<Vec<Figure>, Error> {
    let (mut warm, mut uncached) = (Times::default(), Times::default());
    // What the first of each kind reads from the disk, the others find in memory.
    once(world, saved, &mut Times::default())?;
    repeat("fork.run", count, |_| once(world, saved, &mut warm))?;
    repeat("fork.run.uncached", count, |_| {
        forget(saved)?;
        run(world, &mut uncached)?;
        forget(saved)?;
        uncached.bare.push(saved.resume(world)?.answered);
        Ok(())
    })?;
    let mut cold = Vec::new();
    repeat("fork.run over a cold start", count.min(MOST_COLD), |_| {
        let verb = ["vm", "run", "--rm", "--cold", "--wait", "init"];
        let rest = [&SHAPE[..], &["--", "true"]].concat();
        cold.push(banger(world, &verb, &rest)?.took);
        Ok(())
    })?;
    figures(&warm, &uncached, &cold)
}

fn figures(warm: &Times, uncached: &Times, cold: &[Duration]) -> Result<Vec<Figure>, Error> {
    let ms = Unit::Milliseconds;
    let samples = |what: &str, durations: &[Duration]| milliseconds(what, durations);
    let whole = samples("vm run", &warm.whole)?;
    let bare = samples("a bare resume", &warm.bare)?;
    let uncached_bare = samples("a bare resume", &uncached.bare)?;
    let stage =
        |name, durations: &[Duration]| Ok(Figure::new(name, ms, &samples(name, durations)?, None));
    Ok(vec![
        Figure::new("fork.run", ms, &whole, Some(&bare)).with_goal(Some(1.5), Some(500.0)),
        stage("fork.run.up", &warm.up)?,
        stage("fork.run.resumed", &warm.running)?,
        stage("fork.run.agent", &warm.answered)?,
        stage("fork.run.command", &warm.command)?,
        Figure::new(
            "fork.run.uncached",
            ms,
            &samples("vm run", &uncached.whole)?,
            Some(&uncached_bare),
        ),
        Figure::new(
            "fork.run.cold",
            ms,
            &whole,
            Some(&samples("a cold start", cold)?),
        )
        .with_goal(Some(0.05), None),
    ])
}

fn once(world: &World, saved: &Saved, times: &mut Times) -> Result<(), Error> {
    run(world, times)?;
    times.bare.push(saved.resume(world)?.answered);
    Ok(())
}

fn run(world: &World, times: &mut Times) -> Result<(), Error> {
    let rest = [&SHAPE[..], &["--timings", "--", "true"]].concat();
    let mut command = world.banger([&["vm", "run", "--rm"], &rest[..]].concat());
    let ran = process::run_for_output(&mut command)?;
    let lines = || ran.notes.iter().map(|(_, line)| line.as_str());
    if !lines().any(|line| line.contains("resuming")) {
        return Err(Error::wrong(format!(
            "no template was used: {:?}",
            ran.notes
        )));
    }
    let start = lines().find_map(StartTimes::read);
    let start = start.ok_or_else(|| Error::wrong(format!("no start times: {:?}", ran.notes)))?;
    times.whole.push(ran.took);
    times.up.extend(start.up);
    times.running.extend(start.running);
    times.answered.push(start.agent_answered);
    times.command.push(start.first_command);
    Ok(())
}

/// Has the host read the template's files from the disk again, as far as nobody has them mapped.
fn forget(saved: &Saved) -> Result<(), Error> {
    saved.files().iter().try_for_each(|path| {
        let file = File::open(path).map_err(Error::io("open a template's file"))?;
        file.sync_all()
            .map_err(Error::io("sync a template's file"))?;
        let advised = fadvise(&file, 0, None, Advice::DontNeed);
        advised.map_err(|errno| Error::io("drop a template's file from memory")(errno.into()))
    })
}
