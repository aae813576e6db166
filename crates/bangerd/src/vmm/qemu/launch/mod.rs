//! Starts one QEMU and waits until its guest runs, or leaves nothing behind.

mod sockets;
mod started;

use super::NO_ROOM;
use super::qmp::{Loading, Qmp, QmpError, RunState};
use super::{Qemu, args, survey};
use crate::vmm::process::{ExitReport, log_tail};
use crate::vmm::{Launched, Machine, ProcessIdentity, Saved, VmmError};
use crate::wait::{Every, Look, Until, WaitError, wait};
use sockets::Arrivals;
use started::Started;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io};
use tokio::sync::Mutex;

/// Between two looks at the control socket while none comes, and from its coming until it listens: QEMU has it
/// some 20 ms after its start.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Between two questions whether a saved state is loaded: it takes some 11 ms.
const LOAD_INTERVAL: Duration = Duration::from_millis(1);

/// What one look takes at most: a connection, the greeting, a command.
const EXCHANGES: u32 = 3;

/// How long a QEMU that has closed its control socket may take to be gone.
const GONE_LIMIT: Duration = Duration::from_secs(2);

/// See [`crate::vmm::Vmm::launch`].
pub(super) async fn launch(qemu: &Qemu, machine: &Machine) -> Result<Launched, VmmError> {
    let begun = Instant::now();
    survey::check(machine)?;
    clear_sockets(machine)?;
    let arguments = args::arguments(machine);
    let command = qemu.launcher.command(&qemu.program.path, &arguments);
    let arrivals = Arrivals::in_directory(&machine.paths.runtime);
    let started = Started::spawn(command, &machine.paths)?;
    let asking = Asking {
        qemu,
        begun,
        arrivals,
    };
    match until_running(&asking, machine, &started).await {
        Ok(launched) => {
            started.leave_running();
            Ok(launched)
        }
        Err(error) => {
            started.end().await;
            Err(error)
        }
    }
}

/// Removes the sockets of a process that ended without doing so, which QEMU cannot bind again.
/// Those of one that still answers are not touched.
fn clear_sockets(machine: &Machine) -> Result<(), VmmError> {
    let control = machine.paths.vmm_socket();
    if UnixStream::connect(&control).is_ok() {
        return Err(VmmError::RunsAlready { socket: control });
    }
    for socket in [control, machine.paths.agent_socket()] {
        match fs::remove_file(&socket) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                let doing = format!("remove the old socket {}", socket.display());
                return Err(VmmError::Process { doing, source });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Watches process and control socket at once.
async fn until_running(
    asking: &Asking<'_>,
    machine: &Machine,
    started: &Started,
) -> Result<Launched, VmmError> {
    let watching = |source| VmmError::Process {
        doing: format!("watch process {}", started.pid()),
        source,
    };
    let (vmm_up, guest_running) = tokio::select! {
        biased;
        report = ended(started, machine) => {
            let report = report.map_err(watching)?;
            return Err(VmmError::EndedEarly { report });
        }
        times = asking.answer(machine) => match times {
            // It closes its socket before it is gone; how it ended says why.
            Err(error) if error.is_of_a_closed_socket() => {
                let gone = tokio::time::timeout(GONE_LIMIT, ended(started, machine)).await;
                return Err(match gone {
                    Ok(report) => VmmError::EndedEarly { report: report.map_err(watching)? },
                    Err(_it_lives) => error,
                });
            }
            times => times?,
        },
    };
    Ok(Launched {
        // By now it has become QEMU, before it was the launcher.
        process: ProcessIdentity::of(started.pid()).map_err(watching)?,
        vmm_up,
        guest_running,
    })
}

async fn ended(started: &Started, machine: &Machine) -> io::Result<ExitReport> {
    Ok(ExitReport {
        status: started.ended().await?,
        log_tail: log_tail(&machine.paths.vmm_log())?,
    })
}

const fn failed(doing: &'static str, source: QmpError) -> VmmError {
    VmmError::Control { doing, source }
}

/// Asking one QEMU for as long as its launch may take.
struct Asking<'a> {
    qemu: &'a Qemu,
    begun: Instant,
    arrivals: Arrivals,
}

impl Asking<'_> {
    /// Asks until the guest runs: when its VMM was up, and when it ran.
    async fn answer(&self, machine: &Machine) -> Result<(Duration, Duration), VmmError> {
        let socket = machine.paths.vmm_socket();
        let qmp = self.until(POLL_INTERVAL, || self.connect(&socket)).await?;
        let vmm_up = self.begun.elapsed();
        let qmp = Mutex::new(qmp);
        if let Some(saved) = &machine.resume {
            load(self, &qmp, saved).await?;
        }
        let runs = || async {
            match qmp.lock().await.query_status().await {
                Ok(RunState::Running) => Look::There(Ok(())),
                // It ran, and waits for room: whoever meets the guest says so.
                Ok(RunState::Halted(word)) if word == NO_ROOM => Look::There(Ok(())),
                Ok(state) => Look::NotYet(format!("its state is {state:?}")),
                Err(error) => Look::There(Err(failed("ask for the guest's state", error))),
            }
        };
        self.until(POLL_INTERVAL, runs).await?;
        Ok((vmm_up, self.begun.elapsed()))
    }

    /// One look at the control socket; while that is not there, one more for each file that comes beside it.
    async fn connect(&self, socket: &Path) -> Look<Result<Qmp, VmmError>, String> {
        loop {
            return match Qmp::connect(socket, self.qemu.command_limit).await {
                Ok(qmp) => Look::There(Ok(qmp)),
                Err(QmpError::Connect { .. }) if self.arrivals.next(POLL_INTERVAL).await => {
                    continue;
                }
                Err(QmpError::Connect { .. }) => {
                    Look::NotYet("it has not opened its control socket".to_owned())
                }
                // It may be about to end; if so, how it ended says more.
                Err(error @ (QmpError::Closed | QmpError::Io(_))) => {
                    Look::NotYet(error.to_string())
                }
                Err(error) => Look::There(Err(failed("connect to its control socket", error))),
            };
        }
    }

    /// Asks until there is an answer, good or bad; what it lacks until then is told when it comes too late.
    async fn until<T, F>(&self, interval: Duration, look: impl FnMut() -> F) -> Result<T, VmmError>
    where
        F: Future<Output = Look<Result<T, VmmError>, String>>,
    {
        let every = Every {
            interval,
            limit: self.qemu.command_limit * EXCHANGES,
        };
        let limit = self.qemu.launch_limit;
        let until = Until::after(limit.saturating_sub(self.begun.elapsed()));
        let late = |last: String| VmmError::TimedOut { limit, last };
        match wait("starting the VMM", every, until, look).await {
            Ok(answer) => answer,
            Err(WaitError::TimedOut(over)) => Err(late(over.last.to_string())),
            Err(other) => Err(late(other.to_string())),
        }
    }
}

/// Loads the state of the devices and lets the guest go on; its memory is there already. A QEMU that cannot
/// load it says why in its log and ends, unless it is new enough to be asked.
async fn load(asking: &Asking<'_>, qmp: &Mutex<Qmp>, saved: &Saved) -> Result<(), VmmError> {
    let begun = qmp.lock().await.load_devices(&saved.devices).await;
    begun.map_err(|error| failed("load a guest's state", error))?;
    let loaded = || async {
        match qmp.lock().await.loaded().await {
            Ok(Loading::Done) => Look::There(Ok(())),
            Ok(Loading::Failed(why)) => Look::There(Err(VmmError::NotLoaded { why })),
            Ok(Loading::Underway) => Look::NotYet("it loads what was saved".to_owned()),
            Err(error) => Look::There(Err(failed("ask for the state's loading", error))),
        }
    };
    asking.until(LOAD_INTERVAL, loaded).await?;
    let goes_on = qmp.lock().await.cont().await;
    goes_on.map_err(|error| failed("let the guest go on", error))
}

#[cfg(test)]
mod tests;
