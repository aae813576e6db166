//! The guest's network: loopback and its only card.

mod interfaces;

use super::netlink::{Netlink, Request};
use crate::fault::reason;
use crate::sys::interface;
use banger_proto::guest::message::NetworkConfig;
use rustix::io::Errno;
use std::mem;
use std::net::IpAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long is waited for the link to be there.
const LINK: Duration = Duration::from_millis(100);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(1);

/// The guest's network card, as the agent has set it up.
///
/// ```text
///            apply                 leave
///   unknown ───────▶ configured ───────────▶ bare      down, without addresses and routes
///                    ▲  │  ▲                  │
///                    └──┘  └──────────────────┘
///                   renew         renew
/// ```
#[derive(Debug, Default)]
pub(super) struct Card {
    config: Option<NetworkConfig>,
    /// Its index, once it was found: a guest that goes on need not look for it.
    index: Option<u32>,
    is_bare: bool,
}

impl Card {
    /// What it is configured to.
    pub(super) const fn config(&self) -> Option<&NetworkConfig> {
        self.config.as_ref()
    }

    /// Applies a configuration in the place of an earlier one.
    pub(super) fn apply(&mut self, wanted: Option<&NetworkConfig>) -> Result<(), String> {
        let netlink = open()?;
        let directory = Path::new(interfaces::DIRECTORY);
        if let Some(loopback) = interfaces::index(&directory.join("lo")) {
            let up = Request::Up {
                interface: loopback,
                mtu: None,
            };
            ask(&netlink, &up)?;
        }
        if let Some(wanted) = wanted {
            let Some(index) = interfaces::wait_for(directory) else {
                return Err("the guest has no network interface".to_owned());
            };
            for request in plan(index, self.config(), wanted) {
                ask(&netlink, &request)?;
            }
            wait_for_link(&netlink, index);
            self.index = Some(index);
            self.is_bare = false;
        }
        self.config = wanted.cloned();
        Ok(())
    }

    /// Applies a configuration after a resume, with the card's hardware address if it gets one.
    ///
    /// Another sandbox than the one that was saved shall know nothing of its network any more: the card
    /// goes down, which takes routes, neighbours and most addresses away, and comes up with its own. Where
    /// nothing has changed, all stays as the guest has it, connections too; only neighbours are forgotten, who
    /// may have moved. Without a hardware address of its own (`mac`) it has none but the VMM, which is the same.
    pub(super) fn renew(
        &mut self,
        wanted: Option<&NetworkConfig>,
        mac: Option<[u8; 6]>,
    ) -> Result<(), String> {
        let is_alike = !self.is_bare && self.config() == wanted;
        if is_alike && mac.is_none() {
            return Ok(());
        }
        let netlink = open()?;
        let Some(index) = self.find(&netlink) else {
            return self.apply(wanted);
        };
        if let Some(mac) = mac
            && is_alike
            && interface::hardware(netlink.as_fd(), index) == Ok(mac)
        {
            return ask(
                &netlink,
                &Request::Hardware {
                    interface: index,
                    mac,
                },
            );
        }
        self.begin_anew(&netlink, index, wanted, mac)?;
        if wanted.is_some() {
            wait_for_link(&netlink, index);
        }
        Ok(())
    }

    /// Gives up the card's addresses and routes, and takes it down, in a guest that will be saved as nobody's: none
    /// of those that go on from there has to do it.
    pub(super) fn leave(&mut self) -> Result<(), String> {
        let netlink = open()?;
        if let Some(index) = self.find(&netlink) {
            self.begin_anew(&netlink, index, None, None)?;
            self.is_bare = true;
        }
        Ok(())
    }

    /// Has the card as it is wanted, and nothing on it of earlier.
    fn begin_anew(
        &mut self,
        netlink: &Netlink,
        index: u32,
        wanted: Option<&NetworkConfig>,
        mac: Option<[u8; 6]>,
    ) -> Result<(), String> {
        // Whatever fails on the way: it is bare no more.
        let present = if mem::take(&mut self.is_bare) {
            None
        } else {
            let present = netlink.addresses(index).map_err(|errno| {
                let why = reason(errno);
                format!("cannot ask for the network card's addresses: {why}")
            })?;
            Some(present)
        };
        for request in plan_anew(index, present.as_deref(), wanted, mac) {
            match (&request, netlink.ask(&request)) {
                // It went with the card, or with the one that it was a second of.
                (Request::Remove { .. }, Err(Errno::ADDRNOTAVAIL)) | (_, Ok(())) => {}
                (_, Err(errno)) => return Err(refused(&request, errno)),
            }
        }
        self.config = wanted.cloned();
        Ok(())
    }

    /// The card, where the guest has one.
    fn find(&mut self, netlink: &Netlink) -> Option<u32> {
        let is_there = |index: &u32| interface::is_running(netlink.as_fd(), *index).is_ok();
        let known = self.index.filter(is_there);
        self.index = known.or_else(|| interfaces::find(Path::new(interfaces::DIRECTORY)));
        self.index
    }
}

fn open() -> Result<Netlink, String> {
    Netlink::open().map_err(|e| format!("cannot reach the kernel's network: {e}"))
}

fn ask(netlink: &Netlink, request: &Request) -> Result<(), String> {
    let asked = netlink.ask(request);
    asked.map_err(|errno| refused(request, errno))
}

fn refused(request: &Request, errno: Errno) -> String {
    format!("cannot set the network up ({request:?}): {}", reason(errno))
}

/// What has to be asked for so that nothing of an earlier network is left; `present` are the addresses of a card
/// that is not bare.
fn plan_anew(
    interface: u32,
    present: Option<&[(IpAddr, u8)]>,
    wanted: Option<&NetworkConfig>,
    mac: Option<[u8; 6]>,
) -> Vec<Request> {
    let mut requests = Vec::new();
    requests.extend(present.map(|_| Request::Down { interface }));
    requests.extend(mac.map(|mac| Request::Hardware { interface, mac }));
    let remove = |&(address, prefix): &_| Request::Remove {
        interface,
        address,
        prefix,
    };
    requests.extend(present.into_iter().flatten().map(remove));
    let new = wanted.map(|wanted| plan(interface, None, wanted));
    requests.extend(new.into_iter().flatten());
    requests
}

/// A driver tells of its link a moment after the interface is up; packets before that are lost,
/// and a first connection would be a second late. A cable that is not there is no error.
fn wait_for_link(netlink: &Netlink, index: u32) {
    let limit = Instant::now() + LINK;
    while interface::is_running(netlink.as_fd(), index) != Ok(true) && Instant::now() < limit {
        thread::park_timeout(LOOK);
    }
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
        let requests = plan_anew(2, Some(&present), Some(&wanted), Some(mac));
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
        let without = plan_anew(2, Some(&present), None, None);
        assert_eq!(without.len(), 3, "down, and nothing is left");
    }

    #[test]
    fn a_bare_card_only_gets_what_it_is_to_have() {
        let wanted = config("172.16.0.2");
        let mac = [2, 0, 0, 0, 0, 7];
        let requests = plan_anew(2, None, Some(&wanted), Some(mac));
        let (card, rest) = requests.split_at(1);
        assert_eq!(card, [Request::Hardware { interface: 2, mac }]);
        assert_eq!(rest, plan(2, None, &wanted));
        assert_eq!(plan_anew(2, None, None, None), []);
    }
}
