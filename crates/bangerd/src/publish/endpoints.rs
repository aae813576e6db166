//! Which sandbox has which address and port of the host, so that a second one can be told the first.

use super::bind::{self, Socket};
use banger_model::SandboxName;
use banger_model::publish::{Protocol, collide};
use rustix::io::Errno;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A socket's place among all.
type Place = (Protocol, SocketAddr, SandboxName);

/// All that are bound, of all sandboxes of this daemon. The lock is held over a `bind`, which does not
/// wait: so nobody sees a port that is taken and has no name yet.
#[derive(Debug, Default)]
pub struct Endpoints(Mutex<Vec<Place>>);

/// A place that is held; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    protocol: Protocol,
    pub(super) endpoint: SocketAddr,
    endpoints: Arc<Endpoints>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut places = self.endpoints.lock();
        let own = |(protocol, endpoint, _): &Place| {
            *protocol == self.protocol && *endpoint == self.endpoint
        };
        if let Some(at) = places.iter().position(own) {
            places.swap_remove(at);
        }
    }
}

/// Why a place cannot be had.
#[derive(Debug)]
pub(super) enum Taken {
    /// Another sandbox has it.
    By(SandboxName),
    /// The kernel says no.
    Kernel(Errno),
}

impl Endpoints {
    fn lock(&self) -> MutexGuard<'_, Vec<Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sandbox has another name.
    pub(super) fn rename(&self, from: &SandboxName, to: &SandboxName) {
        let mut places = self.lock();
        let own = places.iter_mut().filter(|(_, _, name)| name == from);
        own.for_each(|(_, _, name)| name.clone_from(to));
    }

    /// Notes a socket that a sandbox's carrier has bound already.
    pub(super) fn hold(
        self: &Arc<Self>,
        protocol: Protocol,
        endpoint: SocketAddr,
        name: &SandboxName,
    ) -> Held {
        self.lock().push((protocol, endpoint, name.clone()));
        Held {
            protocol,
            endpoint,
            endpoints: Arc::clone(self),
        }
    }

    /// Binds a socket for a sandbox; port 0 is any free one.
    pub(super) fn bind(
        self: &Arc<Self>,
        protocol: Protocol,
        at: SocketAddr,
        name: &SandboxName,
    ) -> Result<(Held, Socket), Taken> {
        let mut places = self.lock();
        let first = places
            .iter()
            .find(|(other, endpoint, _)| *other == protocol && collide(*endpoint, at));
        if let Some((_, _, holder)) = first {
            return Err(Taken::By(holder.clone()));
        }
        let socket = bind::bind(protocol, at).map_err(Taken::Kernel)?;
        let endpoint = socket
            .endpoint()
            .map_err(|error| Taken::Kernel(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        places.push((protocol, endpoint, name.clone()));
        drop(places);
        let held = Held {
            protocol,
            endpoint,
            endpoints: Arc::clone(self),
        };
        Ok((held, socket))
    }
}
