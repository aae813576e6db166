//! One sandbox's place on the bridge: made with and without TAPs that wait ready, and given back.

use super::super::error::Error;
use super::super::figure::{Figure, Unit};
use super::super::{milliseconds, repeat};
use super::by_hand::ByHand;
use super::ground::{Ground, POOL, Sandbox, alone};
use super::kernel;
use std::time::{Duration, Instant};

/// Measures it.
///
/// # Errors
/// When a place is not made, or something is left.
pub(super) fn measure(count: usize) -> Result<Vec<Figure>, Error> {
    let warm = alone(|| Times::measure("network.warm", POOL, count))?;
    let cold = alone(|| Times::measure("network.cold", 0, count))?;
    let ms = Unit::Milliseconds;
    let figure = |name, ours: &[Duration], bare: &[Duration]| -> Result<Figure, Error> {
        let (ours, bare) = (milliseconds(name, ours)?, milliseconds(name, bare)?);
        Ok(Figure::new(name, ms, &ours, Some(&bare)))
    };
    let detach: Vec<_> = [warm.detach.as_slice(), &cold.detach].concat();
    let detach = milliseconds("network.delete", &detach)?;
    Ok(vec![
        figure("network.warm", &warm.attach, &warm.bare)?.with_goal(Some(0.1), None),
        figure("network.warm.rules", &warm.rules, &warm.bare)?,
        figure("network.cold", &cold.attach, &cold.bare)?.with_goal(Some(0.6), None),
        figure("network.cold.rules", &cold.rules, &cold.bare)?,
        Figure::new("network.delete", ms, &detach, None).with_goal(None, Some(2.0)),
    ])
}

/// Times of one kind each.
#[derive(Debug, Default)]
struct Times {
    /// Until the start of the machine goes on.
    attach: Vec<Duration>,
    /// Until the rules hold, from the same moment.
    rules: Vec<Duration>,
    detach: Vec<Duration>,
    bare: Vec<Duration>,
}

impl Times {
    fn measure(what: &str, pool: usize, count: usize) -> Result<Self, Error> {
        let ground = Ground::new(pool)?;
        let mut by_hand = ByHand::new()?;
        // One that stays: the bridge has a guest already, as on a machine in use.
        let first = Sandbox::new(0)?;
        ground.attach(&first)?;
        ground.settle(&first)?;
        let mut times = Self::default();
        let mut unkept = Self::default();
        unkept.once(&ground, &mut by_hand, &first, pool)?;
        repeat(what, count, |_| {
            times.once(&ground, &mut by_hand, &first, pool)
        })?;
        ground.detach(&first);
        kernel::wait_for(pool, 0)?;
        by_hand.end()?;
        ground.leave()?;
        Ok(times)
    }

    fn once(
        &mut self,
        ground: &Ground,
        by_hand: &mut ByHand,
        first: &Sandbox,
        pool: usize,
    ) -> Result<(), Error> {
        let sandbox = Sandbox::new(1)?;
        // The pool is full again, and nothing is under way.
        kernel::wait_for(1 + pool, 1)?;
        ground.settle(first)?;
        let begun = Instant::now();
        let attached = ground.attach(&sandbox)?;
        self.attach.push(begun.elapsed());
        ground.settle(&sandbox)?;
        self.rules.push(begun.elapsed());
        let tap = attached.slot.interface();
        for (what, found) in [("up", kernel::taps()?), ("in the rules", kernel::guests()?)] {
            if !found.contains(&tap) {
                return Err(Error::wrong(format!("{tap} is not {what}: {found:?}")));
            }
        }
        kernel::wait_for(2 + pool, 2)?;
        self.bare.push(by_hand.make()?);
        by_hand.remove()?;
        let begun = Instant::now();
        ground.detach(&sandbox);
        self.detach.push(begun.elapsed());
        // One is given back to a pool that is full, and deleted.
        kernel::wait_for(1 + pool, 1)
    }
}
