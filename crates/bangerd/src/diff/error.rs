//! Why disks could not be compared.

use banger_proto::fault::{Fault, FaultCode, chain};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why disks could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// A file of the host cannot be opened or read.
    #[error("cannot read {}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The host's answer.
        #[source]
        source: io::Error,
    },
    /// What is on a disk is no file system as it should be.
    #[error("the file system of the {disk} cannot be read: {why}")]
    Damaged {
        /// Which disk.
        disk: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// It has something that is not understood here.
    #[error("the file system of the {disk} has what cannot be read here: {why}")]
    Unsupported {
        /// Which disk.
        disk: &'static str,
        /// What it has.
        why: String,
    },
    /// It is larger than can be looked through.
    #[error("the file system of the {disk} has more than can be compared: {why}")]
    TooMuch {
        /// Which disk.
        disk: &'static str,
        /// More of what.
        why: String,
    },
    /// It took too long.
    #[error("comparing takes longer than {} s", .limit.as_secs())]
    TooLong {
        /// How long it may take.
        limit: Duration,
    },
    /// Nobody waits for it any more.
    #[error("cancelled: nobody waits for it any more")]
    Unwanted,
}

impl DiffError {
    /// The error as it goes to the owner, with a remedy where one is known.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let fault = |code| Fault::new(code, chain(self));
        match self {
            Self::Io { .. } => fault(FaultCode::Failed),
            Self::Damaged { .. } => fault(FaultCode::Failed).with_remedy(
                "look at its file systems from inside, as with `banger exec NAME -- dmesg`",
            ),
            Self::Unsupported { .. } | Self::TooMuch { .. } => fault(FaultCode::Refused)
                .with_remedy(
                    "compare inside of the machine: `banger exec NAME -- find / -newer …`",
                ),
            Self::TooLong { .. } => fault(FaultCode::TimedOut).with_remedy(
                "stop or suspend the machine first: one that does not run is given more time",
            ),
            Self::Unwanted => fault(FaultCode::Cancelled),
        }
    }
}

impl From<DiffError> for Fault {
    fn from(error: DiffError) -> Self {
        error.fault()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_names_the_disk_or_the_limit_and_a_remedy() {
        let damaged = DiffError::Damaged {
            disk: "work disk",
            why: "inode 12: its checksum is wrong".into(),
        };
        assert_eq!(
            damaged.fault().message,
            "the file system of the work disk cannot be read: inode 12: its checksum is wrong"
        );
        let late = DiffError::TooLong {
            limit: Duration::from_secs(5),
        };
        assert_eq!(late.fault().code, FaultCode::TimedOut);
        for error in [damaged, late] {
            assert!(error.fault().remedy.is_some(), "{error}");
        }
    }
}
