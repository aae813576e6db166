//! Routes of the main table: what the host reaches, and by which link it reaches everything else.

use crate::addresses::address;
use crate::netlink::message::{Message, NLM_F_DUMP, attribute, u32_at};
use crate::netlink::{Error, Netlink};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

// linux/rtnetlink.h
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RTA_MULTIPATH: u16 = 9;
const RTA_TABLE: u16 = 15;
const RT_TABLE_MAIN: u32 = 254;
const RTN_UNICAST: u8 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Length of `struct rtmsg`.
const ROUTE: usize = 12;

/// A unicast route of the main table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// First address of where it leads.
    pub destination: IpAddr,
    /// Length of the network part, in bits; 0 for the default route.
    pub prefix: u8,
    /// The link that packets leave by; for several ways, the first.
    pub interface: Option<u32>,
    /// The next router, where there is one of the same family.
    pub gateway: Option<IpAddr>,
    /// The metric: the lowest of equal destinations is used.
    pub metric: u32,
}

/// All of them, of both families.
pub fn list(netlink: &Netlink) -> Result<Vec<Route>, Error> {
    let request = Message::new(RTM_GETROUTE, NLM_F_DUMP, &[0; ROUTE]);
    netlink.list("list routes", &request, decode)
}

/// The link that packets to everywhere leave by: that of the default route with the lowest metric,
/// IPv4's before IPv6's.
pub fn uplink(routes: &[Route]) -> Option<u32> {
    let defaults = routes.iter().filter(|route| route.prefix == 0);
    let usable = defaults.filter_map(|route| Some((route, route.interface?)));
    let best = usable.min_by_key(|(route, _)| (route.destination.is_ipv6(), route.metric));
    best.map(|(_, interface)| interface)
}

/// `struct rtmsg`: family, lengths of destination and source, tos, table, protocol, scope, type, flags.
fn decode(kind: u16, body: &[u8]) -> Option<Route> {
    let attributes = body.get(ROUTE..)?;
    let (family, prefix) = (*body.first()?, *body.get(1)?);
    let number = |kind| attribute(attributes, kind).and_then(|value| u32_at(value, 0));
    let table = number(RTA_TABLE).or_else(|| body.get(4).map(|table| u32::from(*table)));
    if kind != RTM_NEWROUTE || table != Some(RT_TABLE_MAIN) || *body.get(7)? != RTN_UNICAST {
        return None;
    }
    let everywhere = match family {
        AF_INET => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AF_INET6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    Some(Route {
        destination: attribute(attributes, RTA_DST).map_or(Some(everywhere), address)?,
        prefix,
        interface: number(RTA_OIF).or_else(|| first_way(attributes)),
        gateway: attribute(attributes, RTA_GATEWAY).and_then(address),
        metric: number(RTA_PRIORITY).unwrap_or_default(),
    })
}

/// `struct rtnexthop`: length, flags, hops, index.
fn first_way(attributes: &[u8]) -> Option<u32> {
    u32_at(attribute(attributes, RTA_MULTIPATH)?, 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn default(version: &str, interface: Option<u32>, metric: u32) -> Route {
        Route {
            destination: version.parse().expect("an address"),
            prefix: 0,
            interface,
            gateway: None,
            metric,
        }
    }

    #[test]
    fn the_uplink_is_ipv4_s_before_ipv6_s_and_has_a_link() {
        let six = default("::", Some(6), 0);
        assert_eq!(uplink(&[]), None);
        assert_eq!(uplink(&[six]), Some(6));
        assert_eq!(uplink(&[six, default("0.0.0.0", Some(4), 900)]), Some(4));
        assert_eq!(
            uplink(&[six, default("0.0.0.0", None, 1)]),
            Some(6),
            "a blackhole is no way"
        );
        let narrow = Route {
            prefix: 8,
            ..default("10.0.0.0", Some(3), 0)
        };
        assert_eq!(uplink(&[narrow]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(RTM_NEWROUTE, &body);
            let _ = first_way(&body);
        }
    }
}
