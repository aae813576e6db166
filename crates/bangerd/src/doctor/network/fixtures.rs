//! A host on which all is well, to be changed by each test.

use crate::host_network::examine::{Asked, Examined, Names, Wanted};
use banger_model::host_names::{BridgeName, Installation};
use banger_model::policy::{Digest, Policy};
use banger_model::subnet::Subnet;
use banger_proto::root::{
    BridgeState, Mtu, PathKind, PolicyState, ResolverState, Survey, Uplink, Verdict, Whose,
};
use std::net::SocketAddr;
use std::num::NonZeroU16;

pub(super) fn bridge() -> BridgeName {
    BridgeName::default()
}

pub(super) fn served() -> SocketAddr {
    ([127, 0, 0, 1], 42069).into()
}

pub(super) fn digest(dns_port: Option<u16>) -> Digest {
    let installation = Installation::from_random([7; 8]);
    let port = dns_port.and_then(NonZeroU16::new);
    let policy = Policy::new(installation, bridge(), subnet(), port, vec![]);
    policy.unwrap().digest()
}

fn subnet() -> Subnet {
    let installation = Installation::from_random([7; 8]);
    Subnet::new([172, 16, 0, 0].into(), 24, &installation).unwrap()
}

/// Nothing was made yet.
pub(super) fn fresh() -> Examined {
    Examined {
        installation: Installation::from_random([7; 8]),
        program: Some("/opt/banger-root".into()),
        survey: Survey::default(),
        subnet: Ok(subnet()),
        mtu: Mtu::try_from(1500).unwrap(),
        wanted: None,
        paths: vec![],
        names: Names {
            address: served(),
            asked: Asked::Silent,
            holder: None,
        },
    }
}

/// A bridge with guests.
pub(super) fn working() -> Examined {
    let passed = |kind| (kind, Ok(Verdict::Passed {}));
    Examined {
        survey: Survey {
            bridge: Some(BridgeState {
                whose: Whose::Ours,
                addresses: vec![],
                mtu: 1500,
                up: true,
                ports: 3,
            }),
            policy: Some(PolicyState {
                whose: Whose::Ours,
                digest: Some(digest(Some(42069))),
                changed: None,
            }),
            resolver: ResolverState::Set(NonZeroU16::new(42069).unwrap()),
            uplink: Some(Uplink {
                name: "eth0".into(),
                mtu: 1500,
                addresses: vec![],
            }),
            ..Survey::default()
        },
        wanted: Some(Wanted {
            rules: Ok(digest(Some(42069))),
            trouble: None,
            wide: true,
            names: Some(served()),
        }),
        paths: [PathKind::OutIpv4, PathKind::OutIpv6, PathKind::HostIpv4]
            .map(passed)
            .into(),
        names: Names {
            address: served(),
            asked: Asked::Authority,
            holder: Some("bangerd (pid 7)".into()),
        },
        ..fresh()
    }
}
