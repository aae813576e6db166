//! The daemon's side of the network with a root helper of its own, in a network namespace of its own.

use super::super::error::Error;
use super::kernel;
use banger_linux::namespaces;
use banger_model::policy::membership::Membership;
use banger_model::subnet::HostPart;
use banger_model::{SandboxId, host_names::BridgeName};
use bangerd::config::BridgeConfig;
use bangerd::host_network::{Attachment, Dependencies, Helper, HostNetwork, Wish};
use bangerd::layout::Layout;
use bangerd::operation::new_id;
use bangerd::store::Store;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket, sockopt};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::PathBuf;
use tokio::runtime::{Builder, Runtime};

/// How many TAPs wait ready: what the daemon has without configuration.
pub(super) const POOL: usize = 4;

/// Whether there can be one.
pub(super) fn is_possible() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs something in a fresh network namespace: its threads, their children and what they make.
pub(super) fn alone<T: Send>(work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    let ran = namespaces::in_fresh(|| {
        kernel::ip("link set lo up")?;
        work()
    });
    ran.map_err(wrong)?
}

fn wrong(why: impl Display) -> Error {
    Error::wrong(why.to_string())
}

/// See the module. Dropped, its helper ends; its kernel objects end with the namespace.
#[derive(Debug)]
pub(super) struct Ground {
    network: HostNetwork,
    layout: Layout,
    runtime: Runtime,
    /// Dropped last.
    _directory: tempfile::TempDir,
}

impl Ground {
    /// One with a bridge and so many TAPs ready. To be made in [`alone`].
    pub(super) fn new(pool: usize) -> Result<Self, Error> {
        let directory = tempfile::Builder::new().prefix("bg").tempdir();
        let directory = directory.map_err(Error::io("make a directory"))?;
        let own = || directory.path().to_owned();
        let layout = Layout {
            config: own(),
            state: own(),
            cache: own(),
            runtime: own(),
        };
        // Its threads are of the namespace in which they are started.
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = runtime.map_err(Error::io("start a runtime"))?;
        let network = HostNetwork::new(Dependencies {
            config: BridgeConfig {
                name: BridgeName::default(),
                subnet: None,
                tap_pool_size: pool,
                default_dns: Some(Vec::new()),
                root_helper: None,
                dns_address: ([127, 0, 0, 1], 0).into(),
            },
            store: Store::open(&layout.database()).map_err(wrong)?,
            helper: Helper::standalone(&layout, None, &daemon()?),
        });
        let ground = Self {
            network,
            layout,
            runtime,
            _directory: directory,
        };
        ground
            .runtime
            .block_on(ground.network.subnet(new_id()))
            .map_err(wrong)?;
        Ok(ground)
    }

    /// Gives a sandbox its place; the rules are on their way.
    pub(super) fn attach(&self, sandbox: &Sandbox) -> Result<Attachment, Error> {
        let wish = sandbox.wish.clone();
        let attached = self.network.attach(sandbox.id, wish, new_id());
        self.runtime.block_on(attached).map_err(wrong)
    }

    /// Waits until the newest rules hold.
    pub(super) fn settle(&self, sandbox: &Sandbox) -> Result<(), Error> {
        let settled = self.network.settled(sandbox.id);
        self.runtime.block_on(settled).map_err(wrong)
    }

    /// Takes a sandbox's place away.
    pub(super) fn detach(&self, sandbox: &Sandbox) {
        self.network.detach(sandbox.id, new_id());
    }

    /// Removes everything, and looks whether it is.
    pub(super) fn leave(self) -> Result<(), Error> {
        self.runtime.block_on(self.network.leave());
        kernel::demand_nothing()
    }

    /// Resident memory of the helper in MiB.
    pub(super) fn helper_resident(&self) -> Result<f64, Error> {
        super::super::daemon::resident_of(self.helper()?)
    }

    /// The helper's process: whoever listens at its socket (unix(7), `SO_PEERCRED`).
    fn helper(&self) -> Result<u32, Error> {
        let peer = || {
            let asking = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None)?;
            connect(&asking, &SocketAddrUnix::new(self.layout.root_socket())?)?;
            sockopt::socket_peercred(&asking)
        };
        let peer = peer().map_err(|errno| Error::io("reach the root helper")(errno.into()))?;
        u32::try_from(peer.pid.as_raw_nonzero().get()).map_err(wrong)
    }
}

/// The daemon's program, beside which the helper is: it is measured as it is released.
fn daemon() -> Result<PathBuf, Error> {
    let binaries = std::env::var_os("BANGER_TEST_BIN").map(PathBuf::from);
    binaries
        .map(|directory| directory.join("bangerd"))
        .ok_or_else(|| Error::wrong("BANGER_TEST_BIN is not set: run `cargo xtask bench`"))
}

/// A sandbox as the network sees it.
#[derive(Debug)]
pub(super) struct Sandbox {
    id: SandboxId,
    wish: Wish,
}

impl Sandbox {
    /// The sandbox of this number, 0 to 250.
    pub(super) fn new(number: u16) -> Result<Self, Error> {
        let mut random = [0; 16];
        random[..2].copy_from_slice(&number.to_be_bytes());
        let id = SandboxId::from_random(random);
        let wish = Wish {
            name: format!("machine-{number}").parse().map_err(wrong)?,
            host_part: HostPart::try_from(number + 2).map_err(wrong)?,
            nat: false,
            membership: Membership {
                id,
                networks: BTreeSet::new(),
                links: BTreeSet::new(),
            },
        };
        Ok(Self { id, wish })
    }

    /// Those from `first` on.
    pub(super) fn some(first: u16, count: u16) -> Result<Vec<Self>, Error> {
        (first..first + count).map(Self::new).collect()
    }
}
