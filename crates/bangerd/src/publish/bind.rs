//! Binding, and what is said when it does not work.

use super::endpoints::Taken;
use super::holder;
use banger_model::publish::Protocol;
use banger_proto::fault::{Fault, FaultCode};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind as bind_socket, listen, socket_with, sockopt,
};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Connections that wait until they are accepted, in the kernel; more are not answered yet.
const BACKLOG: i32 = 256;
/// The first port that ordinary users may have, where nobody has changed it (ip(7)).
const FIRST_UNPRIVILEGED: u16 = 1024;

/// A bound socket; a TCP one listens.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Socket {
    /// Its own address and port.
    pub(super) fn endpoint(&self) -> std::io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            Self::Udp(socket) => socket.local_addr(),
        }
    }

    /// Resets the connections that wait, and forgets the datagrams.
    pub(super) fn turn_away(&self) {
        match self {
            Self::Tcp(listener) => {
                while let Ok((client, _)) = listener.accept() {
                    // Closed like this it is reset (socket(7), SO_LINGER).
                    let _closed_in_order =
                        sockopt::set_socket_linger(&client, Some(Duration::ZERO));
                }
            }
            Self::Udp(socket) => while socket.recv(&mut []).is_ok() {},
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Udp(socket) => socket.as_fd(),
        }
    }
}

/// Binds a socket that no program started from here inherits. One of IPv6 is of IPv6 alone, so that
/// what is opened is what was written.
pub(super) fn bind(protocol: Protocol, at: SocketAddr) -> Result<Socket, Errno> {
    let (family, kind) = (
        match at {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        },
        match protocol {
            Protocol::Tcp => SocketType::STREAM,
            Protocol::Udp => SocketType::DGRAM,
        },
    );
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = socket_with(family, kind, flags, None)?;
    if at.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if protocol == Protocol::Tcp {
        // Connections of a carrier that was killed are in TIME_WAIT for a minute: they are no reason.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind_socket(&socket, &at)?;
    Ok(match protocol {
        Protocol::Tcp => {
            listen(&socket, BACKLOG)?;
            Socket::Tcp(socket.into())
        }
        Protocol::Udp => Socket::Udp(socket.into()),
    })
}

/// The fault of a port that cannot be had.
pub(super) fn fault(protocol: Protocol, at: SocketAddr, taken: &Taken) -> Fault {
    match taken {
        Taken::By(name) => Fault::new(
            FaultCode::Conflict,
            format!("{at}/{protocol} is published by the sandbox {name}"),
        )
        .with_remedy(format!(
            "choose another port, or `banger vm unpublish {name} {}/{protocol}`",
            at.port()
        )),
        Taken::Kernel(Errno::ADDRINUSE) => in_use(protocol, at, holder::find(protocol, at)),
        Taken::Kernel(errno) => refused(protocol, at, *errno, first_unprivileged()),
    }
}

fn in_use(protocol: Protocol, at: SocketAddr, holder: Option<String>) -> Fault {
    let by = holder.unwrap_or_else(|| "another program".into());
    let remedy = "end that program or choose another port; port 0 is any that is free";
    let message = format!("{at}/{protocol} cannot be published: {by} has that port");
    Fault::new(FaultCode::Conflict, message).with_remedy(remedy)
}

fn refused(protocol: Protocol, at: SocketAddr, errno: Errno, first: u16) -> Fault {
    let cannot = format!("{at}/{protocol} cannot be published");
    match errno {
        Errno::ACCESS => Fault::new(
            FaultCode::Refused,
            format!("{cannot}: ports below {first} need privileges on this host"),
        )
        .with_remedy(format!(
            "choose a port from {first} up, as {}:{port}; or allow it to all users with `sudo sysctl \
             net.ipv4.ip_unprivileged_port_start={port}`",
            u32::from(at.port()) + 8000,
            port = at.port()
        )),
        Errno::ADDRNOTAVAIL => Fault::new(
            FaultCode::BadRequest,
            format!("{cannot}: {} is no address of this host", at.ip()),
        )
        .with_remedy("see `ip address` for those it has; 0.0.0.0 or [::] is all of them"),
        Errno::AFNOSUPPORT => Fault::new(
            FaultCode::Unavailable,
            format!("{cannot}: this host has no {}", family(at)),
        )
        .with_remedy("choose an address of the other family"),
        other => Fault::new(
            FaultCode::Failed,
            format!("{cannot}: {}", std::io::Error::from(other)),
        ),
    }
}

const fn family(at: SocketAddr) -> &'static str {
    match at {
        SocketAddr::V4(_) => "IPv4",
        SocketAddr::V6(_) => "IPv6",
    }
}

fn first_unprivileged() -> u16 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let number = text.ok().and_then(|text| text.trim().parse().ok());
    number.unwrap_or(FIRST_UNPRIVILEGED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect(text)
    }

    fn told(errno: Errno) -> (FaultCode, String) {
        let fault = refused(Protocol::Tcp, at("127.0.0.1:80"), errno, 1024);
        (
            fault.code,
            format!("{fault} | {}", fault.remedy.as_deref().unwrap_or_default()),
        )
    }

    #[test]
    fn a_port_that_needs_privileges_is_told_with_both_ways_out() {
        let (code, text) = told(Errno::ACCESS);
        assert_eq!(code, FaultCode::Refused);
        assert!(
            text.contains("below 1024") && text.contains("8080:80"),
            "{text}"
        );
        assert!(text.contains("ip_unprivileged_port_start=80"), "{text}");
    }

    #[test]
    fn an_address_of_another_host_or_family_is_told() {
        let (code, text) = told(Errno::ADDRNOTAVAIL);
        assert_eq!(code, FaultCode::BadRequest);
        assert!(text.contains("127.0.0.1 is no address"), "{text}");
        assert!(told(Errno::AFNOSUPPORT).1.contains("no IPv4"));
        assert_eq!(told(Errno::NOBUFS).0, FaultCode::Failed);
    }

    #[test]
    fn who_has_a_port_is_named_when_it_is_known() {
        let fault = |holder| in_use(Protocol::Udp, at("[::1]:53"), holder).message;
        assert!(fault(Some("dnsmasq (pid 7)".into())).contains("dnsmasq (pid 7) has"));
        assert!(fault(None).contains("another program has"));
    }

    mod t1 {
        use super::*;

        #[test]
        fn a_socket_is_bound_where_it_was_asked_for_and_nowhere_else() {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                for place in ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0", "0.0.0.0:0"] {
                    let socket = bind(protocol, at(place)).expect(place);
                    let bound = socket.endpoint().expect("bound");
                    assert_eq!(bound.ip(), at(place).ip(), "{protocol}");
                    assert_ne!(bound.port(), 0);
                }
            }
        }
    }
}
