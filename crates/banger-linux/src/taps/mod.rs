//! TAPs: Ethernet interfaces whose other end is a program, a VMM or the firewall's check.

mod delete;

use crate::links::{self, Change, ClaimError, Marked};
use crate::names::{InterfaceName, Mark};
use crate::netlink::{Error, Netlink};
use crate::{forks, sys};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub use delete::{Deleted, delete};

const DEVICE: &str = "/dev/net/tun";
// linux/if_tun.h
const IFF_TAP: u16 = 0x0002;
const IFF_NO_PI: u16 = 0x1000;
const IFF_VNET_HDR: u16 = 0x4000;
/// Fails where there is a link of that name, instead of attaching to it.
const IFF_TUN_EXCL: u16 = 0x8000;

/// Why there is no TAP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TapError {
    /// There is a link of that name; it was not touched.
    #[error("cannot create {name}: there is an interface of that name")]
    Exists {
        /// The name.
        name: InterfaceName,
    },
    /// A program is attached already.
    #[error("cannot open {name}: another program has it open")]
    Busy {
        /// The name.
        name: InterfaceName,
    },
    /// `/dev/net/tun` refused.
    #[error("cannot {asked}: {source}")]
    Device {
        /// What was asked.
        asked: String,
        /// The system's reason.
        source: Errno,
    },
    /// The link could not be looked at or changed.
    #[error(transparent)]
    Link(#[from] ClaimError),
}

impl From<Error> for TapError {
    fn from(error: Error) -> Self {
        Self::Link(error.into())
    }
}

/// What a TAP is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTap<'a> {
    /// Its name.
    pub name: &'a InterfaceName,
    /// Its mark.
    pub mark: &'a Mark,
    /// The user who may attach to it without privileges.
    pub owner: u32,
    /// Up, MTU and bridge.
    pub change: Change,
    /// Whether it is isolated from other isolated ports of its bridge.
    pub isolated: bool,
}

/// Makes a persistent TAP that can carry `struct virtio_net_hdr`.
///
/// It becomes persistent last: if this process dies before, the kernel removes it, so that none is ever
/// left without its mark.
///
/// # Errors
/// [`TapError::Exists`] where there is any link of that name.
pub fn create(netlink: &Netlink, tap: &NewTap<'_>) -> Result<Marked, TapError> {
    let name = tap.name;
    let refused = |source| device_error(format!("create {name}"), source);
    // Until the descriptor is closed again, so that the TAP is free when this returns.
    let _no_forks = forks::none();
    let device = open_device()?;
    let flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL;
    match sys::tun_attach(device.as_fd(), name.as_str(), flags) {
        // tun answers BUSY to a TAP, INVAL to another kind of link of that name.
        Err(Errno::BUSY) => return Err(TapError::Exists { name: name.clone() }),
        Err(Errno::INVAL) if links::find(netlink, name)?.is_some() => {
            return Err(TapError::Exists { name: name.clone() });
        }
        attached => attached.map_err(refused)?,
    }
    sys::tun_set_owner(device.as_fd(), tap.owner).map_err(refused)?;
    let index = index_of(netlink, name)?;
    links::apply(netlink, index, name, tap.mark, tap.change)?;
    let made = links::claim(netlink, name, tap.mark)?;
    let made = made.ok_or_else(|| refused(Errno::NODEV))?;
    if tap.isolated {
        links::isolate(netlink, &made, true)?;
    }
    sys::tun_persist(device.as_fd()).map_err(refused)?;
    Ok(made)
}

fn index_of(netlink: &Netlink, name: &InterfaceName) -> Result<u32, TapError> {
    let found = links::find(netlink, name)?.map(|link| link.index);
    found.ok_or_else(|| device_error(format!("find the new {name}"), Errno::NODEV))
}

/// A TAP with this program at its other end: what is written is what a guest would send.
#[derive(Debug)]
pub struct OpenTap {
    device: OwnedFd,
}

impl AsFd for OpenTap {
    /// For waiting until there is something to read.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

impl OpenTap {
    /// Sends one Ethernet frame.
    pub fn send(&self, frame: &[u8]) -> Result<(), TapError> {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&self.device, frame));
        written
            .map(|_| ())
            .map_err(|source| device_error("send a frame".to_owned(), source))
    }

    /// Reads one frame that the host sends to this port; none if there is none now.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<Option<usize>, TapError> {
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.device, &mut *buffer)) {
            Ok(length) => Ok(Some(length)),
            Err(Errno::AGAIN) => Ok(None),
            Err(source) => Err(device_error("receive a frame".to_owned(), source)),
        }
    }
}

/// Attaches to a marked TAP, without `virtio_net_hdr` and without blocking.
///
/// # Errors
/// [`TapError::Busy`] while another program is attached; [`ClaimError::Foreign`] where the name has
/// come to mean another link, which is then let go untouched.
pub fn open(netlink: &Netlink, tap: &Marked) -> Result<OpenTap, TapError> {
    let name = tap.name();
    let device = open_device()?;
    match sys::tun_attach(device.as_fd(), name.as_str(), IFF_TAP | IFF_NO_PI) {
        Err(Errno::BUSY) => return Err(TapError::Busy { name: name.clone() }),
        attached => attached.map_err(|source| device_error(format!("open {name}"), source))?,
    }
    // The device is found by name: had the TAP gone, this would have made another, which goes with
    // the descriptor.
    match links::claim(netlink, name, tap.mark())? {
        Some(found) if found.index() == tap.index() => Ok(OpenTap { device }),
        _ => Err(device_error(format!("open {name}"), Errno::NODEV)),
    }
}

fn open_device() -> Result<OwnedFd, TapError> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
    rustix::fs::open(DEVICE, flags, Mode::empty())
        .map_err(|source| device_error(format!("open {DEVICE}"), source))
}

fn device_error(asked: String, source: Errno) -> TapError {
    TapError::Device { asked, source }
}
