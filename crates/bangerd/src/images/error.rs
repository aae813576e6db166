//! Why an image could not be made, found or removed.

use super::{archive_error::ArchiveError, tree::TreeError};
use crate::disks::{DiskError, ProgramError};
use crate::progress::Unwanted;
use banger_model::{ArtifactName, size::show_bytes};
use banger_proto::fault::{Fault, FaultCode, chain};
use std::path::PathBuf;

/// Why an image could not be made, found or removed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No image has this name.
    #[error("there is no image {name}")]
    NotFound {
        /// What was asked for.
        name: ArtifactName,
    },
    /// The name is taken.
    #[error("there is an image {name} already")]
    Exists {
        /// The name.
        name: ArtifactName,
    },
    /// The stream of entries cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// An entry has no place in a file system.
    #[error("entry {number} of the archive cannot be used: {why}")]
    Entry {
        /// Its number, from 1.
        number: u64,
        /// Why.
        #[source]
        why: Box<TreeError>,
    },
    /// More entries than an image may have.
    #[error("the archive has more than {most} entries")]
    TooManyEntries {
        /// The limit.
        most: u64,
    },
    /// More bytes than an image may have.
    #[error("the archive's files have more than {}", show_bytes(*.most))]
    TooLarge {
        /// The limit in bytes.
        most: u64,
    },
    /// Its programs are for another processor.
    #[error("the image is for {found}, and this host's guests are x86_64")]
    Architecture {
        /// The processor that its programs are for.
        found: String,
    },
    /// Something in the archive does not fit the file system.
    #[error("cannot lay out the image: {what}: {why}")]
    Build {
        /// The name that does not fit.
        what: String,
        /// Why.
        why: String,
    },
    /// The finished file system is not whole, or could not be checked.
    #[error("the finished image did not pass its check: {0}")]
    Check(#[source] ProgramError),
    /// The host refused a file operation, or has no room.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A program of the host could not do its part.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The bootstrap of a distribution failed.
    #[error("mmdebstrap failed ({status}); its last lines were: {}", words.lines().collect::<Vec<_>>().join(" | "))]
    Bootstrap {
        /// How it ended.
        status: String,
        /// The last lines that it wrote.
        words: String,
        /// What the user can do, if that is known.
        remedy: Option<&'static str>,
    },
    /// Nobody waits for it any more.
    #[error(transparent)]
    Unwanted(#[from] Unwanted),
    /// What an image says of itself cannot be understood.
    #[error("{} is damaged: {why}", .path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// An image that a newer banger made.
    #[error("{} has schema {schema}, and this banger knows schemas up to {known}", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        schema: u64,
        /// The newest known schema.
        known: u64,
    },
}

impl From<ImageError> for Fault {
    fn from(error: ImageError) -> Self {
        let fault = |code| Self::new(code, words(&error));
        match &error {
            ImageError::NotFound { .. } => fault(FaultCode::NotFound)
                .with_remedy("see which there are with `banger image list`"),
            ImageError::Exists { name } => fault(FaultCode::Conflict).with_remedy(format!(
                "choose another name, or remove it with `banger image delete {name}`"
            )),
            ImageError::Archive(_)
            | ImageError::Entry { .. }
            | ImageError::TooManyEntries { .. }
            | ImageError::TooLarge { .. }
            | ImageError::Build { .. } => fault(FaultCode::BadRequest),
            ImageError::Architecture { .. } => fault(FaultCode::BadRequest)
                .with_remedy("use the x86_64 (amd64) variant of the image"),
            ImageError::Check(ProgramError::Failed { .. }) => fault(FaultCode::Failed),
            ImageError::Program(program) | ImageError::Check(program) => program.fault(),
            ImageError::Disk(disk) => disk.fault(),
            ImageError::Unwanted(unwanted) => (*unwanted).into(),
            ImageError::Bootstrap { remedy, .. } => match remedy {
                Some(remedy) => fault(FaultCode::Failed).with_remedy(remedy),
                None => fault(FaultCode::Failed),
            },
            ImageError::Manifest { .. } => fault(FaultCode::Failed)
                .with_remedy("delete the image with `banger image delete` and make it again"),
            ImageError::Newer { .. } => {
                fault(FaultCode::Version).with_remedy("use the newer banger")
            }
        }
    }
}

/// The message with its causes, except where the message has its cause in it already.
fn words(error: &ImageError) -> String {
    match error {
        ImageError::Entry { .. } | ImageError::Check(_) => error.to_string(),
        other => chain(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_not_found_and_says_where_to_look() {
        let name = "debian".parse().expect("is a name");
        let fault = Fault::from(ImageError::NotFound { name });
        assert_eq!(fault.code, FaultCode::NotFound);
        assert!(fault.remedy.expect("has one").contains("banger image list"));
    }

    #[test]
    fn a_cause_is_told_once() {
        let why = Box::new(TreeError::Root);
        let fault = Fault::from(ImageError::Entry { number: 3, why });
        assert_eq!(
            fault.message.matches("root directory").count(),
            1,
            "{}",
            fault.message
        );
        assert_eq!(fault.code, FaultCode::BadRequest);
    }
}
