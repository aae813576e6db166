//! What banger adds to a start: planning, recording, journalling, watching.

use super::super::bare::Template;
use super::super::error::Error;
use super::super::figure::{Figure, Unit};
use super::super::statistics::Samples;
use super::super::{milliseconds, missing, repeat};
use super::operate;
use crate::World;
use serde_json::json;
use std::time::{Duration, Instant};

/// The machine that is started and stopped.
const NAME: &str = "v";

/// Measures it.
///
/// # Errors
/// When a start fails.
pub(super) fn measure(count: usize) -> Result<Vec<Figure>, Error> {
    let world = World::simulated();
    let _ = world
        .run(crate::checks::run(&["-d", "--name", NAME]))
        .good();
    let template = Template::of_running(&world, NAME)?;
    let (mut ours, mut bare) = (vec![], vec![]);
    start(&world)?;
    template.boot(&world)?;
    repeat("state.start", count, |_| {
        ours.push(start(&world)?);
        bare.push(template.boot(&world)?.configured);
        Ok(())
    })?;
    let added = ours
        .iter()
        .zip(&bare)
        .map(|(ours, bare)| added(*ours, *bare));
    let added = missing("state.start.added", Samples::new(added.collect()))?;
    let ours = milliseconds("state.start", &ours)?;
    let bare = milliseconds("a bare start", &bare)?;
    let ms = Unit::Milliseconds;
    Ok(vec![
        Figure::new("state.start", ms, &ours, Some(&bare)),
        Figure::new("state.start.added", ms, &added, None).with_goal(None, Some(5.0)),
    ])
}

/// Milliseconds; less than nothing where the bare start of the pair was the slower one.
fn added(ours: Duration, bare: Duration) -> f64 {
    (ours.as_secs_f64() - bare.as_secs_f64()) * 1000.0
}

/// One start, from before the request is sent until the last event has come; stopped before.
fn start(world: &World) -> Result<Duration, Error> {
    operate(world, "POST", &format!("/v1/sandboxes/{NAME}/stop"), None)?;
    let begun = Instant::now();
    let wanted = json!({});
    operate(
        world,
        "POST",
        &format!("/v1/sandboxes/{NAME}/start"),
        Some(&wanted),
    )?;
    Ok(begun.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_start_adds_may_be_less_than_nothing() {
        let ms = Duration::from_millis;
        assert!((added(ms(12), ms(9)) - 3.0).abs() < 1e-9);
        assert!((added(ms(9), ms(12)) + 3.0).abs() < 1e-9);
    }
}
