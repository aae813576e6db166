//! One file that holds a sandbox: written from a snapshot, read back into one.
//!
//! ```text
//! "banger-export\n" ── length ── manifest (JSON) ── public key ── signature ── part ── part ── …
//!                                                                              pieces: place, lengths, zstd
//! ```
//!
//! The manifest has the length, the room and the digest of each part, and is signed with the exporting daemon's
//! own key; so the signature covers every byte that is used. A file is hostile until then: no path is taken from
//! it, each length has a limit, and nothing is published before all of it was compared.
//!
//! This room knows no records and no states. Everything here blocks.

mod error;
mod form;
pub mod key;
mod piece;
mod read;
mod write;

pub use error::ExportError;
pub use form::{Form, ImagePart, PartForm, PartName};
pub use read::{Incoming, Trust, Unpacked};
pub use write::{Contents, Outgoing};

#[cfg(test)]
mod t1;
