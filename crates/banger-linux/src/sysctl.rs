//! The few sysctls of the network that may be read and written: those of the calling thread's network
//! namespace (ip-sysctl of the kernel's documentation).

use crate::Outcome;
use crate::names::InterfaceName;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fmt;
use std::os::fd::OwnedFd;

/// Longest value that is read: they are small numbers.
const MOST: usize = 32;

/// A sysctl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sysctl<'a> {
    /// Whether the host routes IPv4; writing it resets each interface's own.
    Ipv4Forward,
    /// Whether the host routes IPv6 on every interface.
    Ipv6ForwardAll,
    /// Whether IPv4 that came in by this interface is routed.
    Ipv4Forwarding(&'a InterfaceName),
    /// Whether IPv6 that came in by this interface is routed.
    Ipv6Forwarding(&'a InterfaceName),
    /// Whether hosts on this interface are told of better ways.
    SendRedirects(&'a InterfaceName),
    /// Whether router advertisements are accepted: 0 never, 1 where the host does not route, 2 always.
    AcceptRa(&'a InterfaceName),
    /// Whether the source of packets is checked against the routes: 0 no, 1 strict, 2 loose.
    RpFilter(&'a InterfaceName),
}

/// Shown as sysctl(8) names it, but for the dots of an interface's name.
impl fmt::Display for Sysctl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path().replace('/', "."))
    }
}

impl Sysctl<'_> {
    /// Below `/proc/sys`.
    fn path(&self) -> String {
        let of = |family: &str, name: &InterfaceName, leaf: &str| {
            format!("net/{family}/conf/{name}/{leaf}")
        };
        match self {
            Self::Ipv4Forward => "net/ipv4/ip_forward".to_owned(),
            Self::Ipv6ForwardAll => "net/ipv6/conf/all/forwarding".to_owned(),
            Self::Ipv4Forwarding(name) => of("ipv4", name, "forwarding"),
            Self::Ipv6Forwarding(name) => of("ipv6", name, "forwarding"),
            Self::SendRedirects(name) => of("ipv4", name, "send_redirects"),
            Self::AcceptRa(name) => of("ipv6", name, "accept_ra"),
            Self::RpFilter(name) => of("ipv4", name, "rp_filter"),
        }
    }

    fn open(&self, access: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = access | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::open(format!("/proc/sys/{}", self.path()), flags, Mode::empty())
    }
}

/// Why a sysctl was not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SysctlError {
    /// There is none: no such interface, or a kernel without IPv6.
    #[error("there is no sysctl {name}: no such interface, or the kernel lacks it")]
    Absent {
        /// Which.
        name: String,
    },
    /// The system refused.
    #[error("cannot {asked} sysctl {name}: {source}")]
    Refused {
        /// `read` or `write`.
        asked: &'static str,
        /// Which.
        name: String,
        /// The system's reason.
        source: Errno,
    },
    /// Its value is no number.
    #[error("sysctl {name} is no number")]
    NoNumber {
        /// Which.
        name: String,
    },
}

/// Its value.
pub fn read(sysctl: Sysctl<'_>) -> Result<i32, SysctlError> {
    let file = sysctl
        .open(OFlags::RDONLY)
        .map_err(|source| refused("read", sysctl, source))?;
    let mut bytes = [0; MOST];
    let count = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut bytes))
        .map_err(|source| refused("read", sysctl, source))?;
    let text = std::str::from_utf8(bytes.get(..count).unwrap_or_default());
    let number = text.ok().and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| SysctlError::NoNumber {
        name: sysctl.to_string(),
    })
}

/// Gives it a value, if it has another one.
pub fn write(sysctl: Sysctl<'_>, value: i32) -> Result<Outcome, SysctlError> {
    // Writing the same again is not without effect: that of `ip_forward` resets other sysctls.
    if read(sysctl)? == value {
        return Ok(Outcome::WasSoAlready);
    }
    let file = sysctl
        .open(OFlags::WRONLY)
        .map_err(|source| refused("write", sysctl, source))?;
    let text = value.to_string();
    rustix::io::retry_on_intr(|| rustix::io::write(&file, text.as_bytes()))
        .map(|_| Outcome::Made)
        .map_err(|source| refused("write", sysctl, source))
}

fn refused(asked: &'static str, sysctl: Sysctl<'_>, source: Errno) -> SysctlError {
    let name = sysctl.to_string();
    match source {
        Errno::NOENT | Errno::NOTDIR => SysctlError::Absent { name },
        source => SysctlError::Refused {
            asked,
            name,
            source,
        },
    }
}
