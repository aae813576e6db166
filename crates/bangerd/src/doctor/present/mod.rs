//! What there is on the host, as plain data: read from `/proc`, `/sys` and directories, without root, and
//! judged by nobody here. What cannot be seen is said.

mod files;
mod kernel;
pub(super) mod place;
mod processes;
mod sockets;

use crate::layout::Layout;
use banger_proto::owner::doctor::Thing;
use place::Place;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// One thing, and what may tell whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) thing: Thing,
    /// The user whose it is.
    pub(super) uid: Option<u32>,
    /// The process that holds it; its own where it is one.
    pub(super) pid: Option<u32>,
    pub(super) clue: Clue,
}

/// What of a thing says whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Clue {
    /// Nothing.
    None,
    /// It lies in, or is made of, a place of ours.
    At(Place),
    /// It carries the mark of an installation.
    Mark(String),
    /// It has a name as ours have, and no mark.
    Named,
    /// It is a process.
    Process {
        parent: u32,
        /// Whether it runs one of the programs that banger runs.
        program: Option<Program>,
        /// Places of ours that it was started with, is in, or has open.
        touches: BTreeSet<Place>,
    },
    /// A port: what of it has to be published or served.
    Port {
        udp: bool,
        address: std::net::SocketAddr,
    },
}

/// The programs that banger runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Program {
    Daemon,
    Helper,
    Vmm,
    /// What has the published ports of a machine.
    Carrier,
    /// What makes images and disks.
    Tool,
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Present {
    pub(super) seen: Vec<Seen>,
    pub(super) not_seen: Vec<String>,
}

/// Where to look.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) layout: Layout,
    /// Directories of everybody's, in which names like ours are looked for.
    pub(super) common: Vec<PathBuf>,
    /// What this examination itself has made.
    pub(super) own: Vec<PathBuf>,
}

impl Look {
    pub(super) fn of(layout: &Layout) -> Self {
        let mut common = vec![std::env::temp_dir(), "/run".into(), "/dev/shm".into()];
        common.dedup();
        Self {
            layout: layout.clone(),
            common,
            own: vec![],
        }
    }

    /// Reads it all; blocks.
    pub(super) fn present(&self) -> Present {
        let mut present = Present::default();
        let processes = processes::read(&self.layout, &mut present.not_seen);
        sockets::read(self, &processes, &mut present);
        kernel::read(self, &processes, &mut present);
        files::read(self, &mut present);
        present
            .seen
            .extend(processes.into_iter().map(processes::Process::seen));
        present
    }
}

#[cfg(test)]
mod t1;
