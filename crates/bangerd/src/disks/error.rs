//! Why something could not be put on the host's disk.

use super::programs::ProgramError;
use banger_model::size::show_bytes;
use banger_proto::fault::{Fault, FaultCode, chain};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a disk, or a directory of files, could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The file system has too little room.
    #[error("no room in {}: {} needed, {} free", .place.display(), show_bytes(*.needed), show_bytes(*.free))]
    NoRoom {
        /// The directory that was to be written to.
        place: PathBuf,
        /// Bytes that the work needs.
        needed: u64,
        /// Bytes that this user may still write.
        free: u64,
    },
    /// The file system said that it is full while it was written to.
    #[error("no room left in {} while writing it", .place.display())]
    Full {
        /// What was being written.
        place: PathBuf,
    },
    /// The path is taken.
    #[error("{} exists already", .path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// The host refused a file operation.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried: a verb that takes the path as its object.
        action: &'static str,
        /// Its object.
        path: PathBuf,
        /// The host's answer.
        #[source]
        source: io::Error,
    },
    /// A program of the host could not do its part.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

impl DiskError {
    /// Turns an IO error into one that names the action and the path, and tells a full disk apart.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { place: path },
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }

    /// The same error as it crosses a socket.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoRoom { .. } | Self::Full { .. } => Fault::new(
                FaultCode::Unavailable,
                chain(self),
            )
            .with_remedy(
                "delete images, kernels or sandboxes that are not needed, or free room otherwise",
            ),
            Self::Exists { .. } => Fault::new(FaultCode::Conflict, chain(self)),
            Self::Io { .. } => Fault::new(FaultCode::Failed, chain(self)),
            Self::Program(error) => error.fault(),
        }
    }
}

impl From<DiskError> for Fault {
    fn from(error: DiskError) -> Self {
        error.fault()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart_from_other_failures() {
        let full = DiskError::io("write", Path::new("/x"))(io::ErrorKind::StorageFull.into());
        assert_eq!(full.fault().code, FaultCode::Unavailable);
        assert!(full.to_string().contains("no room left in /x"), "{full}");
        let other = DiskError::io("write", Path::new("/x"))(io::ErrorKind::NotFound.into());
        assert_eq!(other.fault().code, FaultCode::Failed);
        assert!(other.fault().message.starts_with("cannot write /x: "));
    }

    #[test]
    fn too_little_room_names_how_much_and_where() {
        let error = DiskError::NoRoom {
            place: "/var/x".into(),
            needed: 2 << 30,
            free: 1 << 20,
        };
        assert_eq!(
            error.to_string(),
            "no room in /var/x: 2GiB needed, 1MiB free"
        );
    }
}
