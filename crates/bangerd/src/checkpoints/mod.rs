//! Checkpoints: what a sandbox was before each of its last commands, so that commands can be undone.
//!
//! ```text
//!   checkpoints/base/          memory, system.ext4, work.ext4: all of them as they were at the newest checkpoint
//!   checkpoints/00000003/      the newest: what it says of itself, devices, and what leads back from it to the one
//!   checkpoints/00000002/      before it: the former content of what had changed in between (`*.before`)
//! ```
//!
//! One checkpoint is held as a whole, the others as differences from the one after them. Making one compares disks
//! and memory with the base: what differs is put into the log first and then into the base, so that a crash in
//! between is taken back ([`Checkpoints::clear_up`]). Going back reads the logs from the newest on. Each checkpoint
//! has a sum over the contents of the base at its moment ([`Sum`]), which a change of a part changes by that part
//! alone; a log has a digest of its own.
//!
//! All of it can be lost without harm to the sandbox: what is damaged, or of a moment that the base has left, is
//! given up and said. This room does not know records, states or VMM commands. Everything here blocks.

mod before;
mod directory;
mod entry;
mod making;
mod sum;
mod undoing;

pub use directory::{Checkpoints, Kept};
pub use entry::{Entry, Parts};
pub use making::{Making, Pages};
pub use sum::{Sum, matches};
pub use undoing::Undo;

#[cfg(test)]
mod t1;
