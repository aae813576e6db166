//! A guest that stands still to be saved.

use super::ProcessIdentity;
use crate::layout::SandboxPaths;
use banger_model::MemorySize;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Paused<'a> {
    /// Its VMM.
    pub process: &'a ProcessIdentity,
    /// Where the VMM answers.
    pub paths: &'a SandboxPaths,
    /// How much memory it has.
    pub memory: MemorySize,
    /// What is in the pages that it has not written.
    pub unwritten: Unwritten,
}

/// A saved memory that is brought up to date, instead of being written as a whole.
pub trait Earlier: Send + Sync {
    /// Is given each part that is about to be written over: where it is, and what is there. Once for each place,
    /// as whole pages, by several threads.
    ///
    /// # Errors
    /// It could not be noted: nothing is written there then.
    fn note(&self, at: u64, old: &[u8]) -> std::io::Result<()>;
}

/// What is in those pages of a guest's memory that it has not written since its VMM was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwritten {
    /// Zeros: it was booted.
    Zeros,
    /// What the file that it is to be saved into has there already: the guest went on from a saved memory,
    /// and whoever saves it has put a copy of that in place before pausing the guest.
    InPlace,
    /// What nobody has but the VMM: the guest went on from a memory that is gone since. All is read.
    Unknown,
}
