//! The fixed list of programs that a privileged process runs, and how it runs them.
//!
//! They are found in four directories and nowhere else, whatever `PATH` says, and checked once, at
//! start: root's, and nobody else's to write. They get an empty environment, `/` as their directory,
//! no descriptor but the three standard ones, a limit of time and of output, and are killed when they
//! reach it.

mod run;
mod verify;

use std::path::PathBuf;

pub use run::{Call, Cancel, Limits, Output, RunError};
pub(crate) use run::{command, finish, kill};

/// A program that may be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Program {
    /// nft(8): loads and lists rules.
    Nft,
    /// resolvectl(1): tells systemd-resolved which link answers for which names.
    Resolvectl,
}

impl Program {
    /// The name of its file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::Resolvectl => "resolvectl",
        }
    }
}

/// Why a program is not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// It is not installed.
    #[error("{name} is in none of {}; install it", DIRECTORIES.join(", "))]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A file of its name is not one that a privileged process may run.
    #[error("{path} is not run as root: {reason}", path = path.display())]
    Unsafe {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Where programs are looked for, in this order.
pub const DIRECTORIES: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The programs of this host, found and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    nft: PathBuf,
    resolvectl: Option<PathBuf>,
}

impl Programs {
    /// Finds and checks them. Without nft there is no host network; without resolvectl, names are
    /// not pushed to the host's resolver.
    ///
    /// # Errors
    /// nft is not there, or one of them is not safe to run.
    pub fn find() -> Result<Self, ProgramError> {
        let find = |program: Program| verify::find(&DIRECTORIES, program.name());
        let nft = find(Program::Nft)?.ok_or(ProgramError::Missing {
            name: Program::Nft.name(),
        })?;
        Ok(Self {
            nft,
            resolvectl: find(Program::Resolvectl)?,
        })
    }

    /// Whether a program is there.
    pub const fn has(&self, program: Program) -> bool {
        match program {
            Program::Nft => true,
            Program::Resolvectl => self.resolvectl.is_some(),
        }
    }

    /// Its absolute path.
    ///
    /// # Errors
    /// It is not installed.
    pub(crate) fn path(&self, program: Program) -> Result<&PathBuf, ProgramError> {
        let found = match program {
            Program::Nft => Some(&self.nft),
            Program::Resolvectl => self.resolvectl.as_ref(),
        };
        found.ok_or(ProgramError::Missing {
            name: program.name(),
        })
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// It could not be started, took too long, printed too much, or the caller gave up: then it was
    /// killed. Its own failure is not an error here but [`Output::status`].
    pub fn run(&self, call: &Call<'_>) -> Result<Output, RunError> {
        run::run(self.path(call.program)?, call)
    }

    /// The same with a file of a test's own in nft's place.
    #[cfg(test)]
    pub(crate) fn with_nft(nft: PathBuf) -> Self {
        Self {
            nft,
            resolvectl: None,
        }
    }
}
