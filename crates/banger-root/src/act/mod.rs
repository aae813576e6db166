//! Doing what was granted. Each verb looks at what there is, does what is missing, and says of each
//! object whether it did something; asked again, it finds nothing to do.

mod bridge;
mod forwarding;
mod path;
mod policy;
mod resolver;
mod survey;
mod sweep;
mod taps;

use crate::judge::{Granted, Place};
use crate::kernel::{Kernel, KernelError, Link};
use banger_model::host_names::PROBE_TAP;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::root::{Answer, Change, Did, Object, Verb};
use std::fmt;

/// Ports that a bridge takes: `BR_MAX_PORTS` is 1024 and number 0 is none (net/bridge/br_private.h).
pub const PORTS_MAX: usize = 1023;

/// The host and what of it is ours to act on.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// The kernel, or the one in memory.
    pub kernel: &'a dyn Kernel,
    /// What this helper serves.
    pub place: &'a Place,
}

/// Does what was granted.
///
/// # Errors
/// A fault with the operation's id: what failed, why, and what may help. What was done before stays
/// and is found by a survey.
pub fn act(granted: &Granted, host: Host<'_>) -> Result<Answer, Fault> {
    let answer = match granted.verb() {
        Verb::Ping {} => Ok(Answer::Pong {}),
        Verb::Survey {} => survey::survey(host).map(|survey| Answer::Survey(Box::new(survey))),
        Verb::Sweep {
            live,
            bridge,
            policy,
        } => sweep::sweep(host, live, *bridge, *policy).map(Answer::Changes),
        Verb::EnsureBridge { subnet, mtu } => bridge::ensure(host, subnet, *mtu).map(one),
        Verb::RemoveBridge {} => bridge::remove(host).map(one),
        Verb::MakeTaps { slots } => taps::make(host, slots).map(Answer::Changes),
        Verb::DeleteTaps { slots } => taps::delete(host, slots.iter()).map(Answer::Changes),
        Verb::SetPolicy { policy } => policy::set(host, policy).map(Answer::Changes),
        Verb::ClearPolicy {} => policy::clear(host).map(Answer::Changes),
        Verb::SetResolver { dns_port } => resolver::set(host, *dns_port).map(one),
        Verb::ClearResolver {} => resolver::clear(host).map(one),
        Verb::ProbePath { kind } => path::probe(host, *kind).map(Answer::Path),
    };
    answer.map_err(|fault| fault.with_op(granted.op()))
}

fn one(change: Change) -> Answer {
    Answer::Changes(vec![change])
}

const fn change(object: Object, did: Did) -> Change {
    Change { object, did }
}

/// Something of another's is in the way, or the state does not allow it.
fn conflict(message: impl fmt::Display) -> Fault {
    Fault::new(FaultCode::Conflict, message)
}

impl From<KernelError> for Fault {
    fn from(error: KernelError) -> Self {
        match error {
            KernelError::Foreign { .. } => foreign(&error),
            KernelError::Failed(_) => Self::new(FaultCode::Failed, error),
        }
    }
}

/// What another has made stays, and its maker decides about it.
fn foreign(error: &KernelError) -> Fault {
    let KernelError::Foreign { name, .. } = error else {
        return conflict(error);
    };
    let remedy = format!("if nothing needs it, remove it: ip link delete {name}");
    conflict(error).with_remedy(remedy)
}

fn not_ours(link: &Link) -> Fault {
    foreign(&KernelError::Foreign {
        name: link.name.clone(),
        alias: link.alias.clone(),
    })
}

impl Host<'_> {
    /// The interface with the bridge's name in a list of all.
    fn bridge_in<'l>(&self, links: &'l [Link]) -> Option<&'l Link> {
        find(links, self.place.bridge.as_str())
    }

    /// Our bridge in a list of all interfaces.
    fn our_bridge<'l>(&self, links: &'l [Link]) -> Result<&'l Link, Fault> {
        let bridge = self.bridge_in(links).ok_or_else(|| {
            conflict(format!("there is no bridge {}", self.place.bridge))
                .with_remedy("start a machine with a bridged network: it makes the bridge")
        })?;
        ours(bridge)
    }
}

fn find<'l>(links: &'l [Link], name: &str) -> Option<&'l Link> {
    links.iter().find(|link| link.name == name)
}

/// The link, if it carries our mark.
fn ours(link: &Link) -> Result<&Link, Fault> {
    if link.ours {
        Ok(link)
    } else {
        Err(not_ours(link))
    }
}

fn ports(links: &[Link], bridge: u32) -> impl Iterator<Item = &Link> {
    links.iter().filter(move |link| link.master == Some(bridge))
}

/// What a probe that was killed has left.
fn stale_probe(links: &[Link]) -> Option<&Link> {
    find(links, PROBE_TAP).filter(|link| link.ours)
}

#[cfg(test)]
mod tests;
