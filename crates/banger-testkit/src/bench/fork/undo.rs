//! What a checkpoint adds to a command, and how long it takes to undo one.

use super::super::error::Error;
use super::super::figure::{Figure, Unit};
use super::super::{milliseconds, repeat};
use super::bare::Saved;
use super::{SHAPE, banger, end};
use crate::World;

const NAME: &str = "undone";
/// Leaves something in memory and on a disk.
const COMMAND: [&str; 3] = ["sh", "-c", "echo line >> /root/lines; date > /run/last"];

pub(super) fn measure(world: &World, saved: &Saved, count: usize) -> Result<Vec<Figure>, Error> {
    let create = ["vm", "create", "--checkpoint", "--name", NAME];
    banger(world, &create, &SHAPE)?;
    let exec = |options: &[&str]| {
        let rest = [options, &[NAME, "--"], &COMMAND].concat();
        banger(world, &["vm", "exec"], &rest)
    };
    // The first checkpoint is a whole one.
    exec(&[])?;
    let (mut kept, mut plain, mut undone, mut bare) = (vec![], vec![], vec![], vec![]);
    repeat("fork.undo", count, |_| {
        plain.push(exec(&["--no-checkpoint"])?.took);
        kept.push(exec(&[])?.took);
        undone.push(banger(world, &["vm", "undo", NAME], &[])?.took);
        bare.push(saved.resume(world)?.answered);
        Ok(())
    })?;
    end(world, &[NAME.to_owned()])?;
    let ms = Unit::Milliseconds;
    let kept = milliseconds("a command with a checkpoint", &kept)?;
    let plain = milliseconds("a command without one", &plain)?;
    let undone = milliseconds("an undo", &undone)?;
    let bare = milliseconds("a bare resume", &bare)?;
    Ok(vec![
        Figure::new("fork.undo", ms, &undone, Some(&bare)).with_goal(None, Some(300.0)),
        Figure::new("fork.checkpoint", ms, &kept, Some(&plain)),
    ])
}
