//! Starts one QEMU and waits until its guest runs, or leaves nothing behind.

mod started;

use super::NO_ROOM;
use super::qmp::{Loading, Qmp, QmpError, RunState};
use super::{Qemu, args, survey};
use crate::vmm::process::{ExitReport, log_tail};
use crate::vmm::{Launched, Machine, ProcessIdentity, Saved, VmmError};
use started::Started;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use std::{fs, io};

/// Between two looks at the control socket: it is there some 20 ms after the start.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Between two questions whether a saved state is loaded: it takes some 11 ms.
const LOAD_INTERVAL: Duration = Duration::from_millis(1);

/// See [`crate::vmm::Vmm::launch`].
pub(super) async fn launch(qemu: &Qemu, machine: &Machine) -> Result<Launched, VmmError> {
    let begun = Instant::now();
    survey::check(machine)?;
    clear_sockets(machine)?;
    let arguments = args::arguments(machine);
    let command = qemu.launcher.command(&qemu.program.path, &arguments);
    let started = Started::spawn(command, &machine.paths)?;
    match until_running(qemu, machine, &started, begun).await {
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

enum Seen {
    Ended(io::Result<ExitReport>),
    Running(Result<(Duration, Duration), VmmError>),
    Late,
}

/// Watches process, control socket and clock at once.
async fn until_running(
    qemu: &Qemu,
    machine: &Machine,
    started: &Started,
    begun: Instant,
) -> Result<Launched, VmmError> {
    let mut last = "it has not opened its control socket".to_owned();
    let seen = tokio::select! {
        biased;
        report = ended(started, machine) => Seen::Ended(report),
        times = answer(qemu, machine, begun, &mut last) => Seen::Running(times),
        () = tokio::time::sleep(qemu.launch_limit.saturating_sub(begun.elapsed())) => Seen::Late,
    };
    let watching = |source| VmmError::Process {
        doing: format!("watch process {}", started.pid()),
        source,
    };
    match seen {
        Seen::Ended(report) => Err(VmmError::EndedEarly {
            report: report.map_err(watching)?,
        }),
        Seen::Late => Err(VmmError::TimedOut {
            limit: qemu.launch_limit,
            last,
        }),
        Seen::Running(times) => {
            let (vmm_up, guest_running) = times?;
            Ok(Launched {
                // By now it has become QEMU, before it was the launcher.
                process: ProcessIdentity::of(started.pid()).map_err(watching)?,
                vmm_up,
                guest_running,
            })
        }
    }
}

async fn ended(started: &Started, machine: &Machine) -> io::Result<ExitReport> {
    Ok(ExitReport {
        status: started.ended().await?,
        log_tail: log_tail(&machine.paths.vmm_log())?,
    })
}

/// Asks until the guest runs; `last` is what was seen last. Never ends if it never does.
async fn answer(
    qemu: &Qemu,
    machine: &Machine,
    begun: Instant,
    last: &mut String,
) -> Result<(Duration, Duration), VmmError> {
    let doing = "ask for the guest's state";
    let failed = |source| VmmError::Control { doing, source };
    let socket = machine.paths.vmm_socket();
    loop {
        match Qmp::connect(&socket, qemu.command_limit).await {
            Ok(mut qmp) => {
                let vmm_up = begun.elapsed();
                if let Some(saved) = &machine.resume {
                    "it loads what was saved".clone_into(last);
                    load(&mut qmp, saved).await?;
                }
                loop {
                    match qmp.query_status().await.map_err(failed)? {
                        RunState::Running => return Ok((vmm_up, begun.elapsed())),
                        // It ran, and waits for room: whoever meets the guest says so.
                        RunState::Halted(word) if word == NO_ROOM => {
                            return Ok((vmm_up, begun.elapsed()));
                        }
                        state => *last = format!("its state is {state:?}"),
                    }
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
            }
            Err(QmpError::Connect { .. }) => {}
            // It may be about to end; if so, how it ended says more.
            Err(error @ (QmpError::Closed | QmpError::Io(_))) => *last = error.to_string(),
            Err(error) => return Err(failed(error)),
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Loads the state of the devices and lets the guest go on; its memory is there already. A QEMU that cannot
/// load it says why in its log and ends, unless it is new enough to be asked.
async fn load(qmp: &mut Qmp, saved: &Saved) -> Result<(), VmmError> {
    let failed = |doing| move |source| VmmError::Control { doing, source };
    let begun = qmp.load_devices(&saved.devices).await;
    begun.map_err(failed("load a guest's state"))?;
    loop {
        match qmp
            .loaded()
            .await
            .map_err(failed("ask for the state's loading"))?
        {
            Loading::Done => break,
            Loading::Failed(why) => return Err(VmmError::NotLoaded { why }),
            Loading::Underway => tokio::time::sleep(LOAD_INTERVAL).await,
        }
    }
    qmp.cont().await.map_err(failed("let the guest go on"))
}

#[cfg(test)]
mod tests;
