//! Who a guest is: told to its agent when it starts, and when it goes on from a saved memory.

use super::act::Work;
use super::phases::attachment;
use crate::guest::Link;
use crate::guest::stream::CallError;
use crate::host;
use banger_model::spec::{Init, NetworkMode};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::guest::message::{
    Answer, Call, Configure, Configured, InitChoice, NetworkConfig, Resumed,
};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// How long the agent may take for `configure`: it mounts disks and starts the image's init.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// Gives the guest its identity and surroundings.
pub(super) async fn configure(work: &Work, link: &Link) -> Result<Configured, Fault> {
    give(work, link, None).await
}

/// The same, to a guest that went on from a saved memory: what is in it of another moment, or of another
/// sandbox, is renewed before the answer. `resumed` says whether it is the same one.
pub(super) async fn give(
    work: &Work,
    link: &Link,
    resumed: Option<bool>,
) -> Result<Configured, Fault> {
    let record = work.record();
    let entropy: [u8; 64] =
        host::random().map_err(|error| Fault::from_error(FaultCode::Failed, &error))?;
    let configure = Configure {
        hostname: record.name.to_string(),
        machine_id: *record.id.as_bytes(),
        time: host::now(),
        entropy: entropy.to_vec(),
        network: match record.spec.network.value {
            NetworkMode::None => None,
            NetworkMode::User => Some(user_network(record.spec.nat)),
            NetworkMode::Bridge => Some(attachment(work)?.config),
        },
        environment: vec![],
        init: match record.spec.init {
            Init::Auto => InitChoice::Auto,
            Init::Systemd => InitChoice::Systemd,
            Init::None => InitChoice::None,
        },
    };
    let call = match resumed {
        Some(as_itself) if link.can_resume() => Call::Resumed(Resumed {
            mac: match record.spec.network.value {
                NetworkMode::Bridge => Some(*attachment(work)?.mac.as_bytes()),
                // The same for every guest: it is alone there.
                NetworkMode::User | NetworkMode::None => None,
            },
            keeps_sessions: as_itself,
            configure,
        }),
        _ => Call::Configure(configure),
    };
    match link.call(&call, LIMIT).await? {
        Answer::Configured(configured) => Ok(configured),
        _ => Err(CallError::Nonsense("another answer than to `configure`").into()),
    }
}

/// The addresses of QEMU's user-mode network (its documentation, "Using the user mode network
/// stack"): the guest is 10.0.2.15, the gateway 10.0.2.2, the name server 10.0.2.3.
fn user_network(outbound: bool) -> NetworkConfig {
    let at = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 2, last));
    NetworkConfig {
        addresses: vec![(at(15), 24)],
        gateways: if outbound { vec![at(2)] } else { vec![] },
        resolvers: if outbound { vec![at(3)] } else { vec![] },
        mtu: None,
    }
}
