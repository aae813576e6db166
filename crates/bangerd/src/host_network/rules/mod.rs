//! The rules: who is on the bridge and what each may. Whoever changes them says so and goes on; one
//! task brings the newest state to the host, however many changes came meanwhile.

use super::host::{Host, HostError, change};
use crate::operation::{OpId, new_id};
use banger_model::host_names::{BridgeName, Installation, TapSlot};
use banger_model::policy::membership::{Membership, numbered};
use banger_model::policy::{Digest, Guest, Policy};
use banger_model::subnet::{HostPart, Subnet};
use banger_model::{SandboxId, SandboxName};
use banger_proto::root::Verb;
use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Before rules that the host did not take are brought to it again.
const AGAIN: Duration = Duration::from_secs(1);

/// One guest on the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host_network) struct Place {
    /// Its TAP.
    pub(in crate::host_network) slot: TapSlot,
    /// The sandbox's name.
    pub(in crate::host_network) name: SandboxName,
    /// Its address in the subnet.
    pub(in crate::host_network) host_part: HostPart,
    /// Whether it may reach the outside.
    pub(in crate::host_network) nat: bool,
    /// Whom it may talk to.
    pub(in crate::host_network) membership: Membership,
}

/// What holds for all guests of a bridge.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) installation: Installation,
    pub(super) bridge: BridgeName,
    pub(super) subnet: Subnet,
}

/// What is wanted, numbered by its changes.
#[derive(Debug, Clone, Default)]
struct Wanted {
    change: u64,
    /// Whose the newest change is; it brings the others along.
    op: Option<OpId>,
    dns_port: Option<NonZeroU16>,
    places: BTreeMap<SandboxId, Place>,
}

/// What the host has: the number of the last change that it took, and why not the next.
#[derive(Debug, Clone, Default)]
struct Taken {
    change: u64,
    trouble: Option<String>,
}

/// The rules. The task ends with the last clone.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    frame: Frame,
    wanted: Arc<watch::Sender<Wanted>>,
    taken: watch::Receiver<Taken>,
}

impl Rules {
    /// Rules without guests; nothing is brought to the host before the first change.
    pub(super) fn new(host: Arc<dyn Host>, frame: Frame) -> Self {
        let (wanted, changes) = watch::channel(Wanted::default());
        let (told, taken) = watch::channel(Taken::default());
        tokio::spawn(bring(host, frame.clone(), changes, told));
        Self {
            frame,
            wanted: Arc::new(wanted),
            taken,
        }
    }

    fn change(&self, op: OpId, change: impl FnOnce(&mut Wanted)) -> u64 {
        self.wanted.send_modify(|wanted| {
            change(wanted);
            wanted.op = Some(op);
            wanted.change += 1;
        });
        self.wanted.borrow().change
    }

    /// A guest has a place, or what it may has changed. Returns the change's number.
    pub(super) fn set(&self, id: SandboxId, place: Place, op: OpId) -> u64 {
        self.change(op, |wanted| {
            wanted.places.insert(id, place);
        })
    }

    /// A guest is gone.
    pub(super) fn remove(&self, id: SandboxId, op: OpId) {
        if self.wanted.borrow().places.contains_key(&id) {
            self.change(op, |wanted| {
                wanted.places.remove(&id);
            });
        }
    }

    /// Names are served at this port of the bridge's addresses.
    pub(super) fn serve_names_at(&self, port: Option<NonZeroU16>, op: OpId) -> u64 {
        self.change(op, |wanted| wanted.dns_port = port)
    }

    /// The place of a guest.
    pub(super) fn place(&self, id: SandboxId) -> Option<Place> {
        self.wanted.borrow().places.get(&id).cloned()
    }

    /// All places.
    pub(super) fn places(&self) -> BTreeMap<SandboxId, Place> {
        self.wanted.borrow().places.clone()
    }

    /// Which rules are wanted now: the digest that the host shows once it has them.
    ///
    /// # Errors
    /// When they cannot be rules.
    pub(super) fn digest(&self) -> Result<Digest, String> {
        let policy = policy(&self.frame, &self.wanted.borrow())?;
        Ok(policy.digest())
    }

    /// Has them brought to the host once more, as they are.
    pub(super) fn again(&self, op: OpId) -> u64 {
        self.change(op, |_| ())
    }

    /// The number of the newest change.
    pub(super) fn newest(&self) -> u64 {
        self.wanted.borrow().change
    }

    /// Waits until the host has taken a change.
    ///
    /// # Errors
    /// What the host said, when it did not take it.
    pub(super) async fn until_taken(&self, change: u64) -> Result<(), String> {
        let mut taken = self.taken.clone();
        let seen = taken
            .wait_for(|taken| taken.change >= change || taken.trouble.is_some())
            .await
            .map_err(|_| "nobody brings rules to the host any more".to_owned())?;
        match (&seen.trouble, seen.change >= change) {
            (_, true) => Ok(()),
            (Some(trouble), false) => Err(trouble.clone()),
            (None, false) => Ok(()),
        }
    }
}

/// Brings the newest rules to the host, one after the other.
async fn bring(
    host: Arc<dyn Host>,
    frame: Frame,
    mut changes: watch::Receiver<Wanted>,
    told: watch::Sender<Taken>,
) {
    while changes.changed().await.is_ok() {
        loop {
            let wanted = changes.borrow_and_update().clone();
            let op = wanted.op.unwrap_or_else(new_id);
            match bring_once(&*host, op, &frame, &wanted).await {
                Ok(()) => {
                    told.send_replace(Taken {
                        change: wanted.change,
                        trouble: None,
                    });
                    break;
                }
                Err(trouble) => {
                    tracing::warn!(%op, "the host has not taken the rules: {trouble}");
                    told.send_modify(|taken| taken.trouble = Some(trouble));
                    tokio::select! {
                        () = tokio::time::sleep(AGAIN) => {}
                        more = changes.changed() => if more.is_err() { return },
                    }
                }
            }
        }
    }
}

async fn bring_once(
    host: &dyn Host,
    op: OpId,
    frame: &Frame,
    wanted: &Wanted,
) -> Result<(), String> {
    let policy = policy(frame, wanted)?;
    change(host, op, Verb::SetPolicy { policy })
        .await
        .map(drop)
        .map_err(|error: HostError| error.to_string())
}

/// The policy of what is wanted: a pure function.
fn policy(frame: &Frame, wanted: &Wanted) -> Result<Policy, String> {
    let members: Vec<_> = wanted
        .places
        .values()
        .map(|place| place.membership.clone())
        .collect();
    let mut networks = numbered(&members);
    let guests = wanted.places.iter().map(|(id, place)| Guest {
        id: *id,
        slot: place.slot,
        host_part: place.host_part,
        nat: place.nat,
        networks: networks.remove(id).unwrap_or_default(),
    });
    Policy::new(
        frame.installation,
        frame.bridge.clone(),
        frame.subnet,
        wanted.dns_port,
        guests.collect(),
    )
    .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
