//! The simulated machine: whether it runs, and what of its guest is saved and goes on.
//!
//! Each time that the guest is halted, and each time that it goes on, it writes where it is, a *moment*, into
//! its memory and to the beginning of its disks, which ext4 leaves to boot loaders. So it notices when it goes
//! on with memory, devices and disks of different moments, which a real guest would notice too late. It tells
//! by a line in the file `corrupted` beside the program, which no test may leave.

use super::devices::Saved;
use super::memory::Memory;
use super::moment;
use banger_agent::Beginning;
use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;

/// How long halting a guest may take.
const HALT_LIMIT: Duration = Duration::from_secs(5);

/// Whether the guest's processors run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    /// Not before the devices' state is loaded.
    Expecting,
    Paused,
    Running,
}

struct State {
    runs: Runs,
    /// The agent stands still.
    halted: bool,
    /// There is an agent that can stand still.
    serving: bool,
    /// What became of the loading.
    loaded: Option<Result<(), String>>,
    hostname: String,
    beginning: Beginning,
    memory: Memory,
}

/// See the module.
pub(crate) struct Simulated {
    state: Mutex<State>,
    changed: Condvar,
    asked: Notify,
    disks: Vec<PathBuf>,
    corrupted: PathBuf,
}

impl Simulated {
    /// One that boots, or one that expects the state of its devices.
    pub(super) fn new(
        memory: Memory,
        incoming: bool,
        disks: Vec<PathBuf>,
        corrupted: PathBuf,
    ) -> Self {
        let boot = u128::from(moment::another()) << 64 | u128::from(moment::another());
        let machine = Self {
            state: Mutex::new(State {
                runs: if incoming {
                    Runs::Expecting
                } else {
                    Runs::Running
                },
                halted: false,
                serving: false,
                loaded: None,
                hostname: String::new(),
                beginning: Beginning {
                    boot: boot.to_le_bytes(),
                    configured: false,
                },
                memory,
            }),
            changed: Condvar::new(),
            asked: Notify::new(),
            disks,
            corrupted,
        };
        // A guest that boots writes to its disks: what was saved of an earlier one fits them no more.
        if !incoming && machine.disks.iter().any(|disk| moment::of(disk).is_some()) {
            machine.stamp_all(moment::another());
        }
        machine
    }

    /// A machine of nothing but an agent.
    #[cfg(test)]
    pub(crate) fn without_anything() -> Self {
        Self::new(Memory::empty(0), false, Vec::new(), PathBuf::new())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread has panicked")
    }

    pub(super) fn runs(&self) -> Runs {
        self.state().runs
    }

    pub(super) fn set_hostname(&self, name: &str) {
        name.clone_into(&mut self.state().hostname);
        self.state().beginning.configured = true;
    }

    /// Waits until the guest runs for the first time; how its agent begins.
    pub(super) fn until_it_runs(&self) -> Beginning {
        let waited = self
            .changed
            .wait_while(self.state(), |state| state.runs != Runs::Running);
        let mut state = waited.expect("no thread has panicked");
        state.serving = true;
        state.beginning
    }

    /// Stands still, on the agent's only thread, whenever the machine is halted.
    pub(super) async fn stand_still_when_asked(&self) -> Infallible {
        loop {
            self.asked.notified().await;
            let mut state = self.state();
            while state.runs != Runs::Running {
                state.halted = true;
                self.changed.notify_all();
                state = self.changed.wait(state).expect("no thread has panicked");
            }
            state.halted = false;
        }
    }

    /// Halts the guest; it does nothing any more when this returns.
    pub(super) fn halt(&self) -> Result<(), String> {
        let mut state = self.state();
        if state.runs != Runs::Running {
            return Ok(());
        }
        state.runs = Runs::Paused;
        self.asked.notify_one();
        let working = |state: &mut State| state.serving && !state.halted;
        let waited = self
            .changed
            .wait_timeout_while(state, HALT_LIMIT, working)
            .expect("no thread has panicked");
        if waited.1.timed_out() {
            return Err("the simulated guest does not stand still".into());
        }
        drop(waited);
        self.arrive();
        Ok(())
    }

    /// Lets it go on.
    pub(super) fn go_on(&self) -> Result<(), String> {
        match self.runs() {
            Runs::Running => return Ok(()),
            Runs::Expecting => return Err("nothing is loaded yet".into()),
            Runs::Paused => {}
        }
        self.arrive();
        self.state().runs = Runs::Running;
        self.changed.notify_all();
        Ok(())
    }

    /// The guest is at another moment.
    fn arrive(&self) {
        let moment = moment::another();
        self.state().memory.mark(moment);
        self.stamp_all(moment);
    }

    fn stamp_all(&self, moment: u64) {
        for disk in &self.disks {
            if let Err(error) = moment::write(disk, moment) {
                eprintln!("simulated guest: cannot write {}: {error}", disk.display());
            }
        }
    }

    /// What a monitor prints of the memory.
    pub(super) fn ram_blocks(&self) -> String {
        let state = self.state();
        let (size, address) = (state.memory.size(), state.memory.address());
        format!(
            "              Block Name    PSize              Offset               Used              Total                HVA  RO\r\n\
             {:>24}    4 KiB  0x0000000000000000 {size:#018x} {size:#018x} {address:#018x}  rw\r\n",
            "ram"
        )
    }

    /// Writes what the guest is to a file.
    pub(super) fn save(&self, into: &Path) -> Result<(), String> {
        let state = self.state();
        if state.runs != Runs::Paused {
            return Err("the simulated guest is not paused".into());
        }
        let saved = Saved {
            hostname: state.hostname.clone(),
            beginning: state.beginning,
            moment: state.memory.marked().unwrap_or_default(),
        };
        saved.write(into)
    }

    /// Takes over what was saved.
    pub(super) fn load(&self, from: &Path) -> Result<(), String> {
        if self.runs() != Runs::Expecting {
            return Err("no state is expected".into());
        }
        let read = Saved::read(from);
        let mut state = self.state();
        state.loaded = Some(match read {
            Err(why) => Err(why),
            Ok(saved) => {
                self.compare(state.memory.marked(), saved.moment);
                state.hostname = saved.hostname;
                state.beginning = saved.beginning;
                state.runs = Runs::Paused;
                println!("simulated guest {} goes on", state.hostname);
                Ok(())
            }
        });
        Ok(())
    }

    /// What became of the loading; `None` before it.
    pub(super) fn loaded(&self) -> Option<Result<(), String>> {
        self.state().loaded.clone()
    }

    /// Ends if memory and disks are not of the moment of the devices.
    fn compare(&self, memory: Option<u64>, moment: u64) {
        let disks = self.disks.iter();
        let disks = disks.map(|disk| (disk.display().to_string(), moment::of(disk)));
        let mut all = disks.chain([("the memory".to_owned(), memory)]);
        let Some((which, _)) = all.find(|(_, of)| *of != Some(moment)) else {
            return;
        };
        let line = format!("{which} is of another moment than the devices");
        eprintln!("simulated guest: {line}");
        let mut options = File::options();
        let file = options.create(true).append(true).open(&self.corrupted);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{line}")) {
            eprintln!("cannot tell of it: {error}");
        }
        super::end();
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod t1;
