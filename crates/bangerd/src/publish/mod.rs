//! Published ports: sockets of the host whose connections are carried on to a guest's ports, over the
//! link to its agent. No network of the guest is needed for it.
//!
//! ```text
//!   client ── socket ──▶ tcp, udp ── stream of the link ──▶ agent ── socket ──▶ server
//!                           ▲  credit: each side takes what the next one takes
//!   Listeners ──────────────┘  what is open for one sandbox
//!       └── Endpoints          which sandbox has which address, over all
//! ```
//!
//! The sockets are bound before the VMM is started and closed when it has ended. What a guest can make
//! the daemon keep is bounded: the credit for each connection, and how many there may be.

mod bind;
mod carry;
mod endpoints;
pub(crate) mod holder;
mod listeners;
mod tcp;
mod udp;

pub use endpoints::Endpoints;
pub use listeners::{Listeners, PortState};

use crate::guest::Link;
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// Gives the link to a guest as soon as there is one; `None` when the guest does not run.
pub type LinkSource = Arc<dyn Fn() -> BoxFuture<'static, Option<Arc<Link>>> + Send + Sync>;
