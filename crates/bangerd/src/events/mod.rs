//! What happened to sandboxes, in the order in which it did: for followers while it happens, and in
//! `events.jsonl` for those who ask later.
//!
//! ```text
//!  Tracked (a driver's changes) ─▶ changes (pure) ─▶ Feed ─▶ one thread: number, write ─▶ followers
//! ```
//!
//! A number is given once: it is written before any follower sees it. Where the disk is full followers
//! see it all the same; the numbers that the next daemon must not give again are then remembered in the
//! database, which holds room for that.

pub mod changes;
mod feed;
mod history;

pub use feed::{Feed, Happening};
