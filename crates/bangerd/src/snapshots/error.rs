//! Why a snapshot could not be made, used or removed.

use crate::disks::DiskError;
use banger_proto::fault::{Fault, FaultCode, chain};
use std::path::PathBuf;

/// Why a snapshot could not be made, used or removed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// There is none.
    #[error("there is no snapshot in {}", .directory.display())]
    NotFound {
        /// Where it would be.
        directory: PathBuf,
    },
    /// There is one already.
    #[error("there is a snapshot in {} already", .directory.display())]
    Exists {
        /// Where.
        directory: PathBuf,
    },
    /// One of its files is not what was saved.
    #[error("the snapshot in {} is damaged: {file} {why}", .directory.display())]
    Damaged {
        /// The snapshot.
        directory: PathBuf,
        /// The name of the file.
        file: String,
        /// What is wrong with it, as the rest of a sentence.
        why: String,
    },
    /// A newer banger made it.
    #[error("the snapshot in {} has form {form}, and this banger knows forms up to {known}", .directory.display())]
    Newer {
        /// The snapshot.
        directory: PathBuf,
        /// Its form.
        form: u32,
        /// The newest known form.
        known: u32,
    },
    /// It was made of something that does not have this.
    #[error("the snapshot in {} has no {part}", .directory.display())]
    Lacks {
        /// The snapshot.
        directory: PathBuf,
        /// What is asked for.
        part: &'static str,
    },
    /// The host refused a file operation, or has no room.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl SnapshotError {
    /// The error as it goes to the owner, with a remedy where one is known.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let fault = |code| Fault::new(code, chain(self));
        match self {
            Self::NotFound { .. } => fault(FaultCode::NotFound),
            Self::Exists { .. } => fault(FaultCode::Conflict)
                .with_remedy("give it another tag, or remove the one that is there"),
            Self::Damaged { .. } => {
                fault(FaultCode::Failed).with_remedy("remove it: what is in it cannot be relied on")
            }
            Self::Newer { .. } => fault(FaultCode::Version).with_remedy("use the newer banger"),
            Self::Lacks { .. } => fault(FaultCode::Refused),
            Self::Disk(error) => error.fault(),
        }
    }
}

impl From<SnapshotError> for Fault {
    fn from(error: SnapshotError) -> Self {
        error.fault()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_is_named_with_its_place() {
        let error = SnapshotError::Damaged {
            directory: "/s/before".into(),
            file: "memory".into(),
            why: "is not there".into(),
        };
        let fault = error.fault();
        assert_eq!(
            fault.message,
            "the snapshot in /s/before is damaged: memory is not there"
        );
        assert_eq!(fault.code, FaultCode::Failed);
        assert!(fault.remedy.is_some());
    }

    #[test]
    fn a_full_disk_keeps_its_own_remedy() {
        let place = "/s".into();
        let fault = SnapshotError::from(DiskError::Full { place }).fault();
        assert_eq!(fault.code, FaultCode::Unavailable);
        assert!(fault.remedy.expect("one").contains("free room"));
    }
}
