//! A guest's memory, read from the process that runs it.
//!
//! The memory of a guest is QEMU's own and no file: a file that guests write to is written back to a disk
//! while they run, and memory that is shared cannot be given to another copy on write. So nobody who runs
//! pays for being saved some day, and what is read is what the guest has written: the kernel tells which pages
//! these are. A guest that went on from a saved memory has the rest from there.
//!
//! Reading another process of one's own needs the right to trace it (ptrace(2)); where the Yama module
//! restricts that, [`super::launcher`] has allowed it.

mod address;
mod pages;

use super::super::{Earlier, ProcessIdentity, Unwritten};
use crate::blocks::{differing, filled, share_out};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

pub(super) use address::of_memory;

/// Bytes that are read at a time, by each thread: what fits into a processor's cache.
const PIECE: u64 = 1 << 20;

/// Where the memory of a guest is.
#[derive(Debug, Clone)]
pub(super) struct Region {
    pub(super) process: ProcessIdentity,
    pub(super) address: u64,
    pub(super) size: u64,
}

/// Writes the memory of a guest that stands still into a file: a new one, or one that has the rest.
pub(super) fn save(region: &Region, unwritten: Unwritten, into: &Path) -> io::Result<()> {
    let onto = match unwritten {
        Unwritten::InPlace => Onto::Whatever,
        Unwritten::Zeros | Unwritten::Unknown => Onto::Zeros,
    };
    copy(
        region,
        unwritten,
        || open(into, unwritten, region.size),
        onto,
    )
}

/// Writes what differs over a whole memory of an earlier moment, which `earlier` is told of before.
pub(super) fn save_over(
    region: &Region,
    unwritten: Unwritten,
    into: &Path,
    earlier: &dyn Earlier,
) -> io::Result<()> {
    let open = || open(into, Unwritten::InPlace, region.size);
    copy(region, unwritten, open, Onto::Earlier(earlier))
}

fn copy(
    region: &Region,
    unwritten: Unwritten,
    open: impl FnOnce() -> io::Result<File>,
    onto: Onto<'_>,
) -> io::Result<()> {
    let memory = File::open(format!("/proc/{}/mem", region.process.pid))?;
    let map = File::open(format!("/proc/{}/pagemap", region.process.pid))?;
    // Both are of one process, for as long as they are open: looked at after they were opened.
    if !region.process.is_alive()? {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the process has ended",
        ));
    }
    let into = open()?;
    let page = rustix::param::page_size() as u64;
    let runs = match unwritten {
        Unwritten::Unknown => std::iter::once(0..region.size / page).collect(),
        Unwritten::Zeros | Unwritten::InPlace => written(&map, region, page)?,
    };
    let copy = Copy {
        memory: &memory,
        address: region.address,
        into: &into,
        onto,
        page,
    };
    copy.pieces(&pages::pieces(&runs, (PIECE / page).max(1)))
}

fn open(path: &Path, unwritten: Unwritten, size: u64) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).mode(0o600);
    if unwritten != Unwritten::InPlace {
        let file = options.create_new(true).open(path)?;
        file.set_len(size)?;
        return Ok(file);
    }
    let file = options.open(path)?;
    if file.metadata()?.len() == size {
        return Ok(file);
    }
    Err(io::Error::other(
        "the memory that the guest went on from has another size",
    ))
}

/// The pages that the guest has written, as numbers of pages from the beginning of its memory.
fn written(map: &File, region: &Region, page: u64) -> io::Result<Vec<Range<u64>>> {
    let (first, count) = (region.address / page, region.size / page);
    let count = usize::try_from(count).map_err(io::Error::other)?;
    let mut entries = vec![0; count * pages::ENTRY];
    map.read_exact_at(&mut entries, first * pages::ENTRY as u64)?;
    Ok(pages::own(&entries, 0))
}

struct Copy<'a> {
    memory: &'a File,
    address: u64,
    into: &'a File,
    onto: Onto<'a>,
    page: u64,
}

/// What is in the file that is written to.
#[derive(Clone, Copy)]
enum Onto<'a> {
    /// Zeros: those need not be written.
    Zeros,
    /// It does not matter.
    Whatever,
    /// An earlier memory: what is the same need not be written.
    Earlier(&'a dyn Earlier),
}

impl Copy<'_> {
    fn pieces(&self, pieces: &[Range<u64>]) -> io::Result<()> {
        let work = |buffer: &mut Vec<u8>, piece: &Range<u64>| self.piece(piece, buffer);
        share_out(pieces, work).map(drop)
    }

    fn piece(&self, pages: &Range<u64>, buffer: &mut Vec<u8>) -> io::Result<()> {
        let (offset, length) = (
            pages.start * self.page,
            (pages.end - pages.start) * self.page,
        );
        buffer.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
        self.memory.read_exact_at(buffer, self.address + offset)?;
        let page = usize::try_from(self.page).map_err(io::Error::other)?;
        match self.onto {
            Onto::Whatever => self.into.write_all_at(buffer, offset),
            Onto::Zeros => self.runs(buffer, offset, filled(buffer, page), None),
            Onto::Earlier(earlier) => {
                let mut old = vec![0; buffer.len()];
                self.into.read_exact_at(&mut old, offset)?;
                let runs = differing(&old, buffer);
                self.runs(buffer, offset, runs, Some((&old, earlier)))
            }
        }
    }

    fn runs(
        &self,
        buffer: &[u8],
        offset: u64,
        runs: Vec<Range<usize>>,
        before: Option<(&[u8], &dyn Earlier)>,
    ) -> io::Result<()> {
        for run in runs {
            let at = offset + run.start as u64;
            if let Some((old, earlier)) = before {
                earlier.note(at, old.get(run.clone()).unwrap_or_default())?;
            }
            let bytes = buffer.get(run).unwrap_or_default();
            self.into.write_all_at(bytes, at)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
