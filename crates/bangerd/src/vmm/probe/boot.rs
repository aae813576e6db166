//! The guest that is booted to find out, from its directories to their removal.

use super::Prober;
use super::decision::Outcome;
use crate::layout::{Layout, SandboxPaths};
use crate::vmm::machine::{Accelerator, Machine, Network};
use crate::vmm::{ProcessIdentity, VmmError};
use banger_model::SandboxId;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// One boot. It has no disk and no network.
pub(super) struct Boot {
    prober: Prober,
    machine: Machine,
}

/// Enough for a kernel and the agent's initramfs.
const MEMORY_MIB: u64 = 256;

/// What the process is, for [`sweep`]; in the guest's state directory.
const PROCESS_FILE: &str = "process.json";

/// How the name of the guest's state directory begins.
const PREFIX: &str = "probe-";

#[derive(Serialize, Deserialize)]
struct Recorded {
    pid: u32,
    start_time: u64,
    executable: PathBuf,
    boot_id: String,
}

/// The state directory of a probe's guest, by the short form of its id.
#[must_use]
pub fn state_of(layout: &Layout, short: &str) -> PathBuf {
    layout.staging().join(format!("{PREFIX}{short}"))
}

impl Boot {
    pub(super) fn new(prober: Prober, id: SandboxId, kernel: &Path, initramfs: &Path) -> Self {
        let state = state_of(&prober.layout, &id.short());
        let runtime = prober.layout.sandbox_runtime(id);
        let machine = Machine {
            id,
            vcpu: one(),
            memory: memory(),
            kernel: kernel.to_owned(),
            initramfs: initramfs.to_owned(),
            disks: Vec::new(),
            network: Network::None,
            accelerator: Accelerator::Kvm,
            paths: SandboxPaths { state, runtime },
            durable: false,
            generation_id: false,
            resume: None,
        };
        Self { prober, machine }
    }

    /// Boots, watches, and removes everything again.
    pub(super) async fn run(self) -> Result<Outcome, VmmError> {
        let paths = &self.machine.paths;
        let outcome = match make(paths) {
            Ok(()) => self.boot().await,
            Err(source) => Err(VmmError::Process {
                doing: format!("make a directory in {}", paths.state.display()),
                source,
            }),
        };
        remove(paths);
        outcome
    }

    async fn boot(&self) -> Result<Outcome, VmmError> {
        let begun = Instant::now();
        let launched = match self.prober.vmm.launch(&self.machine).await {
            Ok(launched) => launched,
            Err(VmmError::EndedEarly { report }) => return Ok(Outcome::of_ending(&report)),
            Err(error @ VmmError::TimedOut { .. }) => {
                return Ok(Outcome::Failed(error.to_string()));
            }
            Err(error) => return Err(error),
        };
        let process = launched.process;
        record(&self.machine.paths, &process);
        let outcome = self.watch(&process, begun).await;
        self.end(&process).await?;
        Ok(outcome)
    }

    async fn watch(&self, process: &ProcessIdentity, begun: Instant) -> Outcome {
        let (prober, paths) = (&self.prober, &self.machine.paths);
        let socket = paths.agent_socket();
        tokio::select! {
            biased;
            answer = prober.agent.answers(&socket) => match answer {
                Ok(()) => Outcome::Answered(begun.elapsed()),
                // It breaks off when the VMM ends, which says more, if that is so.
                Err(why) => self.why_it_ended(process).await.unwrap_or(Outcome::Failed(why)),
            },
            report = prober.vmm.exited(process, paths) => match report {
                Ok(report) => Outcome::of_ending(&report),
                Err(error) => Outcome::Failed(error.to_string()),
            },
            () = tokio::time::sleep(prober.limit.saturating_sub(begun.elapsed())) => {
                Outcome::Silent(prober.limit)
            }
        }
    }

    async fn why_it_ended(&self, process: &ProcessIdentity) -> Option<Outcome> {
        const MOMENT: Duration = Duration::from_millis(100);
        let exited = self.prober.vmm.exited(process, &self.machine.paths);
        let report = tokio::time::timeout(MOMENT, exited).await.ok()?.ok()?;
        Some(Outcome::of_ending(&report))
    }

    async fn end(&self, process: &ProcessIdentity) -> Result<(), VmmError> {
        let killed = process.kill(Signal::KILL);
        killed.map_err(|source| VmmError::Process {
            doing: format!("end process {}", process.pid),
            source,
        })?;
        self.prober.vmm.exited(process, &self.machine.paths).await?;
        Ok(())
    }
}

/// Ends guests that a daemon was booting when it was killed, and removes what they left. To be
/// called once at start, before anything else looks into the staging directory.
///
/// # Errors
/// When the staging directory cannot be read or a process not be ended.
pub fn sweep(layout: &Layout) -> io::Result<()> {
    let listed = match fs::read_dir(layout.staging()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed?,
    };
    for entry in listed {
        let entry = entry?;
        let name = entry.file_name();
        let Some(short) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        if let Some(process) = recorded(&entry.path()) {
            process.kill(Signal::KILL)?;
        }
        remove_tree(&layout.sandbox_runtimes().join(short));
        remove_tree(&entry.path());
    }
    Ok(())
}

/// Best effort: without it only a crash of the daemon within the next seconds leaves a guest.
fn record(paths: &SandboxPaths, process: &ProcessIdentity) {
    let recorded = Recorded {
        pid: process.pid,
        start_time: process.start_time,
        executable: process.executable.clone(),
        boot_id: process.boot_id.clone(),
    };
    let written = serde_json::to_vec(&recorded)
        .map_err(io::Error::from)
        .and_then(|text| fs::write(paths.state.join(PROCESS_FILE), text));
    if let Err(error) = written {
        tracing::warn!(pid = process.pid, %error, "the probe's process is not recorded");
    }
}

fn recorded(state: &Path) -> Option<ProcessIdentity> {
    let text = fs::read(state.join(PROCESS_FILE)).ok()?;
    let recorded: Recorded = serde_json::from_slice(&text).ok()?;
    Some(ProcessIdentity {
        pid: recorded.pid,
        start_time: recorded.start_time,
        executable: recorded.executable,
        boot_id: recorded.boot_id,
    })
}

fn make(paths: &SandboxPaths) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(&paths.state)?;
    builder.create(&paths.runtime)
}

fn remove(paths: &SandboxPaths) {
    remove_tree(&paths.state);
    remove_tree(&paths.runtime);
}

fn remove_tree(path: &Path) {
    #[expect(
        clippy::disallowed_methods,
        reason = "directories that a boot made for itself, named from its own id"
    )]
    let removed = fs::remove_dir_all(path);
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove what a probe left");
        }
        _ => {}
    }
}

#[expect(
    clippy::expect_used,
    reason = "constants in range; each boot in the tests makes them"
)]
fn one() -> banger_model::VcpuCount {
    1.try_into().expect("in range")
}

#[expect(
    clippy::expect_used,
    reason = "constants in range; each boot in the tests makes them"
)]
fn memory() -> banger_model::MemorySize {
    MEMORY_MIB.try_into().expect("in range")
}
