//! The sockets of one sandbox's published ports: how each is, and where it may be bound.

use super::bind::{self, Socket};
use super::endpoints::{Held, Taken};
use super::listeners::Listeners;
use banger_model::publish::{Protocol, Publication, Published};
use banger_proto::fault::Fault;
use std::net::SocketAddr;
use std::num::NonZeroU16;

#[derive(Debug)]
pub(super) enum Binding {
    /// Bound: clients wait in the kernel.
    Bound(Held, Socket),
    /// The carrier has it; so has this daemon, unless one before has bound it.
    Carried(Held, Option<Socket>),
    /// Bound, and no carrier could take it: who came was reset. It is tried again.
    Stuck(Held, Socket, Fault),
    /// Somebody else has it.
    Failed(Fault),
}

impl Binding {
    pub(super) const fn held(&self) -> Option<&Held> {
        match self {
            Self::Bound(held, _) | Self::Carried(held, _) | Self::Stuck(held, ..) => Some(held),
            Self::Failed(_) => None,
        }
    }

    /// The socket of what no carrier has.
    pub(super) const fn own(&self) -> Option<&Socket> {
        match self {
            Self::Bound(_, socket) | Self::Stuck(_, socket, _) => Some(socket),
            Self::Carried(..) | Self::Failed(_) => None,
        }
    }

    /// As it is once more for a carrier to take, or for who wakes the guest.
    pub(super) fn unstuck(self) -> Self {
        match self {
            Self::Stuck(held, socket, _) => Self::Bound(held, socket),
            other => other,
        }
    }
}

pub(super) type Slot = (Publication, Binding);

/// A place that cannot be had.
pub(super) struct Refused {
    protocol: Protocol,
    at: SocketAddr,
    taken: Taken,
}

impl Refused {
    /// In words; looks for who has it.
    pub(super) fn fault(&self) -> Fault {
        bind::fault(self.protocol, self.at, &self.taken)
    }
}

impl Listeners {
    /// Binds one for a guest that runs or sleeps: who was told its port finds it there or nowhere.
    pub(super) fn bind_as_recorded(&self, wanted: &Published) -> Result<Binding, Refused> {
        let port = wanted.asked.port.or(wanted.chosen);
        self.bind_at(&wanted.asked, port.map_or(0, NonZeroU16::get))
    }

    /// The same; what cannot be had is told.
    pub(super) fn bind_or_say_why(&self, wanted: &Published) -> Binding {
        self.bind_as_recorded(wanted).unwrap_or_else(|refused| {
            let fault = refused.fault();
            tracing::warn!(sandbox = %self.name(), "{fault}");
            Binding::Failed(fault)
        })
    }

    /// Binds one for a start; of a port that was chosen earlier, that one if it is still free.
    pub(super) fn bind_for_start(&self, wanted: &Published) -> Result<Binding, Refused> {
        let try_port = |port: u16| self.bind_at(&wanted.asked, port);
        match (wanted.asked.port, wanted.chosen) {
            (Some(port), _) => try_port(port.get()),
            (None, Some(before)) => try_port(before.get()).or_else(|_| try_port(0)),
            (None, None) => try_port(0),
        }
    }

    /// Binds one at a port; 0 is any that is free.
    fn bind_at(&self, asked: &Publication, port: u16) -> Result<Binding, Refused> {
        let Publication {
            protocol, address, ..
        } = *asked;
        let at = SocketAddr::new(address, port);
        let bound = self.endpoints.bind(protocol, at, &self.name());
        let refused = |taken| Refused {
            protocol,
            at,
            taken,
        };
        bound
            .map(|(held, socket)| Binding::Bound(held, socket))
            .map_err(refused)
    }

    /// Binds what is wanted and not there; what cannot be had is told, and remembered with its reason.
    pub(super) fn bind_missing(&self, slots: &mut Vec<Slot>, wanted: &[Published]) {
        for one in wanted {
            if slots.iter().any(|(asked, _)| *asked == one.asked) {
                continue;
            }
            slots.push((one.asked, self.bind_or_say_why(one)));
        }
    }
}

/// What was wanted, each with the port that its socket has where any free one was asked for.
pub(super) fn with_ports(wanted: &[Published], slots: &[Slot]) -> Vec<Published> {
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
