//! Eight forks of a running guest at once, until the first command of each is done.

use super::super::error::Error;
use super::super::figure::{Figure, Unit};
use super::super::{milliseconds, repeat};
use super::bare::Saved;
use super::{banger, begin, command_in_each, end, names};
use crate::World;
use std::time::{Duration, Instant};

const FORKS: usize = 8;
/// A sample is eight guests of each kind: not more of them than this.
const MOST_SAMPLES: usize = 5;

pub(super) fn measure(world: &World, saved: &Saved, count: usize) -> Result<Vec<Figure>, Error> {
    begin(world, "parent")?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    repeat("fork.8", count.min(MOST_SAMPLES), |_| {
        ours.push(forks(world)?);
        bare.push(resumes(world, saved)?);
        Ok(())
    })?;
    end(world, &["parent".to_owned()])?;
    let ours = milliseconds("8 forks", &ours)?;
    let bare = milliseconds("8 bare resumes", &bare)?;
    let ms = Unit::Milliseconds;
    Ok(vec![
        Figure::new("fork.8", ms, &ours, Some(&bare)).with_goal(Some(1.3), None),
    ])
}

fn forks(world: &World) -> Result<Duration, Error> {
    let names = names("f", FORKS);
    let begun = Instant::now();
    let number = FORKS.to_string();
    banger(
        world,
        &["vm", "fork", "parent"],
        &["-n", &number, "--name", "f"],
    )?;
    command_in_each(world, &names)?;
    let took = begun.elapsed();
    end(world, &names)?;
    Ok(took)
}

/// Until the last agent has answered; copies of disks are made before the clock begins, as banger makes those of
/// all forks in the time.
fn resumes(world: &World, saved: &Saved) -> Result<Duration, Error> {
    std::thread::scope(|scope| {
        let begun: Vec<_> = (0..FORKS)
            .map(|_| scope.spawn(|| saved.resume(world)))
            .collect();
        let mut longest = Duration::ZERO;
        let mut alive = Vec::new();
        for thread in begun {
            let resumed = thread.join();
            let resumed = resumed.map_err(|_| Error::wrong("a thread that resumed ended"))??;
            longest = longest.max(resumed.answered);
            // All run until the last has answered.
            alive.push(resumed);
        }
        Ok(longest)
    })
}
