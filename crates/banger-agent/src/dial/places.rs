//! Where in the guest a port may be: the loopback addresses, then whatever a server is bound to.

use crate::calls::blocking;
use crate::ports;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Addresses that are tried before anybody is asked who listens.
pub(super) const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// How many addresses that servers are bound to are tried.
const MOST_PLACES: usize = 8;

/// Where servers are bound to the port, the best place first.
pub(super) async fn bound(udp: bool, port: u16) -> Vec<SocketAddr> {
    let found = blocking(move || Ok(ports::bound(udp, port))).await;
    // Without /proc nobody can tell: the loopback addresses are all that is left.
    let addresses = ranked(&found.unwrap_or_default());
    addresses
        .into_iter()
        .map(|address| SocketAddr::new(address, port))
        .collect()
}

/// The addresses by which bound sockets are reached, in order: loopback first, each once.
fn ranked(bound: &[IpAddr]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = bound.iter().filter_map(|address| reach(*address)).collect();
    addresses.sort_by_key(|address| {
        let rank = LOOPBACK.iter().position(|loopback| loopback == address);
        (rank.unwrap_or(LOOPBACK.len()), *address)
    });
    addresses.dedup();
    addresses.truncate(MOST_PLACES);
    addresses
}

/// How a socket that is bound to an address is reached from inside of the guest. A link-local address
/// would need its interface, which the table does not name.
fn reach(bound: IpAddr) -> Option<IpAddr> {
    match bound {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Some(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V6(address) if address.is_unicast_link_local() => None,
        address => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_comes_first_and_each_address_once() {
        let bound = [
            "fe80::1",
            "172.16.0.2",
            "::",
            "127.0.0.1",
            "0.0.0.0",
            "127.0.0.2",
        ];
        let bound = bound.map(|text| text.parse().expect(text));
        let shown: Vec<_> = ranked(&bound).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["127.0.0.1", "::1", "127.0.0.2", "172.16.0.2"]);
    }
}
