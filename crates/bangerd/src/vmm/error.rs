//! Why a machine could not be started or driven.

use super::process::ExitReport;
use super::qemu::qmp::QmpError;
use banger_proto::fault::{Fault, FaultCode, chain};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// Why a machine could not be started or driven.
#[derive(Debug, thiserror::Error)]
pub enum VmmError {
    /// The program is nowhere, or not where it was said to be.
    #[error("no qemu-system-x86_64 found {place}")]
    ProgramMissing {
        /// Where it was looked for: `in PATH`, `at /opt/qemu`.
        place: String,
    },
    /// The program does not say a version that can be read.
    #[error("{} does not say its version: {said}", program.display())]
    ProgramStrange {
        /// The program.
        program: PathBuf,
        /// What it said or why it said nothing.
        said: String,
    },
    /// The program is older than the options that are given to it.
    #[error("{} is version {found}, at least {floor} is needed", program.display())]
    ProgramOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        found: String,
        /// The least version.
        floor: String,
    },
    /// A socket's path is longer than the kernel takes.
    #[error("the socket path {} has more than {longest} bytes", path.display())]
    SocketPath {
        /// The path.
        path: PathBuf,
        /// The most bytes that fit.
        longest: usize,
    },
    /// A file that the machine is made of cannot be used.
    #[error("cannot use the {what} {}: {why}", path.display())]
    File {
        /// `kernel`, `initramfs`, `image disk`…
        what: String,
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Two disks have one role.
    #[error("the machine has two disks with the serial {serial}")]
    DoubleRole {
        /// The serial of the role.
        serial: &'static str,
    },
    /// Somebody answers where this machine's VMM is to answer.
    #[error("a vmm answers on {} already", socket.display())]
    RunsAlready {
        /// The control socket.
        socket: PathBuf,
    },
    /// The process could not be started or watched.
    #[error("cannot {doing}")]
    Process {
        /// What was being done.
        doing: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The VMM ended before its guest ran.
    #[error("qemu {report}")]
    EndedEarly {
        /// How, and the end of its log.
        report: ExitReport,
    },
    /// The VMM did not answer in time.
    #[error("qemu did not run its guest within {} s: {last}", limit.as_secs_f32())]
    TimedOut {
        /// The limit.
        limit: Duration,
        /// The last thing seen.
        last: String,
    },
    /// What was saved of a guest cannot be loaded.
    #[error("qemu cannot load the saved guest: {why}")]
    NotLoaded {
        /// What QEMU said.
        why: String,
    },
    /// This QEMU cannot save guests.
    #[error("qemu {found} cannot save a guest, at least {floor} can")]
    CannotSave {
        /// Its version.
        found: String,
        /// The least version.
        floor: String,
    },
    /// The memory of a guest cannot be read or written to a file.
    #[error("cannot save the guest's memory")]
    Memory {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The control socket failed.
    #[error("cannot {doing} over qemu's control socket")]
    Control {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        #[source]
        source: QmpError,
    },
}

/// Which package has the program, for the five package managers that `xtask setup` knows.
const PACKAGES: &str = "install it: `apt install qemu-system-x86`, `dnf install qemu-system-x86-core`, \
`pacman -S qemu-system-x86`, `zypper install qemu-x86` or `apk add qemu-system-x86_64`";

impl VmmError {
    /// Whether the control socket was closed, or broke.
    pub(super) const fn is_of_a_closed_socket(&self) -> bool {
        matches!(
            self,
            Self::Control {
                source: QmpError::Closed | QmpError::Io(_),
                ..
            }
        )
    }

    /// The error as it goes to the owner, with a remedy where one is known.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let fault = Fault::new(self.code(), chain(self));
        match self.remedy() {
            Some(remedy) => fault.with_remedy(remedy),
            None => fault,
        }
    }

    fn code(&self) -> FaultCode {
        match self {
            Self::ProgramMissing { .. } | Self::ProgramStrange { .. } | Self::ProgramOld { .. } => {
                FaultCode::Unavailable
            }
            Self::SocketPath { .. } | Self::CannotSave { .. } => FaultCode::Unavailable,
            Self::Memory { source } => match source.kind() {
                ErrorKind::PermissionDenied | ErrorKind::StorageFull => FaultCode::Unavailable,
                _ => FaultCode::Failed,
            },
            Self::EndedEarly { report } => {
                cause(&report.log_tail).map_or(FaultCode::Failed, |c| c.0)
            }
            Self::RunsAlready { .. } => FaultCode::Conflict,
            Self::TimedOut { .. } => FaultCode::TimedOut,
            Self::Control {
                source: QmpError::TimedOut { .. },
                ..
            } => FaultCode::TimedOut,
            Self::File { .. }
            | Self::DoubleRole { .. }
            | Self::Process { .. }
            | Self::NotLoaded { .. }
            | Self::Control { .. } => FaultCode::Failed,
        }
    }

    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::ProgramMissing { .. } => Some(PACKAGES),
            Self::ProgramOld { .. } => Some("install a newer qemu, or name one in BANGER_QEMU"),
            Self::ProgramStrange { .. } => Some("name another qemu-system-x86_64 in BANGER_QEMU"),
            Self::SocketPath { .. } => Some("choose a shorter runtime directory (XDG_RUNTIME_DIR)"),
            Self::EndedEarly { report } => cause(&report.log_tail).map(|cause| cause.1),
            Self::CannotSave { .. } => Some("install a newer qemu, or name one in BANGER_QEMU"),
            // proc(5), `/proc/pid/mem`, and the kernel's documentation of Yama.
            Self::Memory { source } if source.kind() == ErrorKind::PermissionDenied => Some(
                "let programs of one user look into each other: `sysctl kernel.yama.ptrace_scope=1`, or 0",
            ),
            _ => None,
        }
    }
}

/// What QEMU says when the host is at fault, with the kind of fault and what helps. Only the words
/// of its log tell these apart: its exit status is always 1.
fn cause(log: &str) -> Option<(FaultCode, &'static str)> {
    const CAUSES: [(&str, FaultCode, &str); 7] = [
        (
            "Failed to get \"write\" lock",
            FaultCode::Conflict,
            "another machine uses this disk: stop it first",
        ),
        (
            "Failed to get shared \"write\" lock",
            FaultCode::Conflict,
            "another program writes to this disk: stop it first",
        ),
        (
            "Could not access KVM kernel module",
            FaultCode::Unavailable,
            "set `accelerator = \"tcg\"`, or add yourself to the group kvm",
        ),
        (
            "failed to initialize kvm",
            FaultCode::Unavailable,
            "set `accelerator = \"tcg\"`, or add yourself to the group kvm",
        ),
        (
            "Cannot allocate memory",
            FaultCode::Unavailable,
            "give the machine less memory, or stop another one",
        ),
        (
            "-sandbox support is not enabled",
            FaultCode::Unavailable,
            "this qemu cannot confine itself: name one built with seccomp in BANGER_QEMU",
        ),
        (
            "is not compiled into this",
            FaultCode::Unavailable,
            "this qemu was built without a part that is needed: name another one in BANGER_QEMU",
        ),
    ];
    CAUSES
        .into_iter()
        .find(|(words, _, _)| log.to_lowercase().contains(&words.to_lowercase()))
        .map(|(_, code, remedy)| (code, remedy))
}

impl From<VmmError> for Fault {
    fn from(error: VmmError) -> Self {
        error.fault()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmm::process::Ended;

    fn ended(log: &str) -> Fault {
        let report = ExitReport {
            status: Some(Ended::Exited(1)),
            log_tail: log.to_owned(),
        };
        VmmError::EndedEarly { report }.fault()
    }

    #[test]
    fn a_missing_program_names_the_package_of_each_distribution() {
        let place = "in PATH".to_owned();
        let fault = VmmError::ProgramMissing { place }.fault();
        assert_eq!(fault.code, FaultCode::Unavailable);
        assert_eq!(fault.message, "no qemu-system-x86_64 found in PATH");
        let remedy = fault.remedy.expect("a remedy");
        for manager in ["apt", "dnf", "pacman", "zypper", "apk"] {
            assert!(remedy.contains(manager), "{manager}");
        }
    }

    #[test]
    fn a_disk_in_use_is_a_conflict_and_says_so() {
        let fault = ended("warning\nqemu: Failed to get \"write\" lock");
        assert_eq!(fault.code, FaultCode::Conflict);
        assert_eq!(
            fault.message,
            "qemu exited with status 1: qemu: Failed to get \"write\" lock"
        );
        assert!(fault.remedy.is_some());
    }

    #[test]
    fn an_unknown_ending_is_a_failure_without_a_remedy() {
        let fault = ended("qemu: -device nonsense: no");
        assert_eq!((fault.code, fault.remedy), (FaultCode::Failed, None));
    }
}
