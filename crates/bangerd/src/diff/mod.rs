//! What is different on the disks of a sandbox: files added, changed, removed, read from the disks themselves.
//!
//! ```text
//!   before: image + system disk ─┐
//!                                ├─ two trees, walked side by side ──▶ Changes
//!   after:  image + system disk ─┘      (and the same for the work disks, at `/root`)
//! ```
//!
//! A disk is what a guest has written and so hostile: it is never mounted, and read by a parser without unsafe
//! code, no further than limits in bytes, entries and time allow. A file system that was not unmounted is read
//! as its journal says that it is ([`journal`]), and nothing is written to it. What the system disk lays over the
//! image is understood as the kernel's overlay does ([`tree`]).
//!
//! What counts as changed: kind, content, link target, device, mode, owner, extended attributes. Times alone do
//! not. A file whose metadata on both sides is the same to the nanosecond, change time and places of its blocks
//! included, and older than the earlier side, is not read.
//!
//! This room knows no sandboxes, states or VMMs. All of it blocks, and a panic in it is one of the thread that it
//! runs on.

mod compare;
mod content;
mod error;
mod journal;
mod layer;
mod opening;
mod secrets;
mod source;
mod tree;

pub use compare::{Aspect, Change, Changes, Kind};
pub use error::DiffError;
pub use secrets::{Secrets, secrets};

use compare::{Found, Walk};
use layer::Layer;
use source::Watch;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tree::Tree;

/// Where the guest has its work disk.
const WORK: &[u8] = b"/root";

/// Seconds by which times of a guest may be too coarse, or its clock may go wrong.
const TICK: u64 = 3;

/// The disks of one side; none where nothing was written yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disks {
    /// The moment that they are of, in seconds since 1970; not known where it is 0. A file that was changed
    /// within the tick of that moment may have been changed again without another time.
    pub taken_at: u64,
    /// Laid over the image.
    pub system: Option<PathBuf>,
    /// At `/root`.
    pub work: Option<PathBuf>,
}

/// A disk of a sandbox that has started, or none.
fn open_if_there(
    name: &'static str,
    path: Option<&std::path::Path>,
    watch: &Rc<Watch>,
) -> Result<Option<Layer>, DiffError> {
    let opened = path.map(|path| Layer::open(name, path, Rc::clone(watch)));
    opened.transpose()
}

/// Compares two moments of a sandbox that has this image. Nobody may write to the disks meanwhile.
///
/// # Errors
/// [`DiffError`]: what cannot be read, that it takes longer than `limit`, or that it was cancelled.
pub fn compare(
    image: &std::path::Path,
    before: &Disks,
    after: &Disks,
    limit: Duration,
    cancelled: CancellationToken,
) -> Result<Changes, DiffError> {
    let watch = Rc::new(Watch::new(limit, cancelled));
    let open = |name, path: &Option<PathBuf>| open_if_there(name, path.as_deref(), &watch);
    let image = Layer::open("image", image, Rc::clone(&watch))?;
    let systems = [
        open("system disk", &before.system)?,
        open("system disk", &after.system)?,
    ];
    let works = [
        open("work disk", &before.work)?,
        open("work disk", &after.work)?,
    ];
    let mut found = Found::default();
    let [old, new] = systems.each_ref().map(Option::as_ref);
    let has_work = works.iter().any(Option::is_some);
    let mut walk = Walk {
        before: Tree::overlay(&image, old)?,
        after: Tree::overlay(&image, new)?,
        settled: settled(before, are_of_one(old, new)),
        hidden: has_work.then_some(WORK),
        watch: &watch,
        found: &mut found,
    };
    walk.run(b"")?;
    let [old, new] = works.each_ref().map(Option::as_ref);
    let mut walk = Walk {
        before: Tree::plain(old)?,
        after: Tree::plain(new)?,
        settled: settled(before, are_of_one(old, new)),
        hidden: None,
        watch: &watch,
        found: &mut found,
    };
    walk.run(WORK)?;
    Ok(found.sorted())
}

/// Before which change time equal metadata means an equal file: never, unless numbers mean the same.
fn settled(before: &Disks, are_of_one: bool) -> i64 {
    match are_of_one {
        true => i64::try_from(before.taken_at.saturating_sub(TICK)).unwrap_or(0),
        false => 0,
    }
}

/// Whether one file system is a copy of the other, or both of a third: then equal numbers mean one file.
fn are_of_one(one: Option<&Layer>, other: Option<&Layer>) -> bool {
    one.zip(other)
        .is_some_and(|(one, other)| one.id() == other.id())
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod t1;
#[cfg(test)]
mod t5;
