//! What is open for one sandbox.

use super::bind::{self, Socket};
use super::carry::GuestPort;
use super::endpoints::{Endpoints, Held, Taken};
use super::{LinkSource, tcp, udp};
use banger_model::SandboxName;
use banger_model::publish::{Protocol, Publication, Published};
use banger_proto::fault::Fault;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

/// How a published port is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortState {
    /// Nothing is bound: the guest does not run.
    Closed,
    /// It can be connected to.
    Open,
    /// It should be open and cannot be, for this reason.
    Trouble(String),
}

#[derive(Debug)]
enum Binding {
    /// Bound: clients wait in the kernel.
    Bound(Held, Socket),
    /// Carried on to the guest.
    Served(
        Held,
        #[expect(dead_code, reason = "held so that it goes on")] AbortOnDropHandle<()>,
    ),
    /// Somebody else has it.
    Failed(Fault),
}

impl Binding {
    const fn held(&self) -> Option<&Held> {
        match self {
            Self::Bound(held, _) | Self::Served(held, _) => Some(held),
            Self::Failed(_) => None,
        }
    }
}

type Slot = (Publication, Binding);

/// A place that cannot be had.
struct Refused {
    protocol: Protocol,
    at: SocketAddr,
    taken: Taken,
}

impl Refused {
    /// In words; looks for who has it.
    fn fault(&self) -> Fault {
        bind::fault(self.protocol, self.at, &self.taken)
    }
}

/// The sockets of one sandbox's published ports. Dropping it closes them.
pub struct Listeners {
    sandbox: Mutex<SandboxName>,
    endpoints: Arc<Endpoints>,
    link: LinkSource,
    places: Arc<Semaphore>,
    slots: Mutex<Vec<Slot>>,
}

impl std::fmt::Debug for Listeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listeners")
            .field("sandbox", &self.name())
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

impl Listeners {
    /// Of a sandbox, with nothing open yet.
    #[must_use]
    pub fn new(sandbox: SandboxName, endpoints: Arc<Endpoints>, link: LinkSource) -> Self {
        Self {
            sandbox: Mutex::new(sandbox),
            endpoints,
            link,
            places: Arc::new(Semaphore::new(tcp::MOST_CONNECTIONS)),
            slots: Mutex::default(),
        }
    }

    fn name(&self) -> SandboxName {
        let name = self.sandbox.lock();
        name.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The sandbox has another name; connections go on.
    pub fn rename(&self, to: &SandboxName) {
        let mut name = self.sandbox.lock().unwrap_or_else(PoisonError::into_inner);
        self.endpoints.rename(&name, to);
        name.clone_from(to);
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Binds what is wanted and not bound yet, and closes what is wanted no longer. Returns what was
    /// wanted with the ports that were chosen. Clients wait until [`Self::serve`].
    ///
    /// # Errors
    /// Why one of them cannot be had; everything is as it was then.
    pub fn bind(&self, wanted: &[Published]) -> Result<Vec<Published>, Fault> {
        let mut slots = self.slots();
        let is_bound = |slots: &[Slot], asked: &Publication| {
            slots
                .iter()
                .any(|(other, socket)| other == asked && socket.held().is_some())
        };
        let missing = wanted.iter().filter(|one| !is_bound(&slots, &one.asked));
        let new = missing
            .map(|one| match self.bind_one(one) {
                Ok(bound) => Ok((one.asked, bound)),
                // What was in trouble before is no reason against what is new.
                Err(refused) if slots.iter().any(|(other, _)| *other == one.asked) => {
                    Ok((one.asked, Binding::Failed(refused.fault())))
                }
                Err(refused) => Err(refused.fault()),
            })
            .collect::<Result<Vec<Slot>, Fault>>()?;
        slots.retain(|(asked, socket)| {
            socket.held().is_some() && wanted.iter().any(|one| one.asked == *asked)
        });
        slots.extend(new);
        Ok(with_ports(wanted, &slots))
    }

    /// As [`Self::bind`], for a guest that runs already: what cannot be had is remembered with its
    /// reason, and tried again by [`Self::retry`].
    pub fn bind_what_can_be(&self, wanted: &[Published]) -> Vec<Published> {
        let mut slots = self.slots();
        *slots = wanted
            .iter()
            .map(|one| {
                let socket = self.bind_one(one).unwrap_or_else(|refused| {
                    let fault = refused.fault();
                    tracing::warn!(sandbox = %self.name(), "{fault}");
                    Binding::Failed(fault)
                });
                (one.asked, socket)
            })
            .collect();
        with_ports(wanted, &slots)
    }

    /// Tries what could not be had once more, with ports that were asked for by number.
    pub fn retry(&self) {
        let mut slots = self.slots();
        let failed = |(_, socket): &&mut Slot| matches!(socket, Binding::Failed(_));
        for (asked, socket) in slots.iter_mut().filter(failed) {
            if asked.port.is_some()
                && let Ok(bound) = self.bind_one(&Published::new(*asked))
            {
                tracing::info!(sandbox = %self.name(), "{asked} is published again");
                *socket = self.served(asked, bound);
            }
        }
    }

    /// Binds one; of a port that was chosen earlier, that one if it is still free.
    fn bind_one(&self, wanted: &Published) -> Result<Binding, Refused> {
        let Publication {
            protocol, address, ..
        } = wanted.asked;
        let try_port = |port: u16| {
            let at = SocketAddr::new(address, port);
            let bound = self.endpoints.bind(protocol, at, &self.name());
            bound.map_err(|taken| Refused {
                protocol,
                at,
                taken,
            })
        };
        let (held, socket) = match (wanted.asked.port, wanted.chosen) {
            (Some(port), _) => try_port(port.get())?,
            (None, Some(before)) => try_port(before.get()).or_else(|_| try_port(0))?,
            (None, None) => try_port(0)?,
        };
        Ok(Binding::Bound(held, socket))
    }

    /// Carries on to the guest what is bound. To be called in the runtime.
    pub fn serve(&self) {
        let mut slots = self.slots();
        let old = std::mem::take(&mut *slots);
        slots.extend(old.into_iter().map(|(asked, socket)| {
            let served = self.served(&asked, socket);
            (asked, served)
        }));
    }

    fn served(&self, asked: &Publication, socket: Binding) -> Binding {
        let Binding::Bound(held, socket) = socket else {
            return socket;
        };
        let to = GuestPort {
            sandbox: self.name(),
            link: Arc::clone(&self.link),
            protocol: asked.protocol,
            port: asked.guest,
        };
        let places = Arc::clone(&self.places);
        let task = match socket {
            Socket::Tcp(listener) => TcpListener::from_std(listener)
                .map(|listener| tokio::spawn(tcp::serve(listener, to, places))),
            Socket::Udp(socket) => {
                UdpSocket::from_std(socket).map(|socket| tokio::spawn(udp::serve(socket, to)))
            }
        };
        match task {
            Ok(task) => Binding::Served(held, AbortOnDropHandle::new(task)),
            Err(error) => {
                let code = banger_proto::fault::FaultCode::Failed;
                Binding::Failed(Fault::new(
                    code,
                    format!("cannot wait for {asked}: {error}"),
                ))
            }
        }
    }

    /// Closes everything; connections are reset.
    pub fn close(&self) {
        let closed = std::mem::take(&mut *self.slots());
        drop(closed);
    }

    /// How a published port is now.
    #[must_use]
    pub fn state(&self, asked: &Publication) -> PortState {
        let slots = self.slots();
        match slots.iter().find(|(other, _)| other == asked) {
            None => PortState::Closed,
            Some((_, Binding::Failed(fault))) => PortState::Trouble(fault.message.clone()),
            Some((_, Binding::Bound(..) | Binding::Served(..))) => PortState::Open,
        }
    }
}

/// What was wanted, each with the port that its socket has where any free one was asked for.
fn with_ports(wanted: &[Published], slots: &[Slot]) -> Vec<Published> {
    let port_of = |asked: &Publication| {
        let (_, socket) = slots.iter().find(|(other, _)| other == asked)?;
        NonZeroU16::new(socket.held()?.endpoint.port())
    };
    let with_port = |one: &Published| match one.asked.port {
        Some(_) => *one,
        None => Published {
            chosen: port_of(&one.asked).or(one.chosen),
            ..*one
        },
    };
    wanted.iter().map(with_port).collect()
}
