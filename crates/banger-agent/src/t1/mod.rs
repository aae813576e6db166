//! The agent behind a socket, as a host meets it: real commands, files and sockets of the machine
//! that runs the tests, no privileges.

mod dial;
mod dial_sessions;
mod exec;
mod host;
mod link;
mod resume;
mod sessions;
mod transfer;

use crate::{Machine, Root, World, serve_on};
use banger_proto::fault::FaultCode;
use banger_proto::guest::hello::HostHello;
use banger_proto::guest::message::{
    Configure, Configured, GrowDisk, GuestFault, InitState, Resumed,
};
pub(crate) use host::eventually;
use host::{Host, Talk};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A machine that only remembers what was asked of it.
#[derive(Default)]
pub(crate) struct Recorder {
    greeted: AtomicUsize,
    configured: Mutex<Vec<Configure>>,
    resumed: Mutex<Vec<Resumed>>,
    settled: AtomicUsize,
    left_network: AtomicUsize,
    prepared: AtomicUsize,
    synced: AtomicUsize,
    powered_off: AtomicUsize,
}

impl Machine for Recorder {
    fn greet(&self, _: &HostHello) {
        self.greeted.fetch_add(1, Ordering::SeqCst);
    }

    fn configure(&self, _: &Root, wanted: &Configure) -> Result<Configured, GuestFault> {
        self.configured.lock().expect("whole").push(wanted.clone());
        Ok(Configured {
            init_started: false,
            kernel_release: "6.1".to_owned(),
            warnings: vec!["a warning".to_owned()],
        })
    }

    fn resume(&self, _: &Root, wanted: &Resumed) -> Result<Configured, GuestFault> {
        if wanted.configure.hostname.is_empty() {
            return Err(crate::fault::fault(FaultCode::BadRequest, "no name"));
        }
        self.resumed.lock().expect("whole").push(wanted.clone());
        Ok(Configured {
            init_started: false,
            kernel_release: "6.1".to_owned(),
            warnings: vec![],
        })
    }

    fn settle(&self, _: &Root) {
        self.settled.fetch_add(1, Ordering::SeqCst);
    }

    fn leave_network(&self) -> Result<(), GuestFault> {
        match self.left_network.fetch_add(1, Ordering::SeqCst) {
            0 => Ok(()),
            _ => Err(crate::fault::fault(FaultCode::Guest, "it has none")),
        }
    }

    fn init_state(&self, _: &Root) -> InitState {
        InitState::None
    }

    fn grow(&self, _: &Root, disk: GrowDisk) -> Result<u64, GuestFault> {
        match disk {
            GrowDisk::Work => Ok(7 << 30),
            GrowDisk::System => Err(crate::fault::fault(FaultCode::Guest, "it is no ext4")),
        }
    }

    fn prepare_to_resume(&self, _: &Root) {
        assert_eq!(
            self.synced.load(Ordering::SeqCst),
            0,
            "it writes files, too"
        );
        self.prepared.fetch_add(1, Ordering::SeqCst);
    }

    fn sync(&self) {
        self.synced.fetch_add(1, Ordering::SeqCst);
    }

    fn power_off(&self) {
        self.powered_off.fetch_add(1, Ordering::SeqCst);
    }
}

/// An agent that serves a temporary directory on a socket in it.
pub(crate) struct Guest {
    pub(crate) root: tempfile::TempDir,
    socket: PathBuf,
    pub(crate) machine: Arc<Recorder>,
}

impl Guest {
    pub(crate) fn start() -> Self {
        Self::serving(|root, machine| World::new(Root::host(root).expect("opened"), machine))
    }

    /// A guest whose disks could not be mounted.
    pub(crate) fn broken(fault: GuestFault) -> Self {
        Self::serving(|_, machine| {
            let (world, mounting) = World::mounting(machine);
            mounting.finish(Err(fault));
            world
        })
    }

    fn serving(world: impl FnOnce(&Path, Arc<Recorder>) -> World) -> Self {
        let root = tempfile::tempdir().expect("temp");
        let socket = root.path().join("agent.sock");
        let listener = UnixListener::bind(&socket).expect("bound");
        let machine = Arc::new(Recorder::default());
        let world = world(root.path(), machine.clone());
        // Ends with the test's process.
        std::thread::spawn(move || serve_on(listener, world));
        Self {
            root,
            socket,
            machine,
        }
    }

    pub(crate) fn connect(&self) -> Host {
        self.connect_as(0x1234_5678_9abc_def0, &[])
    }

    pub(crate) fn connect_as(&self, nonce: u64, garbage: &[u8]) -> Host {
        Host::connect(&self.socket, nonce, garbage)
    }
}
