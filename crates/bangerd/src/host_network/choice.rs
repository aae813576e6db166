//! What the bridge is to be: decided from what is configured, remembered and found on the host.

use super::cannot;
use crate::config::BridgeConfig;
use crate::store::Store;
use banger_model::host_names::{BridgeName, Installation, TABLE};
use banger_model::subnet::{Collision, Subnet, candidates, choose, collision};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::root::{Mtu, Survey, Whose};
use std::net::Ipv4Addr;

/// The setting under which the installation's id is remembered.
pub(super) const INSTALLATION: &str = "installation";
/// The setting under which the bridge's subnet is remembered.
pub(super) const SUBNET: &str = "subnet";
/// The MTU of Ethernet (RFC 894), where the host has no way out.
const ETHERNET: u16 = 1500;

/// The installation's id: remembered, or made now.
pub(super) async fn installation(store: &Store) -> Result<Installation, Fault> {
    let remembered = store.setting(INSTALLATION).await?;
    if let Some(text) = remembered {
        return text
            .parse()
            .map_err(|error| cannot("read the installation's id", error));
    }
    let random = crate::host::random().map_err(|error| cannot("invent an id", error))?;
    let installation = Installation::from_random(random);
    store
        .put_setting(INSTALLATION, installation.to_string())
        .await?;
    Ok(installation)
}

/// What has our name and is not ours is nobody's but its maker's: found before anything is made beside it.
pub(super) fn refuse_foreign(found: &Survey, name: &BridgeName) -> Result<(), Fault> {
    let maker = |whose: &Whose| match whose {
        Whose::Foreign(Some(installation)) => Some(format!("banger installation {installation}")),
        Whose::Foreign(None) => Some("another program".to_owned()),
        Whose::Ours => None,
    };
    let bridge = found.bridge.as_ref();
    if let Some(maker) = bridge.and_then(|bridge| maker(&bridge.whose)) {
        let message = format!("the interface {name} belongs to {maker}");
        let remedy = "set `bridge_name = \"br-fc-2\"` in config.toml, or remove that interface";
        return Err(Fault::new(FaultCode::Conflict, message).with_remedy(remedy));
    }
    let policy = found.policy.as_ref();
    if let Some(maker) = policy.and_then(|policy| maker(&policy.whose)) {
        let message = format!("the nftables tables named {TABLE} belong to {maker}");
        let remedy = format!(
            "if nothing needs them, remove them: nft delete table inet {TABLE}; nft delete table bridge {TABLE}"
        );
        return Err(Fault::new(FaultCode::Conflict, message).with_remedy(remedy));
    }
    Ok(())
}

/// The subnet that is remembered.
pub(super) async fn remembered(store: &Store) -> Result<Option<Subnet>, Fault> {
    let text = store.setting(SUBNET).await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// The configured subnet, the remembered one, or the first that is free, which is remembered.
pub(super) async fn subnet(
    config: &BridgeConfig,
    store: &Store,
    found: &Survey,
    installation: Installation,
) -> Result<Subnet, Fault> {
    let remembered = remembered(store).await?;
    let chosen = decide(config, remembered, found, installation)?;
    if remembered != Some(chosen) {
        let text = serde_json::to_string(&chosen).map_err(|e| cannot("note the subnet", e))?;
        store.put_setting(SUBNET, text).await?;
    }
    Ok(chosen)
}

/// The same, without remembering anything.
pub(super) fn decide(
    config: &BridgeConfig,
    remembered: Option<Subnet>,
    found: &Survey,
    installation: Installation,
) -> Result<Subnet, Fault> {
    let configured = config
        .subnet
        .map(|(address, prefix)| of_gateway(address, prefix, &installation))
        .transpose()?;
    let fixed = configured.or(remembered.filter(|subnet| subnet.belongs_to(&installation)));
    match fixed {
        Some(subnet) => match collision(&subnet, &found.taken, &config.name) {
            None => Ok(subnet),
            Some(collision) => Err(collides(&collision)),
        },
        None => {
            choose(candidates(&installation), &found.taken, &config.name).map_err(|last| match last
            {
                Some(collision) => collides(&collision),
                None => cannot("choose a subnet", "there is no candidate"),
            })
        }
    }
}

fn of_gateway(address: Ipv4Addr, prefix: u8, installation: &Installation) -> Result<Subnet, Fault> {
    let bad = |why: String| {
        Fault::new(
            FaultCode::BadRequest,
            format!("bridge_ip {address}/{prefix}: {why}"),
        )
        .with_remedy("correct bridge_ip and cidr in config.toml")
    };
    let host_bits = 32_u32.saturating_sub(prefix.into());
    let network = u32::MAX.checked_shl(host_bits).unwrap_or(0) & address.to_bits();
    let subnet =
        Subnet::new(network.into(), prefix, installation).map_err(|e| bad(e.to_string()))?;
    if subnet.gateway_v4() != address {
        let first = subnet.gateway_v4();
        return Err(bad(format!("the bridge has the first address, {first}")));
    }
    Ok(subnet)
}

fn collides(collision: &Collision) -> Fault {
    Fault::new(FaultCode::Conflict, collision)
        .with_remedy("set bridge_ip in config.toml to an address of a free network")
}

/// As large as the way out allows.
pub(super) fn mtu_of(found: &Survey) -> Mtu {
    let uplink = found.uplink.as_ref();
    let of_uplink = uplink.and_then(|uplink| u16::try_from(uplink.mtu).ok());
    let ethernet = || Mtu::try_from(ETHERNET);
    let mtu = of_uplink.map(Mtu::try_from).and_then(Result::ok);
    mtu.or_else(|| ethernet().ok()).unwrap_or(Mtu::LEAST)
}

#[cfg(test)]
mod tests;
