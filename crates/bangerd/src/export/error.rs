//! Why a sandbox could not be exported or imported.

use crate::diff::DiffError;
use crate::disks::DiskError;
use banger_proto::fault::{Fault, FaultCode, chain};
use std::io;

/// Why a sandbox could not be exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It is no export at all.
    #[error("this is no export of a machine")]
    Other,
    /// A newer banger wrote it.
    #[error("the export has form {form}, and this banger knows forms up to {known}")]
    Newer {
        /// Its form.
        form: u32,
        /// The newest known form.
        known: u32,
    },
    /// It is not what was exported.
    #[error("the export is damaged: {0}")]
    Damaged(String),
    /// It ends before its end.
    #[error("the export is cut off")]
    CutOff,
    /// Its signature is good, and its signer unknown.
    #[error("the export is signed with the key {key}, which is not known here")]
    Unknown {
        /// The public key.
        key: String,
    },
    /// It cannot be read or sent on.
    #[error("the export cannot be carried on")]
    Stream(#[source] io::Error),
    /// Where its disks have secrets is not known.
    #[error("cannot leave out the secrets on its disks")]
    Secrets(#[source] DiffError),
    /// The host refused a file operation, or has no room.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The daemon's own key cannot be used.
    #[error("the key of exports in {path} cannot be used: {why}")]
    Key {
        /// Where it is.
        path: String,
        /// Why.
        why: String,
    },
    /// Nobody waits for it any more.
    #[error("cancelled: nobody waits for it any more")]
    Unwanted,
}

impl ExportError {
    /// The error as it goes to the owner, with a remedy where one is known.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let fault = |code| Fault::new(code, chain(self));
        match self {
            Self::Other => fault(FaultCode::BadRequest)
                .with_remedy("give a file that `banger vm export` has written"),
            Self::Newer { .. } => fault(FaultCode::Version).with_remedy("use the newer banger"),
            Self::Damaged(_) | Self::CutOff => fault(FaultCode::BadRequest)
                .with_remedy("copy it again from where it was exported, or export it again"),
            Self::Unknown { key } => fault(FaultCode::Refused).with_remedy(format!(
                "if it is the key of who exported it (`banger vm export --key` there), give `--trust {key}`"
            )),
            Self::Stream(_) | Self::Key { .. } => fault(FaultCode::Failed),
            Self::Secrets(DiffError::Unwanted) => fault(FaultCode::Cancelled),
            Self::Secrets(error) => Fault::new(error.fault().code, chain(self)).with_remedy(
                "give --with-secrets to have the disks written as they are, with the machine's host keys",
            ),
            Self::Disk(error) => error.fault(),
            Self::Unwanted => fault(FaultCode::Cancelled),
        }
    }
}

impl From<ExportError> for Fault {
    fn from(error: ExportError) -> Self {
        error.fault()
    }
}

impl From<crate::progress::Unwanted> for ExportError {
    fn from(_: crate::progress::Unwanted) -> Self {
        Self::Unwanted
    }
}

/// Tells a stream that ends from one that breaks.
pub(super) fn of_stream(error: io::Error) -> ExportError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ExportError::CutOff,
        _ => ExportError::Stream(error),
    }
}
