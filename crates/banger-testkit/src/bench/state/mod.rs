//! What is remembered: a thousand recorded machines, many creations at once, and what planning and
//! recording cost a start. Guests are simulated: no figure here is one of a guest's.

mod creations;
mod served;
mod thousand;
mod undertaken;

use super::error::Error;
use super::figure::Figure;
use crate::{World, api};
use serde_json::{Value, json};

/// As small as disks can usefully be: what is measured is not how they are made.
const DISK_MIB: u64 = 64;

/// Measures it.
///
/// # Errors
/// When the daemon does not come up, a machine is missing, or an operation fails.
pub fn measure(count: usize) -> Result<Vec<Figure>, Error> {
    let mut figures = undertaken::measure(count)?;
    figures.extend(creations::measure(count)?);
    figures.extend(thousand::measure(count)?);
    Ok(figures)
}

/// Asks the daemon for an operation, and demands that it succeeds.
fn operate(world: &World, method: &str, path: &str, content: Option<&Value>) -> Result<(), Error> {
    let doing = || format!("{method} {path}");
    let answer = api::request(world, method, path, content).map_err(Error::io(doing()))?;
    let last = answer.last_event().map_err(Error::io(doing()))?;
    match last["event"].as_str() {
        Some("done") => Ok(()),
        _ => Err(Error::wrong(format!("{} came to {last}", doing()))),
    }
}

/// Creates a machine and does not start it.
fn create(world: &World, name: &str) -> Result<(), Error> {
    let wanted = json!({
        "name": name, "init": "none", "disk_mib": DISK_MIB, "system_disk_mib": DISK_MIB,
    });
    operate(world, "POST", "/v1/sandboxes", Some(&wanted))
}

/// Does something with each of them, so many at the same time as there are connections.
fn side_by_side(
    names: &[String],
    connections: usize,
    each: impl Fn(&str) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let share = names.len().div_ceil(connections.max(1)).max(1);
    std::thread::scope(|scope| {
        let each = &each;
        let shares = names
            .chunks(share)
            .map(|share| scope.spawn(move || share.iter().try_for_each(|name| each(name))));
        let all: Vec<_> = shares.collect();
        all.into_iter().try_for_each(|one| {
            let panicked = |_| Error::wrong("a connection's thread panicked");
            one.join().map_err(panicked)?
        })
    })
}
