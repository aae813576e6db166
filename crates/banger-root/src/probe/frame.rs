//! The probe's frame: Ethernet, IP, and a TCP segment or UDP datagram, with their checksums.

use banger_model::host_names::Mac;
use banger_model::subnet::Subnet;
use banger_proto::root::PathKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a packet to the outside is sent: a public resolver, as any machine might. It never gets there.
const OUTSIDE_V4: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);
const OUTSIDE_V6: Ipv6Addr = Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111);
/// A port of the range that hosts take for themselves (RFC 6335).
const SOURCE_PORT: u16 = 61_042;
const HTTPS: u16 = 443;
const DNS: u16 = 53;
/// Hops that it may make: even if nothing held it, the first router would.
const HOPS: u8 = 2;

/// IP protocol numbers (RFC 9293, RFC 768).
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Who the packet is from and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    from: IpAddr,
    to: IpAddr,
    is_out: bool,
}

impl Ends {
    /// The ends of a probe: the subnet's throw-away guest, and the outside or the bridge.
    pub(crate) fn of(kind: PathKind, subnet: &Subnet) -> Self {
        let part = subnet.probe_part();
        let (v4, v6) = (subnet.guest_v4(part), subnet.guest_v6(part));
        let (from, to): (IpAddr, IpAddr) = match kind {
            PathKind::OutIpv4 => (v4.into(), OUTSIDE_V4.into()),
            PathKind::OutIpv6 => (v6.into(), OUTSIDE_V6.into()),
            PathKind::HostIpv4 => (v4.into(), subnet.gateway_v4().into()),
            PathKind::HostIpv6 => (v6.into(), subnet.gateway_v6().into()),
        };
        Self {
            from,
            to,
            is_out: kind.is_out(),
        }
    }

    /// The guest's address.
    pub(crate) const fn guest(&self) -> IpAddr {
        self.from
    }

    /// Whether both are IPv6.
    pub(crate) const fn is_ipv6(&self) -> bool {
        self.from.is_ipv6()
    }
}

/// The frame as the guest sends it to the bridge: the beginning of a connection to the outside, or a
/// datagram to where names are served.
pub(crate) fn frame(ends: &Ends, bridge: [u8; 6]) -> Vec<u8> {
    let protocol = if ends.is_out { TCP } else { UDP };
    let transport = transport(ends, protocol);
    let (kind, header) = match (ends.from, ends.to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            ([0x08, 0x00], ipv4(from, to, protocol, transport.len()))
        }
        (from, to) => ([0x86, 0xdd], ipv6(from, to, protocol, transport.len())),
    };
    [
        &bridge[..],
        Mac::PROBE.as_bytes(),
        &kind,
        &header,
        &transport,
    ]
    .concat()
}

/// RFC 791, 3.1: version and header length, no options.
fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: usize) -> Vec<u8> {
    let length = bytes(20 + payload);
    let head = |sum: [u8; 2]| {
        [
            &[0x45, 0],
            &length[..],
            &[0, 0, 0x40, 0, HOPS, protocol],
            &sum,
            &from.octets(),
            &to.octets(),
        ]
        .concat()
    };
    head(checksum(&head([0, 0])))
}

/// RFC 8200, 3.
fn ipv6(from: IpAddr, to: IpAddr, protocol: u8, payload: usize) -> Vec<u8> {
    [
        &[0x60, 0, 0, 0],
        &bytes(payload)[..],
        &[protocol, HOPS],
        &octets(from),
        &octets(to),
    ]
    .concat()
}

/// A SYN (RFC 9293, 3.1), or an empty datagram (RFC 768).
fn transport(ends: &Ends, protocol: u8) -> Vec<u8> {
    let port = if protocol == TCP { HTTPS } else { DNS };
    let ports = [SOURCE_PORT.to_be_bytes(), port.to_be_bytes()].concat();
    let body = |sum: [u8; 2]| {
        if protocol == TCP {
            // Sequence and acknowledgement 0, five words of header, SYN, a window of 64 KiB, nothing urgent.
            [
                &ports[..],
                &[0; 8],
                &[0x50, 0x02, 0xff, 0xff],
                &sum,
                &[0, 0],
            ]
            .concat()
        } else {
            [&ports[..], &[0, 8], &sum].concat()
        }
    };
    let empty = body([0, 0]);
    let pseudo = [
        &octets(ends.from)[..],
        &octets(ends.to),
        &bytes(empty.len()),
        &[0, protocol],
        &empty,
    ]
    .concat();
    body(checksum(&pseudo))
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// A length of at most 60, as it is sent.
fn bytes(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

/// The ones' complement sum of RFC 1071, over an even number of bytes.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = u16::try_from(sum).unwrap_or(u16::MAX);
    (!sum).to_be_bytes()
}
