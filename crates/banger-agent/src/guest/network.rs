//! The guest's network: loopback and its only interface.

use super::netlink::{Netlink, Request};
use crate::fault::reason;
use banger_proto::guest::message::NetworkConfig;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long is waited for the interface: its driver may still be loading.
const WAIT: Duration = Duration::from_secs(2);
/// How long is waited for the link to be there.
const CARRIER: Duration = Duration::from_millis(100);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(1);

/// Applies a configuration in the place of an earlier one.
pub(super) fn apply(
    before: Option<&NetworkConfig>,
    wanted: Option<&NetworkConfig>,
) -> Result<(), String> {
    let netlink = Netlink::open().map_err(|e| format!("cannot reach the kernel's network: {e}"))?;
    let ask = |request: &Request| {
        let failed = |errno| format!("cannot set the network up ({request:?}): {}", reason(errno));
        netlink.ask(request).map_err(failed)
    };
    let interfaces = Path::new("/sys/class/net");
    if let Some(loopback) = index(&interfaces.join("lo")) {
        ask(&Request::Up {
            interface: loopback,
            mtu: None,
        })?;
    }
    let Some(wanted) = wanted else {
        return Ok(());
    };
    let Some(interface) = wait_for(interfaces) else {
        return Err("the guest has no network interface".to_owned());
    };
    plan(interface, before, wanted).iter().try_for_each(ask)?;
    wait_for_carrier(interfaces, interface);
    Ok(())
}

/// A driver tells of its link a moment after the interface is up; packets before that are lost,
/// and a first connection would be a second late. A cable that is not there is no error.
fn wait_for_carrier(interfaces: &Path, interface: u32) {
    let limit = Instant::now() + CARRIER;
    while !has_carrier(interfaces, interface) && Instant::now() < limit {
        thread::park_timeout(LOOK);
    }
}

fn has_carrier(interfaces: &Path, interface: u32) -> bool {
    let entries = fs::read_dir(interfaces).into_iter().flatten().flatten();
    let mut paths = entries.map(|entry| entry.path());
    let path = paths.find(|path| index(path) == Some(interface));
    path.and_then(|path| fs::read_to_string(path.join("carrier")).ok())
        .is_some_and(|carrier| carrier.trim_end() == "1")
}

/// What has to be asked for: addresses that are no longer wanted go first.
fn plan(interface: u32, before: Option<&NetworkConfig>, wanted: &NetworkConfig) -> Vec<Request> {
    let old = before
        .map(|config| config.addresses.as_slice())
        .unwrap_or_default();
    let gone = old
        .iter()
        .filter(|address| !wanted.addresses.contains(address));
    let mut plan: Vec<_> = gone
        .map(|&(address, prefix)| Request::Remove {
            interface,
            address,
            prefix,
        })
        .collect();
    plan.push(Request::Up {
        interface,
        mtu: wanted.mtu,
    });
    let add = |&(address, prefix): &_| Request::Add {
        interface,
        address,
        prefix,
    };
    plan.extend(wanted.addresses.iter().map(add));
    let route = |&gateway: &_| Request::Default { interface, gateway };
    plan.extend(wanted.gateways.iter().map(route));
    plan
}

fn wait_for(interfaces: &Path) -> Option<u32> {
    let limit = Instant::now() + WAIT;
    loop {
        match find(interfaces) {
            None if Instant::now() < limit => thread::park_timeout(LOOK),
            other => return other,
        }
    }
}

/// The first interface that is a device.
fn find(interfaces: &Path) -> Option<u32> {
    let entries = fs::read_dir(interfaces).into_iter().flatten().flatten();
    let devices = entries
        .map(|entry| entry.path())
        .filter(|path| path.join("device").exists());
    devices.filter_map(|path| index(&path)).min()
}

fn index(interface: &Path) -> Option<u32> {
    fs::read_to_string(interface.join("ifindex"))
        .ok()?
        .trim_end()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(address: &str) -> NetworkConfig {
        NetworkConfig {
            addresses: vec![(address.parse().expect("an address"), 24)],
            gateways: vec!["10.0.2.2".parse().expect("an address")],
            resolvers: vec![],
            mtu: None,
        }
    }

    #[test]
    fn a_first_configuration_only_adds_and_the_same_again_changes_nothing() {
        let wanted = config("10.0.2.15");
        let first = plan(2, None, &wanted);
        assert_eq!(first.len(), 3);
        assert_eq!(
            first.first(),
            Some(&Request::Up {
                interface: 2,
                mtu: None
            })
        );
        assert_eq!(plan(2, Some(&wanted), &wanted), first);
    }

    #[test]
    fn another_identity_takes_the_old_address_away_first() {
        let plan = plan(2, Some(&config("10.0.2.15")), &config("10.0.2.16"));
        let address = "10.0.2.15".parse().expect("an address");
        assert_eq!(
            plan.first(),
            Some(&Request::Remove {
                interface: 2,
                address,
                prefix: 24
            })
        );
        assert_eq!(plan.len(), 4);
    }

    mod t1 {
        use super::*;

        #[test]
        fn the_first_device_is_taken_and_loopback_is_none() {
            let temp = tempfile::tempdir().expect("temp");
            let make = |name: &str, index: &str, device: bool| {
                fs::create_dir_all(
                    temp.path()
                        .join(name)
                        .join(if device { "device" } else { "" }),
                )
                .expect("made");
                fs::write(temp.path().join(name).join("ifindex"), index).expect("written");
            };
            make("lo", "1\n", false);
            assert_eq!(find(temp.path()), None);
            make("eth1", "3\n", true);
            make("enp0s2", "2\n", true);
            assert_eq!(find(temp.path()), Some(2));
            assert!(!has_carrier(temp.path(), 2));
            fs::write(temp.path().join("enp0s2/carrier"), "1\n").expect("written");
            assert!(has_carrier(temp.path(), 2) && !has_carrier(temp.path(), 3));
        }
    }
}
