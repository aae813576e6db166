//! A process that was started and is not yet let go: if this value is dropped, it is killed.

use crate::layout::SandboxPaths;
use crate::vmm::VmmError;
use crate::vmm::console::trim;
use crate::vmm::process::{Ended, START_MARK, open_pidfd, wait};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a process prints over many starts is kept up to this many bytes.
const VMM_LOG_LIMIT: u64 = 256 * 1024;

/// See the module.
pub(super) struct Started {
    pid: u32,
    /// None once the process is let go.
    pidfd: Option<OwnedFd>,
    sockets: [PathBuf; 2],
}

impl Started {
    /// Starts the command, its output going to the end of the VMM's log.
    pub(super) fn spawn(mut command: Command, paths: &SandboxPaths) -> Result<Self, VmmError> {
        let failed = |doing: String| move |source| VmmError::Process { doing, source };
        let log = paths.vmm_log();
        let (output, errors) =
            open_log(paths).map_err(failed(format!("open the log {}", log.display())))?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let program = command.get_program().to_owned();
        let doing = format!("start {}", program.display());
        let mut child = command.spawn().map_err(failed(doing))?;
        let pid = child.id();
        // The child is not reaped by anybody else, so the pid is its own until we do that.
        match open_pidfd(pid).and_then(|pidfd| pidfd.ok_or_else(|| io::Error::other("it is gone")))
        {
            Ok(pidfd) => Ok(Self {
                pid,
                pidfd: Some(pidfd),
                sockets: [paths.vmm_socket(), paths.agent_socket()],
            }),
            Err(source) => {
                let _ = child.kill();
                let _ = child.wait();
                let doing = format!("watch process {pid}");
                Err(VmmError::Process { doing, source })
            }
        }
    }

    pub(super) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until the process has ended, and reaps it.
    pub(super) async fn ended(&self) -> io::Result<Option<Ended>> {
        match &self.pidfd {
            Some(pidfd) => wait(pidfd.try_clone()?).await,
            None => Ok(None),
        }
    }

    /// The guest runs: from now on nobody here ends it.
    pub(super) fn leave_running(mut self) {
        self.pidfd = None;
    }

    /// Kills the process, waits until it is gone, and removes what it made. If this is dropped
    /// midway, dropping the value does the same.
    pub(super) async fn end(mut self) {
        if let Some(pidfd) = &self.pidfd {
            // Fails only if the process has ended, which is what is wanted.
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
        }
        if self.ended().await.is_ok() {
            remove(&self.sockets);
            self.pidfd = None;
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let Some(pidfd) = self.pidfd.take() else {
            return;
        };
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        let sockets = std::mem::take(&mut self.sockets);
        // Giving back a guest's memory can take a while: not on a thread of the runtime.
        let reap = move || {
            let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
            remove(&sockets);
        };
        let named = std::thread::Builder::new().name("vmm-reaper".into());
        if let Err(error) = named.spawn(reap) {
            tracing::warn!(pid = self.pid, %error, "the process was killed but is not reaped");
        }
    }
}

/// QEMU does so itself when it ends in good order.
fn remove(sockets: &[PathBuf]) {
    for socket in sockets {
        let _ = std::fs::remove_file(socket);
    }
}

fn open_log(paths: &SandboxPaths) -> io::Result<(File, File)> {
    let path = paths.vmm_log();
    trim(&path, VMM_LOG_LIMIT)?;
    let mut options = OpenOptions::new();
    let mut log = options.create(true).append(true).mode(0o600).open(path)?;
    writeln!(log, "{START_MARK}")?;
    Ok((log.try_clone()?, log))
}
