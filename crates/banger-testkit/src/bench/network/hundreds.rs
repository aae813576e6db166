//! Two hundred sandboxes: the second hundred takes as long as the first, and nothing is left.

use super::super::error::Error;
use super::super::figure::{Figure, Unit};
use super::super::statistics::Samples;
use super::super::{milliseconds, missing, repeat};
use super::ground::{Ground, POOL, Sandbox, alone};
use super::kernel;
use std::time::{Duration, Instant};

const HUNDRED: u16 = 100;

/// Measures it.
///
/// # Errors
/// When one is not made, or something is left.
pub(super) fn measure(count: usize) -> Result<Vec<Figure>, Error> {
    let mut measured = Measured::default();
    repeat("network.200", count, |_| alone(|| measured.once()))?;
    measured.figures()
}

/// The first and the second hundred.
type Both = [Vec<Duration>; 2];

#[derive(Debug, Default)]
struct Measured {
    made: Both,
    removed: Both,
    /// Until all hundred calls had returned.
    returned: Vec<Duration>,
    idle: Vec<f64>,
    worked: Vec<f64>,
}

impl Measured {
    /// A namespace, a helper and 200 sandboxes, all of which are gone afterwards.
    fn once(&mut self) -> Result<(), Error> {
        let ground = Ground::new(POOL)?;
        self.idle.push(ground.helper_resident()?);
        let hundreds = [Sandbox::some(0, HUNDRED)?, Sandbox::some(HUNDRED, HUNDRED)?];
        for (made, hundred) in self.made.iter_mut().zip(&hundreds) {
            let begun = Instant::now();
            for sandbox in hundred {
                ground.attach(sandbox)?;
            }
            hundred.last().map_or(Ok(()), |last| ground.settle(last))?;
            made.push(begun.elapsed());
        }
        let all = 2 * usize::from(HUNDRED);
        kernel::wait_for(all + POOL, all)?;
        self.worked.push(ground.helper_resident()?);
        for (index, (removed, hundred)) in self.removed.iter_mut().zip(&hundreds).enumerate() {
            let begun = Instant::now();
            hundred.iter().for_each(|sandbox| ground.detach(sandbox));
            self.returned.push(begun.elapsed());
            let left = all - (index + 1) * usize::from(HUNDRED);
            kernel::wait_for(left + POOL, left)?;
            removed.push(begun.elapsed());
        }
        ground.leave()
    }

    fn figures(self) -> Result<Vec<Figure>, Error> {
        let ms = Unit::Milliseconds;
        let linear = |name, [first, second]: &Both| -> Result<Figure, Error> {
            let (first, second) = (milliseconds(name, first)?, milliseconds(name, second)?);
            Ok(Figure::new(name, ms, &second, Some(&first)).with_goal(Some(1.5), None))
        };
        let resident = |name, values| -> Result<Figure, Error> {
            let samples = missing(name, Samples::new(values))?;
            let figure = Figure::new(name, Unit::Mebibytes, &samples, None);
            Ok(figure.with_goal(None, Some(6.0)))
        };
        let returned = milliseconds("network.delete.100", &self.returned)?;
        Ok(vec![
            Figure::new("network.delete.100", ms, &returned, None).with_goal(None, Some(100.0)),
            linear("network.200.made", &self.made)?,
            linear("network.200.removed", &self.removed)?,
            resident("network.helper", self.idle)?,
            resident("network.helper.200", self.worked)?,
        ])
    }
}
