//! Lines that are added to files of a bounded size: the audit log and the events.
//!
//! ```text
//!   whoever has something to say ──push──▶ Queue (bounded) ──▶ a thread of its own ──▶ LineFile
//! ```
//!
//! Whoever says something never waits for a disk: what does not fit the queue is counted and left out.

mod file;
mod queue;

pub(crate) use file::{LineFile, lines_of};
pub(crate) use queue::Queue;
