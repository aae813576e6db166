//! `vm run --rm -- true` where a machine waits in the pool.

use super::super::error::Error;
use super::super::figure::{Figure, Unit};
use super::super::{milliseconds, repeat};
use super::bare::Saved;
use super::{CONFIGURATION, SHAPE, banger};
use crate::World;
use crate::world::LIMIT;
use serde_json::Value;
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks whether one waits; the looks are not timed.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) fn measure(world: &World, saved: &Saved, count: usize) -> Result<Vec<Figure>, Error> {
    world.stop_daemon();
    world.configure(&format!("{CONFIGURATION}pool_size = 1\n"));
    let (mut whole, mut bare) = (Vec::new(), Vec::new());
    let rest = [&SHAPE[..], &["--", "true"]].concat();
    let run = || banger(world, &["vm", "run", "--rm"], &rest);
    // The first of its kind: the pool is filled behind it.
    let _ = run()?;
    repeat("fork.run.pool", count, |_| {
        until_one_waits(world)?;
        let ran = run()?;
        if !ran
            .notes
            .iter()
            .any(|(_, line)| line.contains("from the pool"))
        {
            return Err(Error::wrong(format!("none of the pool: {:?}", ran.notes)));
        }
        whole.push(ran.took);
        bare.push(saved.resume(world)?.answered);
        Ok(())
    })?;
    world.stop_daemon();
    world.configure(CONFIGURATION);
    let whole = milliseconds("vm run", &whole)?;
    let bare = milliseconds("a bare resume", &bare)?;
    let ms = Unit::Milliseconds;
    Ok(vec![
        Figure::new("fork.run.pool", ms, &whole, Some(&bare)).with_goal(Some(1.5), Some(500.0)),
    ])
}

/// One waits once it is counted and what made it has come to its end.
fn until_one_waits(world: &World) -> Result<(), Error> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let status = banger(world, &["daemon", "status", "--json"], &[])?;
        let status: Value = serde_json::from_slice(&status.output)
            .map_err(|error| Error::wrong(format!("no status: {error}")))?;
        if status["pooled"] == 1 && status["operations"] == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::wrong(format!("none waits: {status}")));
        }
        thread::park_timeout(LOOK_EVERY);
    }
}
