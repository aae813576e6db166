//! Addresses of links: listing all of them, adding to and taking away from marked links.

use crate::Outcome;
use crate::links::Marked;
use crate::netlink::message::{
    Message, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, attribute, u32_at,
};
use crate::netlink::{Error, Netlink};
use rustix::io::Errno;
use std::net::IpAddr;

// linux/rtnetlink.h, linux/if_addr.h
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// The address is ours alone: detecting duplicates would keep it unusable for a second (RFC 4862, 5.4).
const IFA_F_NODAD: u8 = 2;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// An address that a link has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The link's index.
    pub interface: u32,
    /// The link's own address.
    pub address: IpAddr,
    /// Length of the network part, in bits.
    pub prefix: u8,
}

/// Every address of the namespace, of both families.
pub fn list(netlink: &Netlink) -> Result<Vec<Address>, Error> {
    let request = Message::new(RTM_GETADDR, NLM_F_DUMP, &[0; 8]);
    netlink.list("list addresses", &request, decode)
}

/// Gives a link an address; IPv6 without detection of duplicates.
pub fn add(
    netlink: &Netlink,
    link: &Marked,
    address: IpAddr,
    prefix: u8,
) -> Result<Outcome, Error> {
    let asked = format!("add {address}/{prefix} to {link}");
    let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    let request = request(RTM_NEWADDR, flags, link.index(), address, prefix);
    idempotent(netlink.ask(&asked, request), Errno::EXIST)
}

/// Takes an address from a link, and with it the routes that need it.
pub fn delete(
    netlink: &Netlink,
    link: &Marked,
    address: IpAddr,
    prefix: u8,
) -> Result<Outcome, Error> {
    let asked = format!("take {address}/{prefix} from {link}");
    let request = request(RTM_DELADDR, NLM_F_ACK, link.index(), address, prefix);
    idempotent(netlink.ask(&asked, request), Errno::ADDRNOTAVAIL)
}

fn idempotent(result: Result<(), Error>, so_already: Errno) -> Result<Outcome, Error> {
    match result {
        Ok(()) => Ok(Outcome::Made),
        Err(error) if error.refused() == Some(so_already) => Ok(Outcome::WasSoAlready),
        Err(error) => Err(error),
    }
}

/// `struct ifaddrmsg`: family, prefix length, flags, scope, index.
fn request(kind: u16, flags: u16, index: u32, address: IpAddr, prefix: u8) -> Message {
    let (family, no_detection) = match address {
        IpAddr::V4(_) => (AF_INET, 0),
        IpAddr::V6(_) => (AF_INET6, IFA_F_NODAD),
    };
    let mut body = vec![family, prefix, no_detection, 0];
    body.extend_from_slice(&index.to_ne_bytes());
    let bytes = octets(address);
    Message::new(kind, flags, &body)
        .attribute(IFA_LOCAL, &bytes)
        .attribute(IFA_ADDRESS, &bytes)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    }
}

/// The address in an attribute, by its length.
pub(crate) fn address(value: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(value).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from))
        .ok()
}

fn decode(kind: u16, body: &[u8]) -> Option<Address> {
    if kind != RTM_NEWADDR {
        return None;
    }
    let attributes = body.get(8..)?;
    // On a point-to-point link IFA_ADDRESS is the other end; IPv6 has no IFA_LOCAL elsewhere.
    let own = attribute(attributes, IFA_LOCAL).or_else(|| attribute(attributes, IFA_ADDRESS))?;
    Some(Address {
        interface: u32_at(body, 4)?,
        address: address(own)?,
        prefix: *body.get(1)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_own_end_of_a_point_to_point_link_is_its_address() {
        let message = |local: bool| {
            let body = [AF_INET, 32, 0, 0, 5, 0, 0, 0];
            let message =
                Message::new(RTM_NEWADDR, 0, &body).attribute(IFA_ADDRESS, &[10, 0, 0, 2]);
            let message = if local {
                message.attribute(IFA_LOCAL, &[10, 0, 0, 1])
            } else {
                message
            };
            let bytes = message.finish(1);
            decode(RTM_NEWADDR, &bytes[16..])
                .expect("an address")
                .address
                .to_string()
        };
        assert_eq!(
            (message(true).as_str(), message(false).as_str()),
            ("10.0.0.1", "10.0.0.2")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(RTM_NEWADDR, &body);
            let _ = address(&body);
        }
    }
}
