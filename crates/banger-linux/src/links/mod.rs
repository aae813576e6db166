//! Links: listing them, and making, changing and removing those with the caller's mark.

mod decode;

use crate::Outcome;
use crate::names::{InterfaceName, Mark};
use crate::netlink::message::{Message, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, Nest};
use crate::netlink::{Error, Netlink};
use rustix::io::Errno;
use std::fmt;

pub use decode::{Kind, Link, Mac, OperState, TapDetails};

// linux/rtnetlink.h
pub(crate) const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
// linux/if_link.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_GROUP: u16 = 27;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_MULTI_BOOLOPT: u16 = 46;
/// `BIT(BR_BOOLOPT_NO_LL_LEARN)`, linux/if_bridge.h
const NO_LINK_LOCAL_LEARN: u32 = 1;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const RTEXT_FILTER_SKIP_STATS: u32 = 8;
/// linux/if.h
const IFF_UP: u32 = 1;

/// Why a link was not touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// It has another mark, or none.
    #[error("{name} is not ours: its alias is '{alias}'; remove or rename it, or use another name")]
    Foreign {
        /// The link's name.
        name: String,
        /// Its alias as it is, without control characters; empty where it has none.
        alias: String,
    },
    /// The kernel could not be asked.
    #[error(transparent)]
    Netlink(#[from] Error),
}

/// A link that was seen to have the caller's mark, or was made with it: the only kind of link that is
/// changed or removed here. It means that very link, by its index: another link that takes over
/// the name is not touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    index: u32,
    name: InterfaceName,
    mark: Mark,
}

impl Marked {
    /// The interface index, which the kernel gives to no other link of the namespace until its
    /// counter has gone round.
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// The mark that it was seen with.
    pub const fn mark(&self) -> &Mark {
        &self.mark
    }

    /// The name that it had.
    pub const fn name(&self) -> &InterfaceName {
        &self.name
    }
}

impl fmt::Display for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

/// Every link of the namespace.
pub fn list(netlink: &Netlink) -> Result<Vec<Link>, Error> {
    let request = Message::new(RTM_GETLINK, NLM_F_DUMP, &body(0, 0, 0))
        .number(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    netlink.list("list links", &request, decode::link)
}

/// The link of that name, if there is one.
pub fn find(netlink: &Netlink, name: &InterfaceName) -> Result<Option<Link>, Error> {
    one(netlink, &format!("look at {name}"), 0, Some(name))
}

/// The link of that name if it has this mark; none where there is no such link.
///
/// # Errors
/// [`ClaimError::Foreign`] where the link has another mark or none.
pub fn claim(
    netlink: &Netlink,
    name: &InterfaceName,
    mark: &Mark,
) -> Result<Option<Marked>, ClaimError> {
    let Some(link) = find(netlink, name)? else {
        return Ok(None);
    };
    verify(&link, name, mark).map(Some)
}

/// The same for a link of a list that was just read: no question to the kernel.
///
/// # Errors
/// [`ClaimError::Foreign`] where the link has another name or mark.
pub fn verify(link: &Link, name: &InterfaceName, mark: &Mark) -> Result<Marked, ClaimError> {
    if !bears(link, mark) || link.name != name.as_str() {
        let alias = link.alias.iter().flat_map(|alias| alias.escape_debug());
        return Err(ClaimError::Foreign {
            name: link.name.escape_debug().to_string(),
            alias: alias.collect(),
        });
    }
    Ok(Marked {
        index: link.index,
        name: name.clone(),
        mark: mark.clone(),
    })
}

/// Whether a link has that mark, or is a bridge that was to get it when its maker died.
pub fn bears(link: &Link, mark: &Mark) -> bool {
    match link.alias.as_deref() {
        Some(alias) => alias == mark.as_str(),
        None => link.kind == Kind::Bridge && link.group == birth_group(mark),
    }
}

/// The group that a bridge with this mark is born in. The kernel takes no alias when it makes a link, but
/// it does take a group, so that a bridge whose maker died before the alias was set is still known.
/// FNV-1a, in the upper half of an `int`'s positive numbers, where nobody counts up to.
fn birth_group(mark: &Mark) -> u32 {
    let hash = mark.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash >> 1 | 1 << 30
}

/// What a bridge is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge<'a> {
    /// Its name.
    pub name: &'a InterfaceName,
    /// Its mark.
    pub mark: &'a Mark,
    /// Its own address. Without one the kernel takes the lowest of its ports', which changes with them.
    pub mac: Mac,
    /// Bytes of an IP packet; the kernel accepts 68 to 65535.
    pub mtu: u32,
}

/// Makes a bridge, down and without spanning tree. It learns no address from frames to link-local groups
/// (LLDP and its like), which no rule sees before it does: who is behind a port could otherwise take
/// over another's.
///
/// # Errors
/// [`Error::Refused`] with `EXIST` where there is any link of that name.
pub fn create_bridge(netlink: &Netlink, bridge: &Bridge<'_>) -> Result<Marked, ClaimError> {
    // `struct br_boolopt_multi`: values, and which of them are given.
    let not_learning = [NO_LINK_LOCAL_LEARN.to_ne_bytes(); 2].concat();
    let options = Nest::default()
        .attribute(IFLA_BR_STP_STATE, &0_u32.to_ne_bytes())
        .attribute(IFLA_BR_MULTI_BOOLOPT, &not_learning);
    let kind = Nest::default()
        .attribute(IFLA_INFO_KIND, b"bridge")
        .nested(IFLA_INFO_DATA, &options);
    let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    let request = Message::new(RTM_NEWLINK, flags, &body(0, 0, 0))
        .text(IFLA_IFNAME, bridge.name.as_str())
        .number(IFLA_GROUP, birth_group(bridge.mark))
        .attribute(IFLA_ADDRESS, &bridge.mac.0)
        .number(IFLA_MTU, bridge.mtu)
        .nested(IFLA_LINKINFO, &kind);
    netlink.ask(&format!("create bridge {}", bridge.name), request)?;
    let made = claim(netlink, bridge.name, bridge.mark)?.ok_or_else(|| Error::Refused {
        asked: format!("find the new bridge {}", bridge.name),
        source: Errno::NODEV,
        said: None,
    })?;
    change(netlink, &made, Change::default())?;
    set_group(netlink, &made, 0)?;
    Ok(made)
}

/// What to change of a link, in one request; what is none stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Up or down.
    pub up: Option<bool>,
    /// Bytes of an IP packet.
    pub mtu: Option<u32>,
    /// The index of the bridge that it becomes a port of; 0 for none.
    pub master: Option<u32>,
}

/// Changes a link, and writes its mark where that is missing.
pub fn change(netlink: &Netlink, link: &Marked, change: Change) -> Result<(), Error> {
    apply(netlink, link.index, &link.name, &link.mark, change)
}

/// Changes a link that this process has just made, and marks it.
pub(crate) fn apply(
    netlink: &Netlink,
    index: u32,
    name: &InterfaceName,
    mark: &Mark,
    change: Change,
) -> Result<(), Error> {
    let (flags, mask) = match change.up {
        None => (0, 0),
        Some(true) => (IFF_UP, IFF_UP),
        Some(false) => (0, IFF_UP),
    };
    let mut request = Message::new(RTM_NEWLINK, NLM_F_ACK, &body(index, flags, mask))
        .attribute(IFLA_IFALIAS, mark.as_str().as_bytes());
    if let Some(mtu) = change.mtu {
        request = request.number(IFLA_MTU, mtu);
    }
    if let Some(master) = change.master {
        request = request.number(IFLA_MASTER, master);
    }
    netlink.ask(&format!("change {name}"), request)
}

/// Says whether a bridge port may exchange frames with other isolated ports of its bridge.
pub fn isolate(netlink: &Netlink, port: &Marked, isolated: bool) -> Result<(), Error> {
    let options = Nest::default().attribute(IFLA_BRPORT_ISOLATED, &[u8::from(isolated)]);
    let slave = Nest::default()
        .attribute(IFLA_INFO_SLAVE_KIND, b"bridge")
        .nested(IFLA_INFO_SLAVE_DATA, &options);
    let request =
        Message::new(RTM_NEWLINK, NLM_F_ACK, &body(port.index, 0, 0)).nested(IFLA_LINKINFO, &slave);
    netlink.ask(&format!("isolate {port}"), request)
}

/// Removes a link, after another look at its name and mark.
///
/// # Errors
/// [`ClaimError::Foreign`] where the index has come to mean a link with another name or mark.
pub fn delete(netlink: &Netlink, link: &Marked) -> Result<Outcome, ClaimError> {
    let asked = format!("delete {link}");
    let Some(found) = one(netlink, &asked, link.index, None)? else {
        return Ok(Outcome::WasSoAlready);
    };
    verify(&found, &link.name, &link.mark)?;
    let request = Message::new(RTM_DELLINK, NLM_F_ACK, &body(link.index, 0, 0));
    match netlink.ask(&asked, request) {
        Ok(()) => Ok(Outcome::Made),
        Err(error) if error.refused() == Some(Errno::NODEV) => Ok(Outcome::WasSoAlready),
        Err(error) => Err(error.into()),
    }
}

/// Puts a link into a group of links (`ip link set group`).
pub(crate) fn set_group(netlink: &Netlink, link: &Marked, group: u32) -> Result<(), Error> {
    let request =
        Message::new(RTM_NEWLINK, NLM_F_ACK, &body(link.index, 0, 0)).number(IFLA_GROUP, group);
    netlink.ask(&format!("put {link} into group {group}"), request)
}

/// Removes all links of a group at once.
pub(crate) fn delete_group(netlink: &Netlink, group: u32) -> Result<(), Error> {
    let request = Message::new(RTM_DELLINK, NLM_F_ACK, &body(0, 0, 0)).number(IFLA_GROUP, group);
    netlink.ask("delete a group of links", request)
}

/// One link by its index or, where that is 0, by its name.
fn one(
    netlink: &Netlink,
    asked: &str,
    index: u32,
    name: Option<&InterfaceName>,
) -> Result<Option<Link>, Error> {
    let mut request = Message::new(RTM_GETLINK, NLM_F_ACK, &body(index, 0, 0))
        .number(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    if let Some(name) = name {
        request = request.text(IFLA_IFNAME, name.as_str());
    }
    match netlink.one(asked, request, decode::link) {
        Err(error) if error.refused() == Some(Errno::NODEV) => Ok(None),
        found => found,
    }
}

/// `struct ifinfomsg`: family, pad, type, index, flags, which flags to change.
fn body(index: u32, flags: u32, mask: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    for field in [index, flags, mask] {
        body.extend_from_slice(&field.to_ne_bytes());
    }
    body
}
