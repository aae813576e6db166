//! Kernels: imported once from wherever they come, then used by every sandbox that names them.
//!
//! One directory per kernel: `vmlinux` (an ELF, what a VMM boots), `modules.ext4` (the module tree,
//! read-only), `boot-modules/NN-name.ko` (what a guest loads before it sees a disk, in that order)
//! and `manifest.json`. A directory is built aside and appears by one rename; it is never changed.
//!
//! All functions block: they belong on a thread for that. Nothing here boots anything.

mod boot_modules;
mod compression;
mod directory;
mod distribution;
pub(crate) mod elf;
mod error;
#[cfg(test)]
pub(crate) mod fixtures;
mod import;
mod lz4_legacy;
mod manifest;
mod module_info;
mod module_set;
mod module_tables;
mod modules_disk;
mod package;
mod source_files;
mod store;
mod table_index;
mod vmlinux;

pub use compression::UnpackError;
pub use elf::ElfError;
pub use error::KernelError;
pub use manifest::KernelManifest;
pub use store::KernelStore;
pub use vmlinux::VmlinuxError;

use std::{fmt, io, path::PathBuf};

/// Where a kernel is imported from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelSource {
    /// A Debian package file.
    Package(PathBuf),
    /// A directory with a `vmlinuz` or `vmlinux`, and perhaps modules: itself one of
    /// `/lib/modules`, or with `lib/modules/<version>` or `modules` in it.
    Directory(PathBuf),
    /// A bzImage or an ELF, without modules.
    File(PathBuf),
    /// A package of the host's package manager, or one that depends on a kernel's.
    DistributionPackage(String),
}

impl fmt::Display for KernelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(path) | Self::Directory(path) | Self::File(path) => {
                write!(f, "{}", path.display())
            }
            Self::DistributionPackage(name) => write!(f, "the package {name}"),
        }
    }
}

impl KernelSource {
    /// A path that leads nowhere is the asker's mistake, not the host's failure.
    fn check_there(&self) -> Result<(), KernelError> {
        let (Self::Package(path) | Self::Directory(path) | Self::File(path)) = self else {
            return Ok(());
        };
        match path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(KernelError::Source {
                path: path.clone(),
                problem: "it is not there".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// An imported kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// What is known of it.
    pub manifest: KernelManifest,
    /// The uncompressed kernel.
    pub vmlinux: PathBuf,
    /// The disk with its modules, if it has any.
    pub modules_disk: Option<PathBuf>,
    /// Modules that a guest loads first, uncompressed, in load order.
    pub boot_modules: Vec<PathBuf>,
}
