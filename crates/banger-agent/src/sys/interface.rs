//! What the kernel tells of one network interface (netdevice(7)): by a socket of any kind, for a guest that goes on
//! from saved memory and in which each look into sysfs is translated anew.

use rustix::io::{Errno, Result};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Whether an interface is up and can send.
///
/// # Errors
/// `NODEV`: there is none of that index.
pub(crate) fn is_running(socket: BorrowedFd<'_>, index: u32) -> Result<bool> {
    let answer = ask(socket, index, libc::SIOCGIFFLAGS)?;
    // SAFETY: SIOCGIFFLAGS has written the flags; any bits are a number.
    let flags = unsafe { answer.ifr_ifru.ifru_flags };
    Ok(libc::c_int::from(flags) & libc::IFF_RUNNING != 0)
}

/// The hardware address of an interface.
///
/// # Errors
/// `NODEV`: there is none of that index. `AFNOSUPPORT`: its addresses are none of Ethernet.
pub(crate) fn hardware(socket: BorrowedFd<'_>, index: u32) -> Result<[u8; 6]> {
    let answer = ask(socket, index, libc::SIOCGIFHWADDR)?;
    // SAFETY: SIOCGIFHWADDR has written the address, which is 14 bytes behind its kind; any bits are one.
    let address = unsafe { answer.ifr_ifru.ifru_hwaddr };
    if address.sa_family != libc::ARPHRD_ETHER {
        return Err(Errno::AFNOSUPPORT);
    }
    let [a, b, c, d, e, f, ..] = address.sa_data;
    Ok([a, b, c, d, e, f].map(i8::cast_unsigned))
}

/// Asks for something of the interface of that index.
fn ask(socket: BorrowedFd<'_>, index: u32, what: libc::Ioctl) -> Result<libc::ifreq> {
    let index = libc::c_int::try_from(index).map_err(|_| Errno::NODEV)?;
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_ifindex: index,
        },
    };
    // Only names are asked for. It may have got another one between the two: then there is none of this one.
    for what in [libc::SIOCGIFNAME, what] {
        // SAFETY: each reads and writes one `struct ifreq`, which lives through the call.
        let answered = unsafe { libc::ioctl(socket.as_raw_fd(), what, &raw mut request) };
        if answered != 0 {
            let error = std::io::Error::last_os_error();
            return Err(Errno::from_io_error(&error).unwrap_or(Errno::INVAL));
        }
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_numbers_of_the_ioctls_are_those_of_the_kernel() {
        // linux/sockios.h
        assert_eq!(libc::SIOCGIFNAME, 0x8910);
        assert_eq!((libc::SIOCGIFFLAGS, libc::SIOCGIFHWADDR), (0x8913, 0x8927));
    }

    mod t1 {
        use super::super::*;
        use rustix::net::{AddressFamily, SocketType, socket};
        use std::os::fd::AsFd;

        /// The interface that every network namespace has, and one that none has.
        #[test]
        fn loopback_has_no_address_of_ethernet_and_what_is_not_there_is_an_error() {
            for (family, kind) in [
                (AddressFamily::NETLINK, SocketType::RAW),
                (AddressFamily::UNIX, SocketType::STREAM),
            ] {
                let socket = socket(family, kind, None).expect("a socket");
                let flags = std::fs::read_to_string("/sys/class/net/lo/operstate");
                let is_down = flags.expect("has loopback").trim_end() == "down";
                assert_eq!(is_running(socket.as_fd(), 1), Ok(!is_down));
                assert_eq!(hardware(socket.as_fd(), 1), Err(Errno::AFNOSUPPORT));
                for index in [0, 1 << 30, u32::MAX] {
                    assert_eq!(is_running(socket.as_fd(), index), Err(Errno::NODEV));
                    assert_eq!(hardware(socket.as_fd(), index), Err(Errno::NODEV));
                }
            }
        }
    }
}
