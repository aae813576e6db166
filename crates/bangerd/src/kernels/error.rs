//! Why a kernel could not be had.

use super::{compression::UnpackError, elf::ElfError, vmlinux::VmlinuxError};
use crate::disks::{DiskError, ProgramError};
use crate::progress::Unwanted;
use banger_model::ArtifactName;
use banger_proto::fault::{Fault, FaultCode, chain};
use std::path::PathBuf;

/// Why a kernel could not be listed, imported or deleted.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// No kernel has that name.
    #[error("there is no kernel {0}")]
    Unknown(ArtifactName),
    /// A kernel has that name already.
    #[error("there is a kernel {0} already")]
    Exists(ArtifactName),
    /// What is stored of a kernel cannot be used.
    #[error("the kernel in {} cannot be used: {problem}", .directory.display())]
    Stored {
        /// Its directory.
        directory: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The manifest was written by a newer version.
    #[error("the kernel in {} was stored by a newer banger (form {found}, {known} is known)", .directory.display())]
    Newer {
        /// Its directory.
        directory: PathBuf,
        /// The form that was found.
        found: u32,
        /// The newest form known here.
        known: u32,
    },
    /// The kernel image itself is of no use.
    #[error("{image} is not a kernel that can be booted: {source}")]
    Image {
        /// Where it was found.
        image: String,
        /// What is wrong with it.
        source: VmlinuxError,
    },
    /// A package or directory does not have what is needed, or too much.
    #[error("cannot take a kernel from {}: {problem}", .path.display())]
    Source {
        /// The package or directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A module is damaged.
    #[error("the module {path} is damaged: {problem}")]
    Module {
        /// Where it lies in the module tree.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The host's package manager does not know a kernel.
    #[error("the package lists of this host do not have {0}")]
    NotInLists(String),
    /// Not a name that a package can have.
    #[error("{0:?} is not the name of a package")]
    PackageName(String),
    /// There is no package manager that could give a kernel.
    #[error("a kernel cannot be fetched on this host: it has no apt-get")]
    NoPackageManager,
    /// Nobody waits for it any more.
    #[error(transparent)]
    Unwanted(#[from] Unwanted),
    /// The host refused a file operation, or has no room.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A program of the host could not do its part.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

impl KernelError {
    pub(super) fn unpacking(path: &str) -> impl FnOnce(UnpackError) -> Self {
        let path = path.to_owned();
        move |error| Self::Module {
            path,
            problem: error.to_string(),
        }
    }

    pub(super) fn parsing(path: &str) -> impl FnOnce(ElfError) -> Self {
        let path = path.to_owned();
        move |error| Self::Module {
            path,
            problem: error.to_string(),
        }
    }

    /// The same error as it crosses a socket.
    #[must_use]
    pub fn fault(&self) -> Fault {
        const BY_HAND: &str = "import one that is there: `banger kernel import NAME --directory /lib/modules/$(uname -r)`, \
or `--file` with an x86_64 bzImage or vmlinux";
        let fault = |code| Fault::new(code, chain(self));
        match self {
            Self::Unknown(_) => fault(FaultCode::NotFound).with_remedy(
                "`banger kernel list` shows those that there are, `banger kernel import` makes one",
            ),
            Self::Exists(name) => fault(FaultCode::Conflict).with_remedy(format!(
                "choose another name, or `banger kernel rm {name}` first"
            )),
            Self::Stored { .. } => fault(FaultCode::Failed)
                .with_remedy("remove it with `banger kernel rm`, and import it again"),
            Self::Newer { .. } => {
                fault(FaultCode::Version).with_remedy("use the banger that stored it, or one newer")
            }
            Self::Image { .. } | Self::Source { .. } | Self::Module { .. } => {
                fault(FaultCode::BadRequest)
            }
            Self::PackageName(_) => fault(FaultCode::BadRequest),
            Self::NotInLists(_) => fault(FaultCode::Unavailable)
                .with_remedy("update the lists as root with `apt-get update`, then try again"),
            Self::NoPackageManager => fault(FaultCode::Unavailable).with_remedy(BY_HAND),
            Self::Disk(error) => error.fault(),
            Self::Unwanted(unwanted) => (*unwanted).into(),
            Self::Program(error) => error.fault(),
        }
    }
}

impl From<KernelError> for Fault {
    fn from(error: KernelError) -> Self {
        error.fault()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_code_and_what_to_do() {
        let name: ArtifactName = "k".parse().expect("is a name");
        let cases = [
            (
                KernelError::Unknown(name.clone()),
                FaultCode::NotFound,
                "kernel list",
            ),
            (
                KernelError::Exists(name),
                FaultCode::Conflict,
                "kernel rm k",
            ),
            (
                KernelError::NotInLists("x".into()),
                FaultCode::Unavailable,
                "apt-get update",
            ),
            (
                KernelError::NoPackageManager,
                FaultCode::Unavailable,
                "--directory /lib/modules",
            ),
        ];
        for (error, code, remedy) in cases {
            let fault = Fault::from(error);
            assert_eq!(fault.code, code, "{fault}");
            assert!(fault.remedy.expect("has one").contains(remedy));
        }
    }

    #[test]
    fn a_bad_kernel_is_the_askers_fault() {
        let error = KernelError::Image {
            image: "/x".to_owned(),
            source: VmlinuxError::Protocol(0x0204),
        };
        let fault = error.fault();
        assert_eq!(fault.code, FaultCode::BadRequest);
        assert!(
            fault.message.contains("/x") && fault.message.contains("2.04"),
            "{fault}"
        );
    }
}
