//! What is there: the program and its version, and the files of a machine.

mod machine;

pub(super) use machine::check;

use crate::vmm::VmmError;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};
use std::{env, fmt, fs};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// The program's name in `PATH`.
const NAME: &str = "qemu-system-x86_64";

/// Names a program instead of the one in `PATH`.
pub const PROGRAM_VARIABLE: &str = "BANGER_QEMU";

/// The least version: 6.0 is the first with `hpet=` as an option of the machine. Tried are 7.2
/// (Debian 12) and 10.0.
pub const FLOOR: Version = Version(6, 0, 0);

/// A program does not need longer to say its version, even on a busy machine.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// A version as in `10.0.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A QEMU that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file, absolute.
    pub path: PathBuf,
    /// What it says it is; at least [`FLOOR`].
    pub version: Version,
    /// When the file was last changed: another build may have the same version.
    pub modified: SystemTime,
}

/// Where a program may be named, in the order in which the places are asked.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The owner's configuration.
    pub configured: Option<PathBuf>,
    /// The environment's [`PROGRAM_VARIABLE`]; empty counts as absent.
    pub named: Option<OsString>,
    /// `PATH`.
    pub search_path: Option<OsString>,
}

impl Places {
    /// The configuration's place and those of the present environment.
    #[must_use]
    pub fn present(configured: Option<PathBuf>) -> Self {
        Self {
            configured,
            named: env::var_os(PROGRAM_VARIABLE),
            search_path: env::var_os("PATH"),
        }
    }

    /// Finds the file. A place that names one decides: what it names is used or refused.
    fn find(&self) -> Result<PathBuf, VmmError> {
        let named = self.named.as_deref().filter(|name| !name.is_empty());
        if let Some(path) = named.map(Path::new).or(self.configured.as_deref()) {
            let place = format!("at {}", path.display());
            return found(path.to_owned()).ok_or(VmmError::ProgramMissing { place });
        }
        env::split_paths(self.search_path.as_deref().unwrap_or(OsStr::new("")))
            .find_map(|directory| found(directory.join(NAME)))
            .ok_or_else(|| VmmError::ProgramMissing {
                place: "in PATH".to_owned(),
            })
    }
}

/// A relative path is refused: it would mean another file in another directory.
fn found(path: PathBuf) -> Option<PathBuf> {
    let executable = rustix::fs::access(&path, rustix::fs::Access::EXEC_OK).is_ok();
    let is_file = fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
    (path.is_absolute() && is_file && executable).then_some(path)
}

impl Program {
    /// Finds the program and asks for its version.
    ///
    /// # Errors
    /// `ProgramMissing`, `ProgramStrange`, `ProgramOld`.
    pub async fn survey(places: &Places) -> Result<Self, VmmError> {
        let path = places.find()?;
        let strange = |said: String| VmmError::ProgramStrange {
            program: path.clone(),
            said,
        };
        let said = tokio::time::timeout(VERSION_LIMIT, say_version(&path)).await;
        let said = match said {
            Ok(said) => said.map_err(|error| strange(error.to_string()))?,
            Err(_) => return Err(strange("it does not end".to_owned())),
        };
        let version = parse_version(&said)
            .ok_or_else(|| strange(format!("{:?}", said.lines().next().unwrap_or_default())))?;
        let metadata = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let modified = metadata.map_err(|error| strange(error.to_string()))?;
        if version < FLOOR {
            return Err(VmmError::ProgramOld {
                program: path,
                found: version.to_string(),
                floor: FLOOR.to_string(),
            });
        }
        Ok(Self {
            path,
            version,
            modified,
        })
    }
}

/// The first KiB of what it prints.
async fn say_version(program: &Path) -> std::io::Result<String> {
    let mut child = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut said = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(1024).read_to_end(&mut said).await?;
    }
    child.wait().await?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Reads `QEMU emulator version 10.0.2 (Debian 1:10.0.2…)`; development builds have no third number.
fn parse_version(said: &str) -> Option<Version> {
    let (_, rest) = said.lines().next()?.split_once("QEMU emulator version ")?;
    let number = rest.split([' ', '(', '-']).next()?;
    let mut parts = number.split('.').map(|part| part.trim().parse().ok());
    let (major, minor) = (parts.next()??, parts.next()??);
    Some(Version(major, minor, parts.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests;
