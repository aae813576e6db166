//! Every verb on a host in memory: what it does, that asked again it does nothing, what it refuses
//! to touch, and that whatever was cut off half-way is completed or swept.

mod crash;
mod links;
mod path;
mod policy;
mod survey;

use super::*;
use crate::judge::{Peer, judge};
use crate::simulated::SimulatedKernel;
use banger_model::SandboxId;
use banger_model::host_names::{BridgeName, Installation, TapSlot};
use banger_model::policy::{Guest, Policy};
use banger_model::subnet::{HostPart, Subnet};
use banger_proto::root::{Mtu, Request, Slots, Survey};
use std::collections::BTreeSet;
use std::num::NonZeroU16;

const OWNER: u32 = 1000;

fn installation() -> Installation {
    Installation::from_random([1; 8])
}

fn place() -> Place {
    Place {
        owner: OWNER,
        installation: installation(),
        bridge: BridgeName::default(),
        version: "0.1.0".to_owned(),
    }
}

/// A host in memory, and the helper's way to it.
struct World {
    place: Place,
    kernel: SimulatedKernel,
}

impl World {
    fn new() -> Self {
        Self {
            place: place(),
            kernel: SimulatedKernel::new(place()),
        }
    }

    /// One with bridge and two TAPs.
    fn ready() -> Self {
        let world = Self::new();
        world.done(bridge(0, 1500));
        world.done(make([1, 2]));
        world
    }

    fn ask(&self, verb: Verb) -> Result<Answer, Fault> {
        let request = Request {
            version: "0.1.0".to_owned(),
            op: "op-abc123".parse().unwrap(),
            verb,
        };
        let granted = judge(request, Peer { uid: OWNER }, &self.place).unwrap();
        act(
            &granted,
            Host {
                kernel: &self.kernel,
                place: &self.place,
            },
        )
    }

    /// What was done, object by object.
    fn done(&self, verb: Verb) -> Vec<(Object, Did)> {
        match self.ask(verb) {
            Ok(Answer::Changes(changes)) => changes
                .into_iter()
                .map(|change| (change.object, change.did))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    /// The fault, after a check that nothing was changed.
    fn refused(&self, verb: Verb) -> String {
        let before = self.kernel.state().changes;
        let fault = self.ask(verb).unwrap_err();
        assert_eq!(
            self.kernel.state().changes,
            before,
            "nothing is changed: {fault}"
        );
        assert_eq!(fault.op.as_deref(), Some("op-abc123"));
        fault.to_string()
    }

    fn survey(&self) -> Survey {
        match self.ask(Verb::Survey {}) {
            Ok(Answer::Survey(survey)) => *survey,
            other => panic!("{other:?}"),
        }
    }
}

fn subnet(third: u8) -> Subnet {
    Subnet::new([172, 16, third, 0].into(), 24, &installation()).unwrap()
}

fn bridge(third: u8, mtu: u16) -> Verb {
    Verb::EnsureBridge {
        subnet: subnet(third),
        mtu: Mtu::try_from(mtu).unwrap(),
    }
}

fn slot(number: u16) -> TapSlot {
    TapSlot::try_from(number).unwrap()
}

fn slots<const MAX: usize>(numbers: impl IntoIterator<Item = u16>) -> Slots<MAX> {
    Slots::try_from(numbers.into_iter().map(slot).collect::<BTreeSet<_>>()).unwrap()
}

fn make(numbers: impl IntoIterator<Item = u16>) -> Verb {
    Verb::MakeTaps {
        slots: slots(numbers),
    }
}

fn guest(number: u16, nat: bool) -> Guest {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    Guest {
        id: SandboxId::from_random(id),
        slot: slot(number),
        host_part: HostPart::try_from(number + 1).unwrap(),
        nat,
        networks: BTreeSet::new(),
    }
}

fn policy(guests: Vec<Guest>) -> Verb {
    let port = NonZeroU16::new(42069);
    let policy = Policy::new(
        installation(),
        BridgeName::default(),
        subnet(0),
        port,
        guests,
    )
    .unwrap();
    Verb::SetPolicy { policy }
}

fn sweep(live: impl IntoIterator<Item = u16>, bridge: bool, policy: bool) -> Verb {
    Verb::Sweep {
        live: slots(live),
        bridge,
        policy,
    }
}
