//! The guest behind [`Machine`].

use super::place::Placer;
use super::supervisor::{self, Request};
use super::{console, identity, init, mounts, network, power};
use crate::fault::{failed_io, fault, io_reason, reason};
use crate::root::Root;
use crate::world::Machine;
use banger_proto::fault::FaultCode;
use banger_proto::guest::hello::{HostHello, UnixTime};
use banger_proto::guest::message::{Configure, Configured, GuestFault, InitState, NetworkConfig};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most of an image's `/etc/hosts` that is kept.
const HOSTS_LIMIT: u64 = 1024 * 1024;

/// What is process 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Started {
    Nothing,
    Supervisor,
    Init,
}

#[derive(Debug)]
struct State {
    started: Started,
    network: Option<NetworkConfig>,
    placer: Placer,
    /// What could not be done at boot.
    boot_warnings: Vec<String>,
}

/// A guest that is this machine.
#[derive(Debug)]
pub(super) struct Guest(Mutex<State>);

impl Guest {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            started: Started::Nothing,
            network: None,
            placer: Placer::new("/run/banger/over".into()),
            boot_warnings: Vec::new(),
        }))
    }

    /// Remembers what could not be done at boot, for whoever configures.
    pub(super) fn warn(&self, warning: String) {
        self.state().boot_warnings.push(warning);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic ends the agent; there is no half-done state to fear.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refresh(time: UnixTime, entropy: &[u8]) -> Vec<String> {
    let clock = identity::set_clock(time)
        .map_err(|errno| format!("cannot set the clock: {}", reason(errno)));
    let random = identity::add_entropy(entropy)
        .map_err(|error| format!("cannot add to the kernel's entropy: {}", io_reason(&error)));
    clock.err().into_iter().chain(random.err()).collect()
}

impl Machine for Guest {
    fn greet(&self, hello: &HostHello) {
        refresh(hello.time, &hello.entropy)
            .iter()
            .for_each(console::error);
    }

    fn configure(&self, root: &Root, wanted: &Configure) -> Result<Configured, GuestFault> {
        let mut state = self.state();
        // Refused before anything is changed.
        let starts_init = init::choose(root, wanted.init)?;
        let mut warnings = state.boot_warnings.clone();
        warnings.extend(refresh(wanted.time, &wanted.entropy));
        state.identify(root, wanted, &mut warnings);
        let applied = network::apply(state.network.as_ref(), wanted.network.as_ref());
        match applied {
            Ok(()) => state.network.clone_from(&wanted.network),
            Err(warning) => warnings.push(warning),
        }
        state.start(root, starts_init, &mut warnings)?;
        Ok(Configured {
            init_started: state.started == Started::Init,
            kernel_release: mounts::release(),
            warnings,
        })
    }

    fn init_state(&self, root: &Root) -> InitState {
        match self.state().started {
            Started::Init if init::is_settled(root) => InitState::Settled,
            Started::Init => InitState::Starting,
            Started::Nothing | Started::Supervisor => InitState::None,
        }
    }

    fn sync(&self) {
        rustix::fs::sync();
    }

    fn power_off(&self) {
        let started = self.state().started;
        match started {
            Started::Init => power::ask_init(),
            Started::Nothing | Started::Supervisor => power::end_all(),
        }
    }
}

impl State {
    fn identify(&mut self, root: &Root, wanted: &Configure, warnings: &mut Vec<String>) {
        let name = &wanted.hostname;
        if let Err(errno) = rustix::system::sethostname(name.as_bytes()) {
            warnings.push(format!("cannot set the host name: {}", reason(errno)));
        }
        let hosts = root.read(b"/etc/hosts", HOSTS_LIMIT).unwrap_or_default();
        let machine_id = identity::machine_id(wanted.machine_id);
        let mut files = vec![
            ("/etc/hostname", format!("{name}\n").into_bytes(), 0o644),
            ("/etc/hosts", identity::hosts(&hosts, name), 0o644),
            ("/etc/machine-id", machine_id.into_bytes(), 0o444),
        ];
        if let Some(network) = &wanted.network {
            let text = identity::resolv_conf(&network.resolvers);
            files.push(("/etc/resolv.conf", text.into_bytes(), 0o644));
        }
        for (path, bytes, mode) in files {
            warnings.extend(self.placer.put(root, path, &bytes, mode).err());
        }
    }

    /// Settles what is process 1, once per boot.
    fn start(
        &mut self,
        root: &Root,
        starts_init: bool,
        warnings: &mut Vec<String>,
    ) -> Result<(), GuestFault> {
        let wanted = if starts_init {
            Started::Init
        } else {
            Started::Supervisor
        };
        if self.started == wanted {
            return Ok(());
        }
        if self.started == Started::Init {
            warnings.push("the image's init runs and stays".to_owned());
            return Ok(());
        }
        let request = if starts_init {
            Request::Init
        } else {
            Request::Stay
        };
        if starts_init && let Err(errno) = init::watch(root) {
            let message = format!("cannot watch the image's init: {}", reason(errno));
            warnings.push(message);
        }
        let mut socket = socket().map_err(|error| failed_io("reach process 1", &error))?;
        let asked = supervisor::ask(&mut socket, request);
        asked.map_err(|why| {
            let what = if starts_init {
                "start the image's init"
            } else {
                "enter the new root"
            };
            fault(FaultCode::Guest, format_args!("cannot {what}: {why}"))
        })?;
        self.started = wanted;
        Ok(())
    }
}

/// The socket to process 1 is the agent's standard input.
fn socket() -> std::io::Result<UnixStream> {
    std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(UnixStream::from)
}
