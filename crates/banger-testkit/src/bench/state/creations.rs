//! A hundred creations at once beside a hundred one after the other.

use super::super::error::Error;
use super::super::figure::{Figure, Unit};
use super::super::{milliseconds, repeat};
use super::{create, operate, side_by_side};
use crate::World;
use std::time::{Duration, Instant};

/// How many.
const MACHINES: usize = 100;
/// A sample is two hundred creations: not more of them than this.
const MOST_SAMPLES: usize = 5;

/// Measures it.
///
/// # Errors
/// When a creation or a deletion fails.
pub(super) fn measure(count: usize) -> Result<Vec<Figure>, Error> {
    let world = World::simulated();
    let _ = world.run(["ps"]).good();
    let (mut together, mut in_turn) = (vec![], vec![]);
    // What the first reads from the disk, the others find in memory.
    hundred(&world, 1)?;
    repeat("state.create", count.min(MOST_SAMPLES), |_| {
        in_turn.push(hundred(&world, 1)?);
        together.push(hundred(&world, MACHINES)?);
        Ok(())
    })?;
    world.assert_nothing_left();
    let together = milliseconds("creations at once", &together)?;
    let in_turn = milliseconds("creations in turn", &in_turn)?;
    let ms = Unit::Milliseconds;
    Ok(vec![
        Figure::new("state.create.100", ms, &together, Some(&in_turn)).with_goal(Some(0.6), None),
    ])
}

/// Creates them over so many connections; deletes them outside of the time.
fn hundred(world: &World, connections: usize) -> Result<Duration, Error> {
    let names: Vec<String> = (0..MACHINES).map(|index| format!("c{index}")).collect();
    let begun = Instant::now();
    side_by_side(&names, connections, |name| create(world, name))?;
    let took = begun.elapsed();
    side_by_side(&names, 8, |name| {
        operate(world, "DELETE", &format!("/v1/sandboxes/{name}"), None)
    })?;
    Ok(took)
}
