//! A process of the host that outlives the daemon: recognised, signalled and waited for without
//! ever mistaking another process for it.
//!
//! A pid alone names nothing for long. An identity adds what no later process shares: the time of
//! its start in clock ticks, the program it runs, and the boot of the host in which it ran. What is
//! done to a process goes through a pidfd that is opened *before* the identity is compared, so that
//! between the two nothing can take its place.

mod ended;
mod stat;
mod usage;

pub(in crate::vmm) use ended::START_MARK;
pub use ended::{Ended, ExitReport, log_tail};
pub use usage::{Usage, since_boot};

use crate::wait::watch_readable;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What tells one process from every other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProcessIdentity {
    /// Its pid, in the daemon's pid namespace.
    pub pid: u32,
    /// Clock ticks from the host's boot to its start (field 22 of proc_pid_stat(5)).
    pub start_time: u64,
    /// The program it runs, as the kernel names it.
    pub executable: PathBuf,
    /// The boot in which it runs (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
}

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signalled {
    /// It was sent to this very process.
    Sent,
    /// The process had ended before; nothing was sent to anybody.
    GoneAlready,
}

impl ProcessIdentity {
    /// The identity of a process that runs now.
    ///
    /// # Errors
    /// `NotFound` when there is no such process or it has ended; whatever reading `/proc` gives.
    pub fn of(pid: u32) -> io::Result<Self> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, format!("no process {pid}"));
        match Self::survey(pid)? {
            Some((stat, executable)) => Ok(Self {
                pid,
                start_time: stat.start_time,
                executable,
                boot_id: boot_id()?,
            }),
            None => Err(gone()),
        }
    }

    /// Whether this very process still runs; one that ended and waits for its parent does not.
    ///
    /// # Errors
    /// When `/proc` cannot be read: then nothing is known, which is not the same as "no".
    pub fn is_alive(&self) -> io::Result<bool> {
        if boot_id()? != self.boot_id {
            return Ok(false);
        }
        Ok(Self::survey(self.pid)?.is_some_and(|(stat, executable)| {
            stat.start_time == self.start_time && executable == self.executable
        }))
    }

    /// Sends a signal to this very process, or to none.
    ///
    /// # Errors
    /// When it may not be signalled, or `/proc` cannot be read.
    pub fn kill(&self, signal: Signal) -> io::Result<Signalled> {
        let Some(pidfd) = self.open()? else {
            return Ok(Signalled::GoneAlready);
        };
        match rustix::process::pidfd_send_signal(&pidfd, signal) {
            Ok(()) => Ok(Signalled::Sent),
            Err(rustix::io::Errno::SRCH) => Ok(Signalled::GoneAlready),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the process has ended, without a limit on time. A child of the daemon's is
    /// reaped thereby, and how it ended is known to the first who waits; of a process that the
    /// daemon adopted after a restart only its parent learns that: `None`.
    ///
    /// May be cancelled and called again. Every launched process needs one who waits for it, or it
    /// stays as a zombie until the daemon ends.
    ///
    /// # Errors
    /// When `/proc` cannot be read or the wait cannot be set up.
    pub async fn exited(&self) -> io::Result<Option<Ended>> {
        match open_pidfd(self.pid)? {
            Some(pidfd) if self.still_has_its_pid()? => wait(pidfd).await,
            _ => Ok(None),
        }
    }

    /// Whether the pid is still this process's, alive, dying or a zombie. From the moment it begins
    /// to die it has no program any more, some time before it is a zombie; its start time stays.
    fn still_has_its_pid(&self) -> io::Result<bool> {
        if boot_id()? != self.boot_id {
            return Ok(false);
        }
        let started_then =
            read_stat(self.pid)?.is_some_and(|stat| stat.start_time == self.start_time);
        let program = read_executable(self.pid)?;
        Ok(started_then && program.is_none_or(|path| path == self.executable))
    }

    fn open(&self) -> io::Result<Option<OwnedFd>> {
        let pidfd = open_pidfd(self.pid)?;
        Ok(if self.is_alive()? { pidfd } else { None })
    }

    fn survey(pid: u32) -> io::Result<Option<(stat::Stat, PathBuf)>> {
        let Some(stat) = read_stat(pid)?.filter(|stat| !stat.has_ended()) else {
            return Ok(None);
        };
        Ok(read_executable(pid)?.map(|path| (stat, path)))
    }
}

/// Waits on a pidfd until its process has ended; see [`ProcessIdentity::exited`].
///
/// # Errors
/// When the runtime cannot watch the descriptor.
pub(super) async fn wait(pidfd: OwnedFd) -> io::Result<Option<Ended>> {
    reap(&readable(pidfd).await?)
}

/// A pidfd becomes readable once, when its process ends (pidfd_open(2)).
async fn readable(pidfd: OwnedFd) -> io::Result<OwnedFd> {
    // Already gone wins over timed out, however little time there was.
    if is_readable(&pidfd)? {
        return Ok(pidfd);
    }
    let watched = watch_readable(pidfd)?;
    watched.readable().await?.retain_ready();
    Ok(watched.into_inner())
}

fn is_readable(pidfd: &OwnedFd) -> io::Result<bool> {
    let mut looked = [PollFd::new(pidfd, PollFlags::IN)];
    let count = rustix::io::retry_on_intr(|| poll(&mut looked, Some(&Timespec::default())))?;
    Ok(count == 1)
}

/// A descriptor for whatever process has the pid now.
pub(super) fn open_pidfd(pid: u32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Some(pidfd)),
        Err(rustix::io::Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn reap(pidfd: &OwnedFd) -> io::Result<Option<Ended>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    match rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options) {
        Ok(status) => Ok(status.as_ref().and_then(Ended::of)),
        // Not our child, or reaped by another who waited.
        Err(rustix::io::Errno::CHILD) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn read_stat(pid: u32) -> io::Result<Option<stat::Stat>> {
    let path = format!("/proc/{pid}/stat");
    let Some(file) = none_if_gone(fs::read(&path))? else {
        return Ok(None);
    };
    match stat::parse(&file).filter(|stat| stat.pid == pid) {
        Some(stat) => Ok(Some(stat)),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{path} has not the form that proc_pid_stat(5) gives"),
        )),
    }
}

fn read_executable(pid: u32) -> io::Result<Option<PathBuf>> {
    let path = none_if_gone(fs::read_link(format!("/proc/{pid}/exe")))?;
    Ok(path.map(without_deleted_mark))
}

/// A process may end between two looks at it: its files are then missing or answer ESRCH.
fn none_if_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The kernel adds ` (deleted)` once the file is replaced, as an upgrade of QEMU does under a
/// running guest; the process is the same one.
fn without_deleted_mark(path: PathBuf) -> PathBuf {
    match path.as_os_str().as_bytes().strip_suffix(b" (deleted)") {
        Some(bytes) => PathBuf::from(OsString::from_vec(bytes.to_vec())),
        None => path,
    }
}

/// The host's present boot.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn boot_id() -> io::Result<String> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    Ok(fs::read_to_string(path)?.trim_end().to_owned())
}

#[cfg(test)]
mod tests;
