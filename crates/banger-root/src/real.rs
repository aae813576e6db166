//! The real host, through `banger-linux`.

use crate::judge::Place;
use crate::kernel::{Address, Kernel, KernelError, Link, LinkChange, ProbePacket, Route, Switch};
use crate::listing::Listing;
use banger_linux::addresses;
use banger_linux::links::{self, Change, Kind, Marked};
use banger_linux::names::{InterfaceName, Mark, TableName};
use banger_linux::netlink::Netlink;
use banger_linux::nftables::{self, Nft, Trace};
use banger_linux::programs::{Call, Cancel, Limits, Program, Programs};
use banger_linux::routes;
use banger_linux::sysctl::{self, Sysctl, SysctlError};
use banger_linux::taps::{self, NewTap};
use banger_model::host_names::{PROBE_TAP, TapSlot};
use banger_model::policy::Family;
use banger_model::subnet::Cidr;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long `resolvectl` may take: it asks a daemon that may be starting.
const RESOLVECTL_TIME: Duration = Duration::from_secs(5);
/// What it may print.
const RESOLVECTL_OUTPUT: usize = 16 * 1024;
/// How long a probe's packet is followed, three times: the kernel drops traces when it is busy.
const PROBE_TIME: Duration = Duration::from_millis(700);
const PROBE_TRIES: u32 = 3;

/// The host, for one request: what waits ends when `cancel` says so.
pub(crate) struct RealKernel<'a> {
    place: &'a Place,
    programs: &'a Programs,
    cancel: Cancel<'a>,
    netlink: Netlink,
    bridge: InterfaceName,
    mark: Mark,
}

fn failed(error: impl fmt::Display) -> KernelError {
    KernelError::Failed(error.to_string())
}

impl From<links::ClaimError> for KernelError {
    fn from(error: links::ClaimError) -> Self {
        match error {
            links::ClaimError::Foreign { name, alias } => Self::Foreign {
                name,
                alias: (!alias.is_empty()).then_some(alias),
            },
            links::ClaimError::Netlink(error) => failed(error),
        }
    }
}

impl<'a> RealKernel<'a> {
    pub(crate) fn open(
        place: &'a Place,
        programs: &'a Programs,
        cancel: Cancel<'a>,
    ) -> Result<Self, KernelError> {
        Ok(Self {
            place,
            programs,
            cancel,
            netlink: Netlink::open().map_err(failed)?,
            bridge: name(place.bridge.as_str())?,
            mark: Mark::parse(&place.installation.mark()).map_err(failed)?,
        })
    }

    fn claim(&self, name: &InterfaceName) -> Result<Marked, KernelError> {
        links::claim(&self.netlink, name, &self.mark)?
            .ok_or_else(|| failed(format_args!("there is no interface {name}")))
    }

    fn link(&self, link: links::Link) -> Link {
        let ours = links::bears(&link, &self.mark);
        let (is_tap, owner) = match &link.kind {
            Kind::Tap(tap) => (true, tap.owner),
            _ => (false, None),
        };
        Link {
            index: link.index,
            mac: link.mac.map(|mac| mac.0),
            ours,
            alias: link.alias.map(|alias| alias.escape_debug().to_string()),
            master: link.master,
            mtu: link.mtu,
            up: link.up,
            carrier: link.carrier,
            owner,
            is_tap,
            is_bridge: link.kind == Kind::Bridge,
            name: link.name,
        }
    }

    fn create(&self, name: &InterfaceName, owner: u32, bridge: u32) -> Result<Marked, KernelError> {
        let change = Change {
            up: Some(true),
            mtu: None,
            master: Some(bridge),
        };
        // Not isolated at the bridge: the rules forbid what that would, and say so when asked.
        let tap = NewTap {
            name,
            mark: &self.mark,
            owner,
            change,
            isolated: false,
        };
        taps::create(&self.netlink, &tap).map_err(|error| match error {
            taps::TapError::Link(error) => error.into(),
            error => failed(error),
        })
    }

    fn nft(&self) -> Nft<'_> {
        // A transaction that was begun is finished, whoever has gone away.
        Nft::new(self.programs, Cancel::Never)
    }

    fn send_traced(
        &self,
        tap: &Marked,
        packet: &ProbePacket<'_>,
        line: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), KernelError> {
        // In this order: nft names the rules that were there when it began to listen.
        self.nft().apply(packet.rules).map_err(failed)?;
        let mut trace = Trace::start(self.programs).map_err(failed)?;
        let open = taps::open(&self.netlink, tap).map_err(failed)?;
        for _ in 0..PROBE_TRIES {
            open.send(packet.frame).map_err(failed)?;
            let deadline = Instant::now() + PROBE_TIME;
            while let Some(text) = trace.line(deadline).map_err(failed)? {
                if line(&text) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn name(text: &str) -> Result<InterfaceName, KernelError> {
    InterfaceName::parse(text).map_err(failed)
}

fn cidr(address: IpAddr, prefix: u8) -> Option<Cidr> {
    Cidr::new(address, prefix).ok()
}

impl Kernel for RealKernel<'_> {
    fn links(&self) -> Result<Vec<Link>, KernelError> {
        let links = links::list(&self.netlink).map_err(failed)?;
        Ok(links.into_iter().map(|link| self.link(link)).collect())
    }

    fn addresses(&self) -> Result<Vec<Address>, KernelError> {
        let all = addresses::list(&self.netlink).map_err(failed)?.into_iter();
        let known = all.filter_map(|found| {
            let address = cidr(found.address, found.prefix)?;
            Some(Address {
                interface: found.interface,
                address,
            })
        });
        Ok(known.collect())
    }

    fn routes(&self) -> Result<Vec<Route>, KernelError> {
        let all = routes::list(&self.netlink).map_err(failed)?.into_iter();
        let known = all.filter_map(|found| {
            let to = cidr(found.destination, found.prefix)?;
            Some(Route {
                to,
                interface: found.interface,
                metric: found.metric,
            })
        });
        Ok(known.collect())
    }

    fn create_bridge(&self, mtu: u16) -> Result<(), KernelError> {
        // Locally administered and the installation's, so that guests find the same neighbour when the
        // bridge is made anew.
        let [a, b, c, d, e, ..] = *self.place.installation.as_bytes();
        let bridge = links::Bridge {
            name: &self.bridge,
            mark: &self.mark,
            mac: links::Mac([0x0a, a, b, c, d, e]),
            mtu: u32::from(mtu),
        };
        links::create_bridge(&self.netlink, &bridge)?;
        Ok(())
    }

    fn create_tap(&self, slot: TapSlot, bridge: u32) -> Result<(), KernelError> {
        self.create(&name(&slot.interface())?, self.place.owner, bridge)
            .map(drop)
    }

    fn change(&self, link: &str, change: LinkChange) -> Result<(), KernelError> {
        let link = self.claim(&name(link)?)?;
        let change = Change {
            up: change.up,
            mtu: change.mtu.map(u32::from),
            master: change.master,
        };
        links::change(&self.netlink, &link, change).map_err(failed)
    }

    fn delete(&self, names: &[String]) -> Result<(), KernelError> {
        let mut marked = Vec::with_capacity(names.len());
        for text in names {
            marked.extend(links::claim(&self.netlink, &name(text)?, &self.mark)?);
        }
        let deleted = taps::delete(&self.netlink, marked).map_err(failed)?;
        deleted
            .into_iter()
            .try_for_each(|(_, outcome)| outcome.map(drop).map_err(KernelError::from))
    }

    fn add_address(&self, address: Cidr) -> Result<(), KernelError> {
        let bridge = self.claim(&self.bridge)?;
        let added = addresses::add(&self.netlink, &bridge, address.address(), address.prefix());
        added.map(drop).map_err(failed)
    }

    fn delete_address(&self, address: Cidr) -> Result<(), KernelError> {
        let bridge = self.claim(&self.bridge)?;
        let deleted =
            addresses::delete(&self.netlink, &bridge, address.address(), address.prefix());
        deleted.map(drop).map_err(failed)
    }

    fn tables(&self, table: &str) -> Result<[Option<Listing>; 2], KernelError> {
        let families = Family::ALL.map(|family| match family {
            Family::Bridge => nftables::Family::Bridge,
            Family::Inet => nftables::Family::Inet,
        });
        let table = TableName::parse(table).map_err(failed)?;
        self.nft().both_listed(&table, families).map_err(failed)
    }

    fn apply(&self, transaction: &str) -> Result<(), KernelError> {
        self.nft().apply(transaction).map_err(failed)
    }

    fn switch(&self, switch: &Switch) -> Result<Option<i32>, KernelError> {
        self.with_sysctl(switch, |sysctl| match sysctl::read(sysctl) {
            Ok(value) => Ok(Some(value)),
            Err(SysctlError::Absent { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        })
    }

    fn set_switch(&self, switch: &Switch, value: i32) -> Result<(), KernelError> {
        self.with_sysctl(switch, |sysctl| {
            sysctl::write(sysctl, value).map(drop).map_err(failed)
        })
    }

    fn resolvectl(&self, arguments: &[&str]) -> Option<String> {
        if !self.programs.has(Program::Resolvectl) {
            return None;
        }
        let call = Call {
            program: Program::Resolvectl,
            arguments,
            input: None,
            limits: Limits {
                time: RESOLVECTL_TIME,
                output: RESOLVECTL_OUTPUT,
            },
            cancel: self.cancel,
        };
        let output = self
            .programs
            .run(&call)
            .ok()
            .filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    }

    fn probe(
        &self,
        bridge: u32,
        packet: &ProbePacket<'_>,
        line: &mut dyn FnMut(&str) -> bool,
    ) -> Result<(), KernelError> {
        let tap_name = name(PROBE_TAP)?;
        self.delete(&[PROBE_TAP.to_owned()])?;
        let tap = self.create(&tap_name, 0, bridge)?;
        let sent = self.send_traced(&tap, packet, line);
        // In any case, and both of them.
        let unloaded = self.nft().apply(packet.removal).map_err(failed);
        let deleted = links::delete(&self.netlink, &tap)
            .map(drop)
            .map_err(KernelError::from);
        sent.and(unloaded).and(deleted)
    }
}

impl RealKernel<'_> {
    fn with_sysctl<T>(
        &self,
        switch: &Switch,
        work: impl FnOnce(Sysctl<'_>) -> Result<T, KernelError>,
    ) -> Result<T, KernelError> {
        let bridge = &self.bridge;
        let named;
        let sysctl = match switch {
            Switch::Ipv4Forward => Sysctl::Ipv4Forward,
            Switch::Ipv6Forward => Sysctl::Ipv6ForwardAll,
            Switch::BridgeIpv4 => Sysctl::Ipv4Forwarding(bridge),
            Switch::BridgeIpv6 => Sysctl::Ipv6Forwarding(bridge),
            Switch::BridgeRedirects => Sysctl::SendRedirects(bridge),
            Switch::BridgeAcceptRa => Sysctl::AcceptRa(bridge),
            Switch::AcceptRa(interface) => {
                named = name(interface)?;
                Sysctl::AcceptRa(&named)
            }
        };
        work(sysctl)
    }
}
