//! Names: the authoritative DNS server for the zone `vm.`.
//!
//! ```text
//! request (bytes ─▶ question) ─▶ answer (pure: question, zone, asker ─▶ bytes)
//!                              │ zone: an immutable snapshot of records and of who sees which
//! udp, tcp ─▶ authority ───────┘ authority: swaps snapshots, queries never wait for a change
//! server: the addresses that are served, on a thread of their own
//! waking: who asks for a machine that is suspended wakes it, and is answered then
//! names: the life cycle, and telling the host's resolver about it (routing)
//! ```
//!
//! The codec is hickory-proto's. Its server is not used: it makes a task and several boxed trait
//! objects of every query, and knows nothing of who asks; what is left of an authority in memory is
//! the few rules of [`answer`].
//!
//! `web.vm` has the addresses of machine `web`, and so has every name below it (`api.web.vm`). The
//! addresses of the guests' subnets have PTR records; everything else is refused: this server is
//! nobody's way to the rest of the DNS.

mod addresses;
pub mod answer;
mod authority;
mod connections;
mod names;
mod prefix;
mod request;
mod reverse;
mod routing;
mod server;
mod tcp;
mod thread;
mod udp;
mod visibility;
mod waking;
mod zone;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod t1;
#[cfg(test)]
mod t5;

pub use addresses::{Addresses, BadAddresses};
pub use authority::Authority;
pub use names::{NameService, record_name};
pub use prefix::{BadPrefix, Prefix};
pub use routing::{NoRouting, ResolverRouting};
pub use server::{BindError, CloseError, DnsServer};
pub use visibility::{Asker, Visibility};
pub use waking::Waker;
pub use zone::{Records, Sleeping, Zone};

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The zone's name: the only label of its apex.
pub const ZONE: &str = "vm";

/// Where names are served unless the configuration says otherwise: loopback, and a port that needs
/// no privilege.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 42069);
