//! Following packets through the rules (`nft monitor trace`): for the check of the host's firewall.
//! Only packets of rules with `meta nftrace set 1` are shown.

use crate::programs::{self, Program, Programs, RunError};
use crate::{forks, wait};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The sockets of the calling thread's namespace: who listens to what.
const SOCKETS: &str = "/proc/thread-self/net/netlink";
/// linux/netlink.h
const NETLINK_NETFILTER: &str = "12";
/// `NFNLGRP_NFTRACE` of linux/netfilter/nfnetlink.h is 9; bit 8 of the mask.
const TRACE_GROUP: u32 = 1 << 8;
/// How long nft may take to listen; it takes a few milliseconds.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks whether it listens.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Longest line: a packet with all that nft decodes of it is a few hundred bytes.
const MOST_LINE: usize = 64 * 1024;

/// Why packets cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// nft could not be run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// nft ended by itself.
    #[error("nft monitor trace ended: {status}")]
    Ended {
        /// How.
        status: String,
    },
    /// It did not begin to listen.
    #[error("nft monitor trace did not listen within {} s", READY_WITHIN.as_secs())]
    NotReady,
    /// It printed a line without end.
    #[error("nft monitor trace printed a line of more than {MOST_LINE} bytes")]
    TooLong,
    /// The system would not let it be read.
    #[error("cannot read from nft monitor trace: {0}")]
    Read(Errno),
}

/// nft, following packets in the namespace of the thread that started it, until this is dropped.
#[derive(Debug)]
pub struct Trace {
    child: Child,
    output: OwnedFd,
    read: Vec<u8>,
}

impl Drop for Trace {
    fn drop(&mut self) {
        programs::kill(&mut self.child);
    }
}

impl Trace {
    /// Starts it and waits until it sees packets.
    pub fn start(programs: &Programs) -> Result<Self, TraceError> {
        let path = programs.path(Program::Nft).map_err(RunError::from)?;
        let mut command = programs::command(path, &["monitor", "trace"]);
        command.stderr(Stdio::null());
        let failed = |reason: String| RunError::Start {
            name: Program::Nft.name(),
            reason,
        };
        let mut child = forks::spawn(&mut command).map_err(|error| failed(error.to_string()))?;
        let Some(output) = child.stdout.take() else {
            programs::kill(&mut child);
            return Err(failed("its output is not connected".to_owned()).into());
        };
        let mut trace = Self {
            child,
            output: output.into(),
            read: Vec::new(),
        };
        trace.until_it_listens()?;
        Ok(trace)
    }

    fn until_it_listens(&mut self) -> Result<(), TraceError> {
        let deadline = wait::deadline(READY_WITHIN);
        while Instant::now() < deadline {
            let sockets = std::fs::read_to_string(SOCKETS).unwrap_or_default();
            if listens(&sockets, self.child.id()) {
                return Ok(());
            }
            // It prints nothing before it listens: this ends early only when nft ends.
            if self.wait(wait::deadline(LOOK_EVERY))? {
                self.fill()?;
            }
        }
        Err(TraceError::NotReady)
    }

    /// The next line; none where none came in time.
    ///
    /// # Errors
    /// nft ended, or its line has no end.
    pub fn line(&mut self, deadline: Instant) -> Result<Option<String>, TraceError> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            if self.read.len() > MOST_LINE {
                return Err(TraceError::TooLong);
            }
            if !self.wait(deadline)? {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    fn wait(&self, deadline: Instant) -> Result<bool, TraceError> {
        let mut output = [PollFd::new(&self.output, PollFlags::IN)];
        wait::until(deadline, &mut output).map_err(TraceError::Read)
    }

    fn fill(&mut self) -> Result<(), TraceError> {
        let mut chunk = [0; 4096];
        let read = rustix::io::retry_on_intr(|| rustix::io::read(&self.output, &mut chunk));
        match read.map_err(TraceError::Read)? {
            0 => Err(TraceError::Ended {
                status: programs::finish(Program::Nft.name(), &mut self.child)?.to_string(),
            }),
            count => {
                self.read
                    .extend_from_slice(chunk.get(..count).unwrap_or_default());
                Ok(())
            }
        }
    }
}

/// Whether a process listens to traces, by the columns of `/proc/net/netlink`: address, protocol, port
/// id (the process's id for its first socket), groups.
fn listens(sockets: &str, pid: u32) -> bool {
    sockets.lines().any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let (protocol, port, groups) = (columns.next(), columns.next(), columns.next());
        let groups = groups.and_then(|groups| u32::from_str_radix(groups, 16).ok());
        protocol == Some(NETLINK_NETFILTER)
            && port.and_then(|port| port.parse().ok()) == Some(pid)
            && groups.is_some_and(|groups| groups & TRACE_GROUP != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_known_by_protocol_process_and_group() {
        let sockets = "\
sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode
000000004bb0b94f 0   3357       00000100 0        0        0     2        0        1
00000000b7d11cf7 12  3357       00000100 0        0        0     2        0        2
00000000f152e986 12  77         00000001 0        0        0     2        0        3
";
        assert!(listens(sockets, 3357));
        for other in [0, 77, 335] {
            assert!(!listens(sockets, other), "{other}");
        }
        assert!(!listens("", 1));
    }
}
