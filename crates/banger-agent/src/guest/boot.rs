//! The agent's own start: the first file systems, modules and disks on a thread beside, the port
//! as soon as the kernel shows it, so that the first hello is answered as early as can be.

use super::machine::Guest;
use super::{console, disks, grow, modules, mounts};
use crate::agent::{Agent, AtEnd, block_on};
use crate::fault::fault;
use crate::world::{Mounting, World};
use banger_proto::fault::FaultCode;
use banger_proto::guest::PORT_NAME;
use rustix::fs::{Mode, OFlags};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How often is looked for the port; it comes up while modules load.
const LOOK: Duration = Duration::from_millis(1);
/// How long is waited before a port that failed is opened again.
const AGAIN: Duration = Duration::from_secs(1);
/// Open files of the agent, and most of its children (systemd's default).
const FILES: u64 = 524_288;

/// Runs the agent; comes back only on an error.
pub(super) fn run() -> ExitCode {
    let first = mounts::first();
    crate::session::raise_file_limit(FILES);
    if let Err(error) = first {
        console::error(error);
    }
    let guest = Arc::new(Guest::new());
    let machine: Arc<dyn crate::Machine> = guest.clone();
    let (world, mounting) = World::mounting(machine);
    thread::spawn(move || mount(&guest, mounting));
    // Without it, bulk is slower and nothing else.
    let _ = crate::sys::never_preempt();
    if let Err(error) = block_on(serve(world)) {
        console::error(format_args!("cannot serve: {error}"));
    }
    ExitCode::FAILURE
}

/// Loads modules, mounts disks and grows what is in them; what fails is said by whoever needs the root.
fn mount(guest: &Guest, mounting: Mounting) {
    for warning in modules::load(Path::new("/modules")) {
        console::error(&warning);
        guest.warn(warning);
    }
    let mounted = disks::survey(Path::new("/sys/block"), Path::new("/dev")).and_then(|disks| {
        let (root, mut warnings) = mounts::mount(&disks)?;
        warnings.extend(grow::grow_all(&root, &disks));
        warnings.into_iter().for_each(|warning| guest.warn(warning));
        Ok(root)
    });
    mounting.finish(mounted.map_err(|message| {
        console::error(&message);
        fault(FaultCode::Guest, message)
    }));
}

async fn serve(world: World) -> io::Result<()> {
    let agent = Agent::new(world);
    loop {
        let port = find_port().await;
        if let Err(error) = agent.serve(port, AtEnd::Wait).await {
            console::error(format_args!("the port failed: {error}"));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn find_port() -> OwnedFd {
    let mut last = None;
    loop {
        match open_port(Path::new("/sys/class/virtio-ports")) {
            Ok(Some(port)) => return port,
            Ok(None) => {}
            Err(errno) if last == Some(errno) => {}
            Err(errno) => {
                console::error(format_args!("cannot open the port {PORT_NAME}: {errno}"));
                last = Some(errno);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The port's number is the VMM's affair; its name is ours.
fn open_port(ports: &Path) -> rustix::io::Result<Option<OwnedFd>> {
    let Ok(entries) = fs::read_dir(ports) else {
        return Ok(None);
    };
    let is_ours = |entry: &fs::DirEntry| {
        let name = fs::read_to_string(entry.path().join("name"));
        name.is_ok_and(|name| name.trim_end() == PORT_NAME)
    };
    let Some(port) = entries.flatten().find(is_ours) else {
        return Ok(None);
    };
    let node = Path::new("/dev").join(port.file_name());
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(node, flags, Mode::empty()) {
        // The node comes a moment after the entry.
        Err(rustix::io::Errno::NOENT) => Ok(None),
        other => other.map(Some),
    }
}
