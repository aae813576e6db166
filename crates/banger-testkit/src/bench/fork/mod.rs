//! Guests that go on from saved memory: `vm run` from a template, forks of a running guest, what they cost.
//!
//! ```text
//! image prepare ─▶ template ─┬─▶ vm run --rm -- true        beside  a QEMU of our own on the same files (bare),
//!                            │                               virtme-ng, which boots for each (virtme)
//!                            ├─▶ pool ─▶ the same, had by who comes first
//!                            ├─▶ suspended, woken by a connection · a command undone
//!                            └─▶ parent ─▶ 8 forks at once   beside  8 such QEMUs at once
//!                                       ├─▶ how long its output stops   (pause)
//!                                       └─▶ what each has for itself    (memory)
//! ```

mod bare;
mod eight;
mod memory;
mod monitor;
mod pause;
mod pooled;
mod run;
mod undo;
mod virtme;
mod wake;

use super::error::Error;
use super::figure::Figure;
use super::process;
use crate::World;
use bare::Saved;

/// What all guests of this part are: with systemd, as a user gets them.
const SHAPE: [&str; 6] = ["--vcpu", "1", "--memory", "512MiB", "--disk-size", "256MiB"];

const CONFIGURATION: &str = "templates = \"prepared\"\nnetwork = \"user\"\n";

/// A part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Runs from a template and from the pool.
    Runs,
    /// Checkpoints and undoing.
    Undo,
    /// Suspended machines that are woken.
    Wake,
    /// Forks of a running guest.
    Forks,
    /// What a hundred guests take.
    Memory,
}

impl What {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Runs,
        Self::Undo,
        Self::Wake,
        Self::Forks,
        Self::Memory,
    ];
}

/// Measures some of it.
///
/// # Errors
/// When a guest does not go on, a command in it fails, or something is left behind.
pub fn measure(parts: &[What], count: usize) -> Result<Vec<Figure>, Error> {
    let world = World::real();
    world.configure(CONFIGURATION);
    eprintln!("fork: booting the template");
    banger(&world, &["image", "prepare"], &SHAPE)?;
    let saved = Saved::of_template(&world)?;
    let mut figures = Vec::new();
    for part in parts {
        match part {
            What::Runs => {
                figures.extend(run::measure(&world, &saved, count)?);
                figures.push(virtme::measure(&world, count)?);
                figures.extend(pooled::measure(&world, &saved, count)?);
            }
            What::Undo => figures.extend(undo::measure(&world, &saved, count)?),
            What::Wake => figures.extend(wake::measure(&world, &saved, count)?),
            What::Forks => {
                figures.extend(eight::measure(&world, &saved, count)?);
                figures.extend(pause::measure(&world, count)?);
            }
            What::Memory => figures.extend(memory::measure(&world)?),
        }
    }
    world.assert_nothing_left();
    Ok(figures)
}

/// Runs banger to its end.
fn banger(
    world: &World,
    verb: &[&str],
    rest: &[&str],
) -> Result<process::Finished<Vec<u8>>, Error> {
    process::run_for_output(&mut world.banger([verb, rest].concat()))
}

/// A machine that goes on from the template and runs until [`end`].
fn begin(world: &World, name: &str) -> Result<(), Error> {
    let verb = ["vm", "create", "--name", name];
    banger(world, &verb, &SHAPE).map(drop)
}

fn end(world: &World, names: &[String]) -> Result<(), Error> {
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    match names.as_slice() {
        [] => Ok(()),
        names => banger(world, &["vm", "rm"], names).map(drop),
    }
}

/// The names that `vm fork -n COUNT --name STEM` gives.
fn names(stem: &str, count: usize) -> Vec<String> {
    (1..=count).map(|index| format!("{stem}-{index}")).collect()
}

/// Runs `true` in each at once; returns when all have answered.
fn command_in_each(world: &World, names: &[String]) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let begun: Vec<_> = names
            .iter()
            .map(|name| scope.spawn(|| banger(world, &["vm", "exec", name], &["--", "true"])))
            .collect();
        begun.into_iter().try_for_each(|thread| {
            let ran = thread.join();
            ran.map_err(|_| Error::wrong("a thread that ran a command ended"))?
                .map(drop)
        })
    })
}
