//! Whether a request is granted: pure, and the only place that can say so.

use banger_model::host_names::{BridgeName, Installation};
use banger_proto::root::{BadFrame, OpId, Refusal, Request, Verb};

/// What this helper serves: given at its start, never by a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The one user besides root.
    pub owner: u32,
    /// Whose objects it makes and removes.
    pub installation: Installation,
    /// The bridge's name.
    pub bridge: BridgeName,
    /// The exact version.
    pub version: String,
}

/// Who asks, as the kernel says (`SO_PEERCRED`, unix(7)). The process id is not among it: it may have
/// been given to another process since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The user id at the time of the connection.
    pub uid: u32,
}

/// A request that was granted. Only [`judge`] makes one.
#[derive(Debug)]
pub struct Granted {
    op: OpId,
    verb: Verb,
}

impl Granted {
    /// The operation that it belongs to.
    #[must_use]
    pub const fn op(&self) -> OpId {
        self.op
    }

    /// What was granted.
    #[must_use]
    pub const fn verb(&self) -> &Verb {
        &self.verb
    }
}

/// Whether the peer may ask at all; asked before anything of it is read.
///
/// # Errors
/// `Refusal::Peer` for every user but root and the owner.
pub fn admit(peer: Peer, place: &Place) -> Result<(), Refusal> {
    if peer.uid == 0 || peer.uid == place.owner {
        return Ok(());
    }
    Err(Refusal::Peer {
        uid: peer.uid,
        owner: place.owner,
    })
}

/// Reads a packet.
///
/// # Errors
/// `Refusal::TooLong` or `Refusal::Unreadable`.
pub fn read(packet: &[u8]) -> Result<Request, Refusal> {
    Request::decode(packet).map_err(|error| match error {
        BadFrame::TooLong { .. } => Refusal::TooLong {},
        BadFrame::Unreadable { why } => Refusal::Unreadable { why },
    })
}

/// Grants the request, or says why not. What a request can say is bounded by its types already; here
/// it is held against the peer and against what this helper serves.
///
/// # Errors
/// The first refusal that applies.
pub fn judge(request: Request, peer: Peer, place: &Place) -> Result<Granted, Refusal> {
    admit(peer, place)?;
    if request.version != place.version {
        return Err(Refusal::Version {
            helper: place.version.clone(),
            request: plain(&request.version),
        });
    }
    concerns_us(&request.verb, place)?;
    Ok(Granted {
        op: request.op,
        verb: request.verb,
    })
}

fn concerns_us(verb: &Verb, place: &Place) -> Result<(), Refusal> {
    match verb {
        Verb::EnsureBridge { subnet, .. } if !subnet.belongs_to(&place.installation) => {
            Err(Refusal::Subnet {
                helper: place.installation,
            })
        }
        Verb::SetPolicy { policy } if policy.installation() != place.installation => {
            Err(Refusal::Installation {
                helper: place.installation,
                request: policy.installation(),
            })
        }
        Verb::SetPolicy { policy } if policy.bridge() != &place.bridge => Err(Refusal::Bridge {
            helper: place.bridge.clone(),
            request: policy.bridge().clone(),
        }),
        Verb::SetPolicy { policy } => policy
            .dns_port()
            .map_or(Ok(()), |port| unprivileged(port.get())),
        Verb::SetResolver { dns_port } => unprivileged(dns_port.get()),
        Verb::MakeTaps { slots } | Verb::DeleteTaps { slots } if slots.is_empty() => {
            Err(Refusal::Nothing {})
        }
        _ => Ok(()),
    }
}

/// Names are served by the owner's daemon: at a port that an ordinary user may bind. Anything below
/// is some other service of the host.
const fn unprivileged(port: u16) -> Result<(), Refusal> {
    if port < 1024 {
        return Err(Refusal::Port { port });
    }
    Ok(())
}

/// A text of the peer's, fit for one line.
fn plain(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { '?' } else { c });
    printable.take(64).collect()
}

#[cfg(test)]
mod tests;
