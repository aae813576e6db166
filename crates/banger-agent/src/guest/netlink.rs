//! rtnetlink requests (rtnetlink(7)), written by hand: so few of them need no library.

mod addresses;

use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

// linux/rtnetlink.h, linux/netlink.h, linux/if_addr.h, linux/if_link.h
const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;
const IFLA_ADDRESS: u16 = 1;
const IFLA_MTU: u16 = 4;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const IFF_UP: u32 = 1;
const IFA_F_NODAD: u8 = 2;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_BOOT: u8 = 3;
const RTN_UNICAST: u8 = 1;
const RTNH_F_ONLINK: u32 = 4;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const HEADER: usize = 16;

/// A request to the kernel's network configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// Brings an interface up, with an MTU if one is given.
    Up { interface: u32, mtu: Option<u32> },
    /// Takes an interface down, and with it its routes and what it knows of its neighbours.
    Down { interface: u32 },
    /// Gives an interface a hardware address. What it knows of its neighbours is forgotten, also when
    /// it is the one that it has.
    Hardware { interface: u32, mac: [u8; 6] },
    /// Adds an address, or makes sure that it is there.
    Add {
        interface: u32,
        address: IpAddr,
        prefix: u8,
    },
    /// Takes an address away, and with it the routes that need it.
    Remove {
        interface: u32,
        address: IpAddr,
        prefix: u8,
    },
    /// Makes a gateway the default route of its family, on the link whatever the prefix says.
    Default { interface: u32, gateway: IpAddr },
}

/// A message with its attributes.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
        // Sequence number and port: one request at a time on one socket.
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(body);
        Self(bytes)
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len())
            .unwrap_or(u32::MAX)
            .to_ne_bytes();
        self.0
            .iter_mut()
            .zip(length)
            .for_each(|(to, from)| *to = from);
        self.0
    }
}

const fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => AF_INET,
        IpAddr::V6(_) => AF_INET6,
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(four) => four.octets().to_vec(),
        IpAddr::V6(six) => six.octets().to_vec(),
    }
}

impl Request {
    fn encode(&self) -> Vec<u8> {
        match *self {
            Self::Up { interface, mtu } => up(interface, mtu),
            Self::Down { interface } => link(interface, 0, IFF_UP).finish(),
            Self::Hardware { interface, mac } => {
                link(interface, 0, 0).attribute(IFLA_ADDRESS, &mac).finish()
            }
            Self::Add {
                interface,
                address,
                prefix,
            } => self::address(
                RTM_NEWADDR,
                NLM_F_CREATE | NLM_F_REPLACE,
                interface,
                address,
                prefix,
            ),
            Self::Remove {
                interface,
                address,
                prefix,
            } => self::address(RTM_DELADDR, 0, interface, address, prefix),
            Self::Default { interface, gateway } => route(interface, gateway),
        }
    }
}

/// `struct ifinfomsg`: family, pad, type, index, flags, mask of flags to change.
fn link(interface: u32, flags: u32, mask: u32) -> Message {
    let mut body = vec![0; 4];
    body.extend_from_slice(&interface.to_ne_bytes());
    body.extend_from_slice(&flags.to_ne_bytes());
    body.extend_from_slice(&mask.to_ne_bytes());
    Message::new(RTM_NEWLINK, 0, &body)
}

fn up(interface: u32, mtu: Option<u32>) -> Vec<u8> {
    let message = link(interface, IFF_UP, IFF_UP);
    let message = match mtu {
        Some(mtu) => message.attribute(IFLA_MTU, &mtu.to_ne_bytes()),
        None => message,
    };
    message.finish()
}

/// `struct ifaddrmsg`: family, prefix length, flags, scope, index.
fn address(kind: u16, flags: u16, interface: u32, address: IpAddr, prefix: u8) -> Vec<u8> {
    // The address is ours alone: detecting duplicates would only cost a second (RFC 4862, 5.4).
    let no_detection = if address.is_ipv6() { IFA_F_NODAD } else { 0 };
    let mut body = vec![family(address), prefix, no_detection, 0];
    body.extend_from_slice(&interface.to_ne_bytes());
    let bytes = octets(address);
    let message = Message::new(kind, flags, &body);
    message
        .attribute(IFA_LOCAL, &bytes)
        .attribute(IFA_ADDRESS, &bytes)
        .finish()
}

/// `struct rtmsg`: family, lengths of destination and source, tos, table, protocol, scope, type,
/// flags.
fn route(interface: u32, gateway: IpAddr) -> Vec<u8> {
    let mut body = vec![
        family(gateway),
        0,
        0,
        0,
        RT_TABLE_MAIN,
        RTPROT_BOOT,
        0,
        RTN_UNICAST,
    ];
    body.extend_from_slice(&RTNH_F_ONLINK.to_ne_bytes());
    let message = Message::new(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &body);
    let message = message.attribute(RTA_GATEWAY, &octets(gateway));
    message
        .attribute(RTA_OIF, &interface.to_ne_bytes())
        .finish()
}

/// A connection to the kernel.
#[derive(Debug)]
pub(super) struct Netlink(OwnedFd);

impl Netlink {
    /// Opens one.
    pub(super) fn open() -> Result<Self> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        socket_with(family, kind, SocketFlags::CLOEXEC, None).map(Self)
    }

    /// The socket, by which the kernel also answers what netdevice(7) has.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Sends a request and waits for its acknowledgement.
    pub(super) fn ask(&self, request: &Request) -> Result<()> {
        send(&self.0, &request.encode(), SendFlags::empty())?;
        let mut answer = [0; 8192];
        let (count, _) = recv(&self.0, &mut answer, RecvFlags::empty())?;
        acknowledged(answer.get(..count).unwrap_or_default())
    }
}

/// Reads `struct nlmsgerr`: 0, or a negative error number.
fn acknowledged(answer: &[u8]) -> Result<()> {
    let kind = answer
        .get(4..6)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u16::from_ne_bytes);
    let code = answer
        .get(HEADER..HEADER + 4)
        .and_then(|bytes| bytes.try_into().ok());
    match (kind, code.map(i32::from_ne_bytes)) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(Errno::from_raw_os_error(code.saturating_neg())),
        _ => Err(Errno::PROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn requests_have_the_kernels_layout() {
        let add = Request::Add {
            interface: 2,
            address: "10.0.2.15".parse().expect("v4"),
            prefix: 24,
        };
        assert_eq!(
            add.encode(),
            [
                40, 0, 0, 0, 20, 0, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0, // header
                2, 24, 0, 0, 2, 0, 0, 0, // ifaddrmsg
                8, 0, 2, 0, 10, 0, 2, 15, // IFA_LOCAL
                8, 0, 1, 0, 10, 0, 2, 15, // IFA_ADDRESS
            ]
        );
        let up = Request::Up {
            interface: 2,
            mtu: Some(1400),
        }
        .encode();
        assert_eq!(up.get(32..), Some(&[8, 0, 4, 0, 0x78, 5, 0, 0][..]));
        let hardware = Request::Hardware {
            interface: 2,
            mac: [2, 3, 4, 5, 6, 7],
        };
        assert_eq!(
            hardware.encode(),
            [
                44, 0, 0, 0, 16, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, // header
                0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // ifinfomsg
                10, 0, 1, 0, 2, 3, 4, 5, 6, 7, 0, 0, // IFLA_ADDRESS, filled up
            ]
        );
        let down = Request::Down { interface: 2 }.encode();
        assert_eq!(
            down.get(20..),
            Some(&[2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0][..])
        );
    }

    #[test]
    fn lengths_are_whole_words_for_every_family() {
        for gateway in ["10.0.2.2", "fec0::2"] {
            let gateway = gateway.parse().expect("an address");
            let message = Request::Default {
                interface: 2,
                gateway,
            }
            .encode();
            let said = u32::from_ne_bytes(message[..4].try_into().expect("four"));
            assert_eq!((said as usize, message.len() % 4), (message.len(), 0));
        }
    }

    #[test]
    fn an_answer_is_an_acknowledgement_an_error_or_nonsense() {
        let answer = |kind: u16, code: i32| {
            let mut bytes = vec![0; 20];
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            bytes[16..20].copy_from_slice(&code.to_ne_bytes());
            bytes
        };
        assert_eq!(acknowledged(&answer(2, 0)), Ok(()));
        assert_eq!(acknowledged(&answer(2, -17)), Err(Errno::EXIST));
        assert_eq!(acknowledged(&answer(3, 0)), Err(Errno::PROTO));
        assert_eq!(acknowledged(b"short"), Err(Errno::PROTO));
    }
}
