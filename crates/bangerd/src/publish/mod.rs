//! Published ports: sockets of the host whose connections are carried on to a guest's ports, over the
//! link to its agent. No network of the guest is needed for it.
//!
//! ```text
//!   Endpoints ◀── Listeners ──▶ keeper ─────▶ carrier (a process) ◀── sockets ── client
//!   over all      of a sandbox    │ starts, finds, asks   ▲
//!                                 └─▶ join ── a door each ┘
//!                                       └── stream of the link ──▶ agent ── socket ──▶ server
//! ```
//!
//! The sockets are bound here before the VMM is started, and handed to the [`carrier`], which has them and
//! their connections for as long as the guest runs, whatever becomes of the daemon. While it is suspended they are
//! the daemon's again, which wakes it ([`asleep`]). What a guest can make
//! daemon and carrier keep is bounded: the credit for each connection, and how many there may be.

mod asleep;
mod bind;
pub(crate) mod carrier;
mod door;
mod endpoints;
pub(crate) mod holder;
mod join;
mod keeper;
mod listeners;
mod serving;
mod slots;

pub use endpoints::Endpoints;
pub use listeners::{Listeners, PortState};

use crate::guest::Link;
use crate::vmm::ProcessIdentity;
use banger_model::SandboxName;
use banger_proto::fault::Fault;
use futures_util::future::BoxFuture;
use std::path::PathBuf;
use std::sync::Arc;

/// Gives the link to a guest as soon as there is one; `None` when the guest does not run.
pub type LinkSource = Arc<dyn Fn() -> BoxFuture<'static, Option<Arc<Link>>> + Send + Sync>;
/// Gives a sandbox's name, and its VMM while it is recorded as running.
pub type VmmSource = Arc<dyn Fn() -> (SandboxName, Option<ProcessIdentity>) + Send + Sync>;

/// Has a guest that is suspended go on; returns when it can be talked to, at once if it can be already.
pub type Wake = Arc<dyn Fn() -> BoxFuture<'static, Result<(), Fault>> + Send + Sync>;

/// A guest whose ports are published.
#[derive(Clone)]
pub struct Target {
    /// The way into it.
    pub link: LinkSource,
    /// What it is.
    pub known: VmmSource,
    /// For when it is suspended.
    pub wake: Wake,
    /// Where its carrier is found.
    pub socket: PathBuf,
}

impl Target {
    fn name(&self) -> SandboxName {
        (self.known)().0
    }

    /// While the guest runs: none while it starts or ends.
    fn vmm(&self) -> Option<ProcessIdentity> {
        (self.known)().1
    }
}
