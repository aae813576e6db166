//! The guest's network: loopback and its only interface.

use super::netlink::{Netlink, Request};
use crate::fault::reason;
use banger_proto::guest::message::NetworkConfig;
use rustix::io::Errno;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
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
        let asked = netlink.ask(request);
        asked.map_err(|errno| refused(request, errno))
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

fn refused(request: &Request, errno: Errno) -> String {
    format!("cannot set the network up ({request:?}): {}", reason(errno))
}

/// Applies a configuration after a resume, with the card's hardware address if it gets one.
///
/// Another sandbox than the one that was saved shall know nothing of its network any more: the card
/// goes down, which takes routes, neighbours and most addresses away, and comes up with its own. Where
/// nothing has changed, all stays as the guest has it, connections too; only neighbours are forgotten, who
/// may have moved. Without a hardware address of its own (`mac`) it has none but the VMM, which is the same.
pub(super) fn renew(
    before: Option<&NetworkConfig>,
    wanted: Option<&NetworkConfig>,
    mac: Option<[u8; 6]>,
) -> Result<(), String> {
    if before == wanted && mac.is_none() {
        return Ok(());
    }
    let interfaces = Path::new("/sys/class/net");
    let Some(interface) = find(interfaces) else {
        return apply(before, wanted);
    };
    let netlink = Netlink::open().map_err(|e| format!("cannot reach the kernel's network: {e}"))?;
    let ask = |request: &Request| match (request, netlink.ask(request)) {
        // It went with the card, or with the one that it was a second of.
        (Request::Remove { .. }, Err(Errno::ADDRNOTAVAIL)) | (_, Ok(())) => Ok(()),
        (_, Err(errno)) => Err(refused(request, errno)),
    };
    if let Some(mac) = mac
        && before == wanted
        && hardware(interfaces, interface) == Some(mac)
    {
        return ask(&Request::Hardware { interface, mac });
    }
    let present = netlink.addresses(interface).map_err(|errno| {
        let why = reason(errno);
        format!("cannot ask for the network card's addresses: {why}")
    })?;
    plan_anew(interface, &present, wanted, mac)
        .iter()
        .try_for_each(ask)?;
    if wanted.is_some() {
        wait_for_carrier(interfaces, interface);
    }
    Ok(())
}

/// What has to be asked for so that nothing of an earlier network is left.
fn plan_anew(
    interface: u32,
    present: &[(IpAddr, u8)],
    wanted: Option<&NetworkConfig>,
    mac: Option<[u8; 6]>,
) -> Vec<Request> {
    let mut requests = vec![Request::Down { interface }];
    requests.extend(mac.map(|mac| Request::Hardware { interface, mac }));
    let remove = |&(address, prefix): &_| Request::Remove {
        interface,
        address,
        prefix,
    };
    requests.extend(present.iter().map(remove));
    let new = wanted.map(|wanted| plan(interface, None, wanted));
    requests.extend(new.into_iter().flatten());
    requests
}

/// The hardware address of an interface.
fn hardware(interfaces: &Path, interface: u32) -> Option<[u8; 6]> {
    let text = fs::read_to_string(path(interfaces, interface)?.join("address")).ok()?;
    let mut mac = [0; 6];
    let mut digits = text.trim_end().split(':');
    for byte in &mut mac {
        *byte = u8::from_str_radix(digits.next()?, 16).ok()?;
    }
    digits.next().is_none().then_some(mac)
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
    path(interfaces, interface)
        .and_then(|path| fs::read_to_string(path.join("carrier")).ok())
        .is_some_and(|carrier| carrier.trim_end() == "1")
}

/// Where the kernel tells of an interface.
fn path(interfaces: &Path, interface: u32) -> Option<PathBuf> {
    let entries = fs::read_dir(interfaces).into_iter().flatten().flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.find(|path| index(path) == Some(interface))
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

    #[test]
    fn another_network_takes_the_place_of_everything_that_the_card_had() {
        let address = |text: &str| (text.parse().expect("an address"), 24);
        let present = [address("10.0.2.15"), address("fe80::1")];
        let wanted = config("172.16.0.2");
        let mac = [2, 0, 0, 0, 0, 7];
        let requests = plan_anew(2, &present, Some(&wanted), Some(mac));
        let (card, rest) = requests.split_at(2);
        let interface = 2;
        assert_eq!(
            card,
            [
                Request::Down { interface },
                Request::Hardware { interface, mac }
            ]
        );
        let remove = |(address, prefix)| Request::Remove {
            interface,
            address,
            prefix,
        };
        let (removed, rest) = rest.split_at(2);
        assert_eq!(removed, present.map(remove));
        assert_eq!(rest, plan(2, None, &wanted));
        let without = plan_anew(2, &present, None, None);
        assert_eq!(without.len(), 3, "down, and nothing is left");
    }

    mod t1 {
        use super::*;

        #[test]
        fn the_hardware_address_is_that_of_the_interface() {
            let temp = tempfile::tempdir().expect("temp");
            for (name, index, mac) in [
                ("lo", "1", "00:00:00:00:00:00"),
                ("eth0", "2", "02:0a:00:00:00:ff"),
            ] {
                fs::create_dir(temp.path().join(name)).expect("made");
                fs::write(temp.path().join(name).join("ifindex"), index).expect("written");
                fs::write(temp.path().join(name).join("address"), format!("{mac}\n"))
                    .expect("written");
            }
            assert_eq!(hardware(temp.path(), 2), Some([2, 10, 0, 0, 0, 255]));
            assert_eq!(hardware(temp.path(), 3), None);
            for nonsense in ["", "02", "02:0a:00:00:00:ff:00", "zz:0a:00:00:00:ff"] {
                fs::write(temp.path().join("eth0/address"), nonsense).expect("written");
                assert_eq!(hardware(temp.path(), 2), None, "{nonsense}");
            }
        }

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
