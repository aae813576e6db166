//! Published ports: which address of the host leads to which port of a guest.
//!
//! Written `[ADDR:]PORT[:GUEST][/tcp|udp]`. Without an address it is 127.0.0.1, so that nothing is
//! opened to a network by accident; an IPv6 address stands in brackets. Port 0 is any free one. Without
//! GUEST the guest's port has the same number, without a protocol it is TCP.

mod text;

pub use text::BadPublication;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

/// The most that one sandbox may publish: each is a socket of the daemon's, for as long as it runs.
pub const MOST_PUBLICATIONS: usize = 64;

/// The protocol of a port.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Connections.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// What is asked for: a host's address and port for a guest's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Publication {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The host's address; unspecified: all of that family.
    pub address: IpAddr,
    /// The host's port; none: any that is free.
    pub port: Option<NonZeroU16>,
    /// The guest's port.
    pub guest: NonZeroU16,
}

/// A publication and, where any free port was asked for, the one that was found: it is kept, so that
/// an address which somebody noted stays right for as long as nobody else takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// What was asked for.
    pub asked: Publication,
    /// The free port that was found last.
    pub chosen: Option<NonZeroU16>,
}

/// Which published ports are meant: `[ADDR:]PORT[/tcp|udp]`, by the host's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortSelector {
    /// Only this protocol; none: either.
    pub protocol: Option<Protocol>,
    /// Only this address; none: any.
    pub address: Option<IpAddr>,
    /// The host's port.
    pub port: NonZeroU16,
}

/// Whether two sockets of one protocol cannot both have the port: the same address, or one of them
/// has all of its family. The daemon binds IPv6 sockets to IPv6 alone.
#[must_use]
pub fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && one.is_ipv4() == other.is_ipv4()
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

impl Published {
    /// Of what was asked for, before a port was chosen.
    #[must_use]
    pub const fn new(asked: Publication) -> Self {
        Self {
            asked,
            chosen: None,
        }
    }

    /// The host's address and port, once it is known.
    #[must_use]
    pub fn endpoint(&self) -> Option<SocketAddr> {
        let port = self.asked.port.or(self.chosen)?;
        Some(SocketAddr::new(self.asked.address, port.get()))
    }

    /// Whether both want the same of the host.
    #[must_use]
    pub fn collides(&self, other: &Self) -> bool {
        let both = self.endpoint().zip(other.endpoint());
        self.asked.protocol == other.asked.protocol
            && both.is_some_and(|(one, other)| collide(one, other))
    }
}

impl PortSelector {
    /// Whether it means this one.
    #[must_use]
    pub fn selects(&self, published: &Published) -> bool {
        let port = published.asked.port.or(published.chosen);
        port == Some(self.port)
            && self
                .protocol
                .is_none_or(|wanted| wanted == published.asked.protocol)
            && self
                .address
                .is_none_or(|wanted| wanted == published.asked.address)
    }
}

/// Why publications cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotAdd {
    /// Two of them want the same of the host.
    #[error("{new} and {old} want the same port of the host")]
    Collision {
        /// The one that was there.
        old: Publication,
        /// The one that comes second.
        new: Publication,
    },
    /// More than one sandbox may have.
    #[error("a sandbox can publish at most {MOST_PUBLICATIONS} ports")]
    TooMany,
}

/// Adds publications to those of a sandbox; what is published already stays as it is.
///
/// # Errors
/// [`CannotAdd`]; nothing is added then.
pub fn add(have: &[Published], new: &[Publication]) -> Result<Vec<Published>, CannotAdd> {
    let mut all = have.to_vec();
    for asked in new {
        if all.iter().any(|published| published.asked == *asked) {
            continue;
        }
        let added = Published::new(*asked);
        if let Some(old) = all.iter().find(|old| old.collides(&added)) {
            return Err(CannotAdd::Collision {
                old: old.asked,
                new: *asked,
            });
        }
        all.push(added);
    }
    if all.len() > MOST_PUBLICATIONS {
        return Err(CannotAdd::TooMany);
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
