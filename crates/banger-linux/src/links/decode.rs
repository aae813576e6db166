//! Reading one link out of the kernel's message. Pure. Only what is used is looked at: a link of
//! an unknown kind, or with attributes of a newer kernel, is still a link.

use super::{
    IFF_UP, IFLA_ADDRESS, IFLA_BRPORT_ISOLATED, IFLA_GROUP, IFLA_IFALIAS, IFLA_IFNAME,
    IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_INFO_SLAVE_DATA, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU,
    RTM_NEWLINK,
};
use crate::netlink::message::{attribute, attributes, text, u32_at};
use std::fmt;

// linux/if_link.h
const IFLA_OPERSTATE: u16 = 16;
const IFLA_CARRIER: u16 = 33;
const IFLA_TUN_OWNER: u16 = 1;
const IFLA_TUN_TYPE: u16 = 3;
const IFLA_TUN_VNET_HDR: u16 = 5;
const IFLA_TUN_PERSIST: u16 = 6;
/// linux/if_tun.h: `IFF_TAP`, as the value of `IFLA_TUN_TYPE`.
const TYPE_TAP: u8 = 2;
/// Length of `struct ifinfomsg`.
const INFO: usize = 16;

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What a link is, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A bridge.
    Bridge,
    /// A TAP.
    Tap(TapDetails),
    /// Another kind by its name (`veth`, `tun`, …); empty for hardware and loopback.
    Other(String),
}

/// What only a TAP has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapDetails {
    /// The user who may attach to it; none where only privileged users may.
    pub owner: Option<u32>,
    /// Whether it stays when nobody is attached.
    pub persistent: bool,
    /// Whether frames carry `struct virtio_net_hdr` now. Each program that attaches chooses.
    pub vnet_hdr: bool,
}

/// RFC 2863's operational state (linux/if.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperState {
    /// Not said.
    Unknown,
    /// Down, or below something that is.
    Down,
    /// It can pass packets.
    Up,
    /// Testing, dormant or not present.
    Other(u8),
}

/// A link as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The interface index.
    pub index: u32,
    /// Its name as the kernel has it, which need not be an [`crate::names::InterfaceName`].
    pub name: String,
    /// Its alias.
    pub alias: Option<String>,
    /// What it is.
    pub kind: Kind,
    /// Its own address, where it has an Ethernet one.
    pub mac: Option<Mac>,
    /// The index of the bridge (bond, …) that it is a port of.
    pub master: Option<u32>,
    /// Bytes of an IP packet.
    pub mtu: u32,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether something is at its other end: for a TAP, a program.
    pub carrier: bool,
    /// Whether it works.
    pub operstate: OperState,
    /// For a bridge port: whether it is isolated from other isolated ports.
    pub isolated: Option<bool>,
    /// The group of links that it is in; 0 where nobody chose one.
    pub group: u32,
}

/// Reads an `RTM_NEWLINK` message.
pub(super) fn link(kind: u16, body: &[u8]) -> Option<Link> {
    if kind != RTM_NEWLINK {
        return None;
    }
    let mut link = Link {
        index: u32_at(body, 4)?,
        name: String::new(),
        alias: None,
        kind: Kind::Other(String::new()),
        mac: None,
        master: None,
        mtu: 0,
        up: u32_at(body, 8)? & IFF_UP != 0,
        carrier: false,
        operstate: OperState::Unknown,
        isolated: None,
        group: 0,
    };
    for (kind, value) in attributes(body.get(INFO..)?) {
        read(&mut link, kind, value);
    }
    (!link.name.is_empty()).then_some(link)
}

fn read(link: &mut Link, kind: u16, value: &[u8]) {
    match kind {
        IFLA_IFNAME => link.name = text(value),
        IFLA_IFALIAS => link.alias = Some(text(value)).filter(|alias| !alias.is_empty()),
        IFLA_ADDRESS => link.mac = value.try_into().ok().map(Mac),
        IFLA_MTU => link.mtu = u32_at(value, 0).unwrap_or_default(),
        IFLA_MASTER => link.master = u32_at(value, 0),
        IFLA_GROUP => link.group = u32_at(value, 0).unwrap_or_default(),
        IFLA_CARRIER => link.carrier = is_set(value),
        IFLA_OPERSTATE => link.operstate = operstate(value),
        IFLA_LINKINFO => {
            link.kind = self::kind(value);
            let port = attribute(value, IFLA_INFO_SLAVE_DATA);
            let isolated = port.and_then(|port| attribute(port, IFLA_BRPORT_ISOLATED));
            link.isolated = isolated.map(is_set);
        }
        _ => {}
    }
}

fn kind(info: &[u8]) -> Kind {
    let name = attribute(info, IFLA_INFO_KIND)
        .map(text)
        .unwrap_or_default();
    let data = attribute(info, IFLA_INFO_DATA).unwrap_or_default();
    match name.as_str() {
        "bridge" => Kind::Bridge,
        "tun" if attribute(data, IFLA_TUN_TYPE) == Some(&[TYPE_TAP]) => Kind::Tap(TapDetails {
            owner: attribute(data, IFLA_TUN_OWNER).and_then(|value| u32_at(value, 0)),
            persistent: attribute(data, IFLA_TUN_PERSIST).is_some_and(is_set),
            vnet_hdr: attribute(data, IFLA_TUN_VNET_HDR).is_some_and(is_set),
        }),
        _ => Kind::Other(name),
    }
}

fn operstate(value: &[u8]) -> OperState {
    match value.first() {
        Some(6) => OperState::Up,
        Some(2 | 3) => OperState::Down,
        None | Some(0) => OperState::Unknown,
        Some(other) => OperState::Other(*other),
    }
}

fn is_set(value: &[u8]) -> bool {
    value.first().is_some_and(|byte| *byte != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::message::{HEADER, Message, Nest};
    use proptest::prelude::*;

    fn message(attributes: impl FnOnce(Message) -> Message) -> Vec<u8> {
        let mut body = vec![0; INFO];
        body[4] = 7;
        body[8] = 1;
        let bytes = attributes(Message::new(RTM_NEWLINK, 0, &body)).finish(1);
        bytes[HEADER..].to_vec()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_link_of_an_unknown_kind_with_unknown_attributes_is_still_a_link() {
        let info = Nest::default()
            .attribute(IFLA_INFO_KIND, b"frob\0")
            .attribute(999, &[1; 70]);
        let body = message(|message| {
            message
                .attribute(2000, &[1, 2, 3])
                .text(IFLA_IFNAME, "odd %d\u{1b}")
                .attribute(IFLA_ADDRESS, &[1, 2, 3])
                .nested(IFLA_LINKINFO, &info)
                .attribute(IFLA_MTU, &[1])
                .attribute(IFLA_OPERSTATE, &[99])
        });
        let read = link(RTM_NEWLINK, &body).expect("a link");
        assert_eq!(
            (read.index, read.up, read.mtu, read.mac),
            (7, true, 0, None)
        );
        assert_eq!(read.kind, Kind::Other("frob".to_owned()));
        assert_eq!(read.name, "odd %d\u{1b}");
        assert_eq!(read.operstate, OperState::Other(99));
        assert_eq!(link(RTM_NEWLINK + 1, &body), None);
        assert_eq!(
            link(RTM_NEWLINK, &message(|message| message)),
            None,
            "no name"
        );
    }

    #[test]
    fn a_tun_is_no_tap() {
        let kind = |value: u8| {
            let data = Nest::default().attribute(IFLA_TUN_TYPE, &[value]);
            let info = Nest::default()
                .attribute(IFLA_INFO_KIND, b"tun\0")
                .nested(IFLA_INFO_DATA, &data);
            let body =
                message(|message| message.text(IFLA_IFNAME, "t").nested(IFLA_LINKINFO, &info));
            link(RTM_NEWLINK, &body).expect("a link").kind
        };
        assert_eq!(kind(1), Kind::Other("tun".to_owned()));
        let details = TapDetails {
            owner: None,
            persistent: false,
            vnet_hdr: false,
        };
        assert_eq!(kind(TYPE_TAP), Kind::Tap(details));
    }

    #[test]
    fn an_ethernet_address_is_shown_as_everybody_shows_it() {
        assert_eq!(
            Mac([6, 0, 0xab, 1, 0x20, 0xff]).to_string(),
            "06:00:ab:01:20:ff"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(kind in prop_oneof![Just(RTM_NEWLINK), any::<u16>()], body in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = link(kind, &body);
            let _ = self::kind(&body);
        }

        #[test]
        fn any_values_of_known_attributes_are_read_without_panic(
            values in prop::collection::vec((0_u16..60, prop::collection::vec(any::<u8>(), 0..40)), 0..12),
        ) {
            let body = message(|message| {
                values.iter().fold(message, |message, (kind, value)| message.attribute(*kind, value))
            });
            let _ = link(RTM_NEWLINK, &body);
        }
    }
}
