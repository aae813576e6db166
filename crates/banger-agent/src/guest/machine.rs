//! The guest behind [`Machine`].

use super::boot_id::BootId;
use super::network::Card;
use super::place::Placer;
use super::program::{Background, Turn};
use super::resume::{Rest, Unsettled};
use super::supervisor::{self, Request};
use super::{console, grow, identity, init, keys, mounts, moved, power};
use crate::fault::{failed_io, fault, io_reason, reason};
use crate::root::Root;
use crate::world::Machine;
use banger_proto::fault::FaultCode;
use banger_proto::guest::hello::{HostHello, UnixTime};
use banger_proto::guest::message::{
    Configure, Configured, GrowDisk, GuestFault, InitChoice, InitState, Resumed,
};
use rustix::fs::{AtFlags, FileType, statat};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most of an image's `/etc/hosts` that is kept.
const HOSTS_LIMIT: u64 = 1024 * 1024;

/// The same id where dbus looked for it before there was the other (dbus-uuidgen(1)); mostly a link.
const DBUS_MACHINE_ID: &str = "/var/lib/dbus/machine-id";

/// What is process 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Started {
    Nothing,
    Supervisor,
    Init,
}

#[derive(Debug)]
pub(super) struct State {
    started: Started,
    /// Who it is, once it was told.
    pub(super) machine_id: Option<[u8; 16]>,
    pub(super) card: Card,
    placer: Placer,
    pub(super) boot_id: BootId,
    /// What could not be done at boot.
    boot_warnings: Vec<String>,
    /// What could not be done behind the answer to a resume.
    late_warnings: Vec<String>,
    /// The rest of a resume, until somebody does it.
    pub(super) rest: Option<Rest>,
    /// The last resume, until its rest is done.
    pub(super) unsettled: Option<Unsettled>,
}

/// A guest that is this machine.
#[derive(Debug)]
pub(super) struct Guest {
    state: Mutex<State>,
    background: Background,
}

impl Guest {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                started: Started::Nothing,
                machine_id: None,
                card: Card::default(),
                placer: Placer::new("/run/banger/over".into()),
                boot_id: BootId::new("/run/banger/over/boot-id".into()),
                boot_warnings: Vec::new(),
                late_warnings: Vec::new(),
                rest: None,
                unsettled: None,
            }),
            background: Background::default(),
        }
    }

    /// Remembers what could not be done at boot, for whoever configures.
    pub(super) fn warn(&self, warning: String) {
        self.state().boot_warnings.push(warning);
    }

    /// Of a boot, before anything of the image runs: nothing is interrupted.
    fn have_keys_made(
        &self,
        state: &mut State,
        root: &Root,
        starts_init: bool,
        warnings: &mut Vec<String>,
    ) {
        if starts_init {
            warnings.extend(moved::have_systemd_make_keys(root).err());
        } else {
            state.lack_keys(self.background.interrupt());
        }
    }

    /// The rest of a resume is done, unless there was another one.
    fn settled(&self, turn: Turn, warnings: Vec<String>) {
        warnings.iter().for_each(console::error);
        let mut state = self.state();
        if state.unsettled.is_some_and(|last| last.turn == turn) {
            state.unsettled = None;
            state.late_warnings = warnings;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic ends the agent; there is no half-done state to fear.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut warnings = state.earlier_warnings();
        warnings.extend(refresh(wanted.time, &wanted.entropy));
        let boots = state.started == Started::Nothing;
        let lacks_keys = boots && moved::forget_another(root, wanted.machine_id, &mut warnings);
        state.identify(root, wanted, &mut warnings);
        if lacks_keys {
            self.have_keys_made(&mut state, root, starts_init, &mut warnings);
        }
        warnings.extend(state.card.apply(wanted.network.as_ref()).err());
        state.start(root, starts_init, &mut warnings)?;
        Ok(state.configured(warnings))
    }

    fn resume(&self, root: &Root, wanted: &Resumed) -> Result<Configured, GuestFault> {
        // Without the state: what is interrupted may wait for it.
        let turn = self.background.interrupt();
        let mut state = self.state();
        let configure = &wanted.configure;
        // What runs is there; looking for it would cost an emulated guest 10 ms.
        let runs = state.has_init() && configure.init != InitChoice::None;
        let starts_init = runs || init::choose(root, configure.init)?;
        let mut warnings = refresh(configure.time, &configure.entropy);
        state.renew(root, turn, wanted, &mut warnings);
        state.start(root, starts_init, &mut warnings)?;
        Ok(state.configured(warnings))
    }

    fn settle(&self, root: &Root) {
        let rest = self.state().rest.take();
        let Some(rest) = rest else {
            return;
        };
        let turn = rest.turn;
        let Some(work) = self.background.work(turn) else {
            return;
        };
        if let Some(warnings) = rest.finish(root, &work) {
            drop(work);
            self.settled(turn, warnings);
        }
    }

    fn leave_network(&self) -> Result<(), GuestFault> {
        let left = self.state().card.leave();
        left.map_err(|why| fault(FaultCode::Guest, why))
    }

    fn init_state(&self, root: &Root) -> InitState {
        let state = self.state();
        if state.unsettled.is_some() {
            return InitState::Starting;
        }
        match state.started {
            Started::Init if init::is_settled(root) => InitState::Settled,
            Started::Init => InitState::Starting,
            Started::Nothing | Started::Supervisor => InitState::None,
        }
    }

    fn grow(&self, root: &Root, disk: GrowDisk) -> Result<u64, GuestFault> {
        grow::grow(root, disk)
    }

    fn prepare_to_resume(&self, root: &Root) {
        // What fails here is tried again, and told, by the resume.
        if let Err(why) = self.state().boot_id.prepare(root) {
            console::error(&why);
        }
        // Read from the disk here, not by each guest that goes on from here.
        keys::rehearse(root);
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
    /// What earlier could not be done: whoever asks now may not have heard of it.
    fn earlier_warnings(&self) -> Vec<String> {
        [self.boot_warnings.as_slice(), &self.late_warnings].concat()
    }

    fn configured(&self, warnings: Vec<String>) -> Configured {
        Configured {
            init_started: self.has_init(),
            kernel_release: mounts::release(),
            warnings,
        }
    }

    /// Whether the image's init is process 1.
    pub(super) fn has_init(&self) -> bool {
        self.started == Started::Init
    }

    /// Makes the guest the sandbox that it shall be, but for its network.
    pub(super) fn identify(&mut self, root: &Root, wanted: &Configure, warnings: &mut Vec<String>) {
        self.machine_id = Some(wanted.machine_id);
        let name = &wanted.hostname;
        if let Err(errno) = rustix::system::sethostname(name.as_bytes()) {
            warnings.push(format!("cannot set the host name: {}", reason(errno)));
        }
        let hosts = root.read(b"/etc/hosts", HOSTS_LIMIT).unwrap_or_default();
        let machine_id = identity::machine_id(wanted.machine_id);
        let mut files = vec![
            ("/etc/hostname", format!("{name}\n").into_bytes(), 0o644),
            ("/etc/hosts", identity::hosts(&hosts, name), 0o644),
            ("/etc/machine-id", machine_id.clone().into_bytes(), 0o444),
        ];
        if is_file(root, DBUS_MACHINE_ID) {
            files.push((DBUS_MACHINE_ID, machine_id.into_bytes(), 0o644));
        }
        // A guest that had a network and has none any more has no name servers.
        let none = self.card.config().map(|_| Vec::new());
        let network = wanted.network.as_ref();
        let resolvers = network.map(|network| network.resolvers.clone());
        if let Some(resolvers) = resolvers.or(none) {
            let text = identity::resolv_conf(&resolvers);
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

/// Whether a path itself is a file, not a link to one.
fn is_file(root: &Root, path: &str) -> bool {
    let found = root
        .open_parent(path.as_bytes())
        .and_then(|(parent, name)| statat(parent, name, AtFlags::SYMLINK_NOFOLLOW));
    found.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file())
}

/// The socket to process 1 is the agent's standard input.
fn socket() -> std::io::Result<UnixStream> {
    std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(UnixStream::from)
}
