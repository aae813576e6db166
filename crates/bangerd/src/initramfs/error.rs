//! Why there is no initramfs.

use crate::disks::DiskError;
use banger_proto::fault::{Fault, FaultCode, chain};
use std::path::PathBuf;

/// Why an initramfs could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitramfsError {
    /// The agent's file is not there, or is not a file.
    #[error("the guest agent {} is not there", .agent.display())]
    NoAgent {
        /// Where it should be.
        agent: PathBuf,
    },
    /// The agent's file is not a program that can be first in a guest.
    #[error("the guest agent {} cannot be used: {problem}", .agent.display())]
    BadAgent {
        /// Its file.
        agent: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A part is longer than the archive's format can say.
    #[error("{} is too long for an initramfs", .part.display())]
    TooLong {
        /// The part.
        part: PathBuf,
    },
    /// The host refused a file operation.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl InitramfsError {
    /// The same error as it crosses a socket.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoAgent { .. } | Self::BadAgent { .. } => {
                Fault::new(FaultCode::Unavailable, chain(self))
                    .with_remedy("`cargo xtask build` makes a static one beside the daemon")
            }
            Self::TooLong { .. } => Fault::new(FaultCode::Failed, self),
            Self::Disk(error) => error.fault(),
        }
    }
}

impl From<InitramfsError> for Fault {
    fn from(error: InitramfsError) -> Self {
        error.fault()
    }
}
