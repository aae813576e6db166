//! The states of a sandbox.
//!
//! ```text
//!            create              start                agent answers
//!  (nothing) ──────▶ created ──────────▶ starting ──────────────────▶ running
//!                       │                   │ fails                     │ stop, kill,
//!                       │                   ▼ (undone)                  ▼ the VMM ends
//!                       │     start ┌──── stopped ◀──────────────── stopping
//!                       │           └──▶ starting                  (or at once)
//!                       ▼ delete            │ delete
//!                    (nothing) ◀────────────┘
//! ```
//!
//! ```text
//!            suspend               start, use
//!   running ─────────▶ suspended ──────────────▶ starting
//!                          │ stop: its memory is given up
//!                          ▼
//!                       stopped
//! ```
//!
//! A sandbox that was forked, or made from a template, begins as suspended.
//!
//! A sandbox of which something could not be removed, or whose work broke off in an unforeseen way, is
//! `needs-repair`: it can be looked at, repaired, stopped and deleted, nothing else. One whose record
//! cannot be read is `unreadable`: it keeps its name, and can be deleted.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a sandbox is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxState {
    /// Recorded, disks made, never started.
    Created,
    /// A VMM is being started and its agent awaited.
    Starting,
    /// The agent has answered.
    Running,
    /// Being shut down.
    Stopping,
    /// Not running; disks kept.
    Stopped,
    /// Not running; disks and memory kept: its guest goes on where it was.
    Suspended,
    /// Being deleted.
    Deleting,
    /// Something could not be removed: what is left is in the record.
    NeedsRepair,
    /// Its record cannot be read. No record says so: it is what a daemon makes of one that it cannot
    /// read.
    Unreadable,
}

impl SandboxState {
    /// Every state, for tests over the full product and for tables.
    pub const ALL: [Self; 9] = [
        Self::Created,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Stopped,
        Self::Suspended,
        Self::Deleting,
        Self::NeedsRepair,
        Self::Unreadable,
    ];

    /// Whether a VMM process may exist in this state.
    #[must_use]
    pub const fn may_have_vmm(self) -> bool {
        !matches!(
            self,
            Self::Created | Self::Stopped | Self::Suspended | Self::Unreadable
        )
    }

    /// The word that is shown and stored.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
            Self::NeedsRepair => "needs-repair",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for SandboxState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl std::str::FromStr for SandboxState {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|state| state.word() == word)
            .ok_or_else(|| format!("{word:?} is not a state of a sandbox"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back_from_its_word() {
        for state in SandboxState::ALL {
            assert_eq!(state.word().parse(), Ok(state));
        }
        assert!("paused".parse::<SandboxState>().is_err());
    }
}
