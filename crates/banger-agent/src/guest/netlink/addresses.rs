//! Which addresses an interface has: a dump of many messages.

use super::{
    HEADER, IFA_ADDRESS, IFA_LOCAL, NLM_F_REQUEST, NLMSG_ERROR, Netlink, RTM_NEWADDR, acknowledged,
};
use rustix::io::{Errno, Result};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::net::IpAddr;

// linux/rtnetlink.h, linux/netlink.h
const RTM_GETADDR: u16 = 22;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP: u16 = 0x300;
/// `struct ifaddrmsg`.
const ADDRESS_BODY: usize = 8;
/// `struct rtattr`: length and type.
const ATTRIBUTE: usize = 4;

/// An address and its prefix length.
type Address = (IpAddr, u8);

impl Netlink {
    /// Asks for the addresses of an interface, of all families.
    pub(in crate::guest) fn addresses(&self, interface: u32) -> Result<Vec<Address>> {
        send(&self.0, &request(), SendFlags::empty())?;
        let mut found = Vec::new();
        loop {
            let mut answer = [0; 32_768];
            let (count, _) = recv(&self.0, &mut answer, RecvFlags::empty())?;
            let mut rest = answer.get(..count).unwrap_or_default();
            if rest.is_empty() {
                return Err(Errno::PROTO);
            }
            while let Some((kind, message)) = split(&mut rest) {
                match kind {
                    NLMSG_DONE => return Ok(found),
                    NLMSG_ERROR => acknowledged(message)?,
                    RTM_NEWADDR => found.extend(read(message, interface)),
                    _ => {}
                }
            }
        }
    }
}

fn request() -> Vec<u8> {
    let length = HEADER + ADDRESS_BODY;
    let mut bytes = u32::try_from(length)
        .unwrap_or(u32::MAX)
        .to_ne_bytes()
        .to_vec();
    bytes.extend_from_slice(&RTM_GETADDR.to_ne_bytes());
    bytes.extend_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    bytes.resize(length, 0);
    bytes
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// Takes the first message, with its header, and its kind.
fn split<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let length = u32::from_ne_bytes(number(rest, 0)?) as usize;
    let kind = u16::from_ne_bytes(number(rest, 4)?);
    let message = rest
        .get(..length)
        .filter(|message| message.len() >= HEADER)?;
    *rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, message))
}

/// The address in a message, if it is of that interface. Where there is a peer, `IFA_ADDRESS` is its
/// address, and `IFA_LOCAL` the own one.
fn read(message: &[u8], interface: u32) -> Option<Address> {
    let body = message.get(HEADER..)?;
    let prefix = *body.get(1)?;
    if u32::from_ne_bytes(number(body, 4)?) != interface {
        return None;
    }
    let mut attributes = body.get(ADDRESS_BODY..)?;
    let mut found = None;
    while let (Some(length), Some(kind)) = (number(attributes, 0), number(attributes, 2)) {
        let (length, kind) = (u16::from_ne_bytes(length), u16::from_ne_bytes(kind));
        let length = usize::from(length);
        let address = attributes.get(ATTRIBUTE..length).and_then(ip);
        match kind {
            IFA_LOCAL => found = address,
            IFA_ADDRESS => found = found.or(address),
            _ => {}
        }
        let next = length.max(ATTRIBUTE).next_multiple_of(4);
        attributes = attributes.get(next..).unwrap_or_default();
    }
    Some((found?, prefix))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let six = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    four.or(six).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Request;
    use super::*;
    use proptest::prelude::*;

    fn message(address: &str) -> Vec<u8> {
        let address = address.parse().expect("an address");
        let (interface, prefix) = (2, 24);
        let mut bytes = Request::Add {
            interface,
            address,
            prefix,
        }
        .encode();
        // What adds an address tells of one, too.
        bytes[4..6].copy_from_slice(&RTM_NEWADDR.to_ne_bytes());
        bytes
    }

    #[test]
    fn addresses_of_one_interface_are_read() {
        for text in ["10.0.2.15", "fe80::1"] {
            let address = text.parse().expect("an address");
            assert_eq!(read(&message(text), 2), Some((address, 24)));
            assert_eq!(read(&message(text), 3), None);
        }
    }

    #[test]
    fn messages_are_split_where_each_ends() {
        let both = [message("10.0.2.15"), message("fe80::1")].concat();
        let mut rest = both.as_slice();
        assert_eq!(
            split(&mut rest),
            Some((RTM_NEWADDR, &message("10.0.2.15")[..]))
        );
        assert_eq!(
            split(&mut rest),
            Some((RTM_NEWADDR, &message("fe80::1")[..]))
        );
        assert_eq!(split(&mut rest), None);
    }

    proptest! {
        #[test]
        fn nonsense_never_panics_and_comes_to_an_end(bytes: Vec<u8>) {
            let mut rest = bytes.as_slice();
            while let Some((_, message)) = split(&mut rest) {
                let _ = read(message, 2);
            }
            let _ = read(&bytes, 0);
        }
    }

    mod t1 {
        use super::*;

        #[test]
        fn the_kernel_tells_of_the_loopback_interface() {
            let netlink = Netlink::open().expect("anybody may");
            let index = std::fs::read_to_string("/sys/class/net/lo/ifindex").expect("there");
            let loopback = index.trim_end().parse().expect("a number");
            let addresses = netlink.addresses(loopback).expect("told");
            let own = std::net::Ipv4Addr::LOCALHOST.into();
            // A new network namespace has it down and without an address.
            assert!(
                addresses.is_empty() || addresses.contains(&(own, 8)),
                "{addresses:?}"
            );
            assert_eq!(netlink.addresses(u32::MAX), Ok(vec![]));
        }
    }
}
