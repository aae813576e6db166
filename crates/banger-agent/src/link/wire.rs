//! The file that connects agent and host: a virtio-serial port, or a socket in tests.
//!
//! While no host is connected, a port is permanently *hung up*: a level-triggered wait spins, and
//! tokio's readiness keeps a hang-up for ever. So the file is registered edge-triggered in an
//! epoll instance of its own, and tokio waits for that.

use rustix::event::{Timespec, epoll};
use rustix::io::{Errno, Result};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// How often a hung-up port is read in spite of no edge: a belt beside the braces.
const BELT: Duration = Duration::from_secs(1);

/// What a read found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// That many bytes were appended.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// The host is not connected (a port), or the connection is over (a socket).
    HungUp,
}

#[derive(Debug)]
pub(super) struct Wire {
    file: OwnedFd,
    edges: AsyncFd<OwnedFd>,
    may_read: bool,
    may_write: bool,
    hung_up: bool,
}

impl Wire {
    /// Takes a file that was opened for reading and writing.
    pub(super) fn new(file: OwnedFd) -> std::io::Result<Self> {
        rustix::io::ioctl_fionbio(&file, true)?;
        let edges = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(&edges, &file, epoll::EventData::new_u64(0), flags)?;
        Ok(Self {
            file,
            edges: crate::sys::watch(edges, tokio::io::Interest::READABLE)?,
            may_read: true,
            may_write: true,
            hung_up: false,
        })
    }

    /// Waits until something has changed at the file.
    pub(super) async fn changed(&mut self) -> std::io::Result<()> {
        let belt = if self.hung_up { BELT } else { Duration::MAX };
        if let Ok(guard) = tokio::time::timeout(belt, self.edges.readable()).await {
            let mut guard = guard?;
            let mut events = [epoll::Event {
                flags: epoll::EventFlags::empty(),
                data: epoll::EventData::new_u64(0),
            }; 1];
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            match epoll::wait(guard.get_inner(), &mut events[..], Some(&now)) {
                // The next edge makes the instance readable again.
                Ok(0) | Err(Errno::INTR) => guard.clear_ready(),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.may_read = true;
        self.may_write = true;
        Ok(())
    }

    /// Reads what is there into `buffer`, as often as it takes to fill it.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Read> {
        let mut filled = 0;
        while let Some(rest) = buffer
            .get_mut(filled..)
            .filter(|rest| self.may_read && !rest.is_empty())
        {
            match rustix::io::read(&self.file, rest) {
                Ok(0) => {
                    self.may_read = false;
                    self.hung_up = true;
                    if filled == 0 {
                        return Ok(Read::HungUp);
                    }
                }
                Ok(count) => {
                    self.hung_up = false;
                    filled += count;
                }
                Err(Errno::AGAIN) => {
                    self.may_read = false;
                    self.hung_up = false;
                }
                Err(Errno::INTR) => {}
                // A socket whose peer is gone; a port has no such state.
                Err(Errno::CONNRESET | Errno::PIPE) => return Ok(Read::HungUp),
                Err(error) => return Err(error),
            }
        }
        Ok(if filled > 0 {
            Read::Bytes(filled)
        } else {
            Read::Nothing
        })
    }

    /// Writes as much as goes now.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut written = 0;
        while let Some(rest) = bytes
            .get(written..)
            .filter(|rest| self.may_write && !rest.is_empty())
        {
            match rustix::io::write(&self.file, rest) {
                Ok(count) => written += count,
                Err(Errno::AGAIN) => self.may_write = false,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }
}
