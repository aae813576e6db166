//! What is asked for a guest, and what it gets.

use super::rules::Place;
use banger_model::host_names::{Mac, TapSlot};
use banger_model::policy::membership::Membership;
use banger_model::subnet::{HostPart, Subnet};
use banger_model::{SandboxId, SandboxName, Spec};
use banger_proto::guest::message::NetworkConfig;
use std::net::IpAddr;

/// What a guest on the bridge is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The sandbox's name, which is served.
    pub name: SandboxName,
    /// Its address.
    pub host_part: HostPart,
    /// Whether it may reach the outside.
    pub nat: bool,
    /// Whom it may talk to.
    pub membership: Membership,
}

impl Wish {
    /// The wish of a sandbox's spec.
    #[must_use]
    pub fn of(id: SandboxId, name: &SandboxName, spec: &Spec, host_part: HostPart) -> Self {
        Self {
            name: name.clone(),
            host_part,
            nat: spec.nat,
            membership: Membership {
                id,
                networks: spec.networks.clone(),
                links: spec.links.clone(),
            },
        }
    }

    pub(super) fn place(self, slot: TapSlot) -> Place {
        Place {
            slot,
            name: self.name,
            host_part: self.host_part,
            nat: self.nat,
            membership: self.membership,
        }
    }
}

/// A guest's place on the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its TAP.
    pub slot: TapSlot,
    /// Its hardware address.
    pub mac: Mac,
    /// What its agent is told.
    pub config: NetworkConfig,
}

/// What the agent of a guest is told: addresses of its own alone, so that all of its traffic goes to
/// the bridge's address, where the rules see it.
pub(super) fn network_config(
    subnet: &Subnet,
    part: HostPart,
    mtu: u16,
    resolvers: Vec<IpAddr>,
) -> NetworkConfig {
    NetworkConfig {
        addresses: vec![
            (subnet.guest_v4(part).into(), 32),
            (subnet.guest_v6(part).into(), 128),
        ],
        gateways: vec![subnet.gateway_v4().into(), subnet.gateway_v6().into()],
        resolvers,
        mtu: Some(mtu.into()),
    }
}
