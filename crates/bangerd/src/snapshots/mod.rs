//! Snapshots: a directory with disks, and of a guest that ran its memory and devices, at one moment.
//!
//! ```text
//!   Making ──publish──▶ Snapshot ──verify──▶ copy_disk, put_resume ──▶ a sandbox's disks and `resume/`
//!   `.TAG-1f…/`         `TAG/`, never changed      (seed)
//! ```
//!
//! It is built beside its place in a directory whose name begins with a dot, and appears by rename: whoever sees
//! it sees all of it. What a crash leaves has that dot ([`clear_unfinished`]). Each of its files is digested
//! when it is made ([`digest`]) and compared before it is used ([`Verified`]): what was cut off, changed or
//! put in another's place is named and never loaded. Whether a guest can go on where it is to go on is for
//! [`Fingerprint`] to say.
//!
//! This room does not know records, states or who called; how a guest is halted and saved is the VMM's matter.
//! Everything here blocks.

pub mod copying;
pub mod digest;
mod directory;
mod error;
pub mod fingerprint;
mod making;
mod manifest;
pub(crate) mod sealed;
mod seed;
mod unfinished;
mod verified;

pub use digest::FileDigest;
pub use directory::{Listed, Snapshot};
pub use error::SnapshotError;
pub use fingerprint::Fingerprint;
pub use making::Making;
pub use manifest::{Manifest, Part};
pub use seed::share;
pub use unfinished::{clear_unfinished, retire as remove};
pub use verified::Verified;

#[cfg(test)]
pub(crate) mod fixtures;
