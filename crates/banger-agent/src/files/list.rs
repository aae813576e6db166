//! A directory's entries, in pages.

use super::describe;
use crate::fault::{failed, shown};
use crate::root::{Root, checked};
use banger_proto::guest::frame::MAX_MESSAGE;
use banger_proto::guest::message::{Answer, Entry, GuestFault, MAX_LIST};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;
use std::collections::BinaryHeap;
use std::os::fd::OwnedFd;

/// What an entry takes beside its name and a link's target, at most, when it is encoded.
const ENTRY: usize = 64;

/// Lists those entries whose names come after `after`, as many as fit into an answer.
pub(super) fn list(root: &Root, path: &[u8], after: &[u8]) -> Result<Answer, GuestFault> {
    let path = checked(path)?;
    let read = || {
        let directory = root.open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        let (names, more) = names(&directory, after)?;
        Ok(page(&directory, names, more))
    };
    let listed = read().map(|(entries, more)| Answer::Entries { entries, more });
    listed.map_err(|errno| failed(format_args!("list {}", shown(path)), errno))
}

/// The first names after `after`, sorted, and whether there are more. Memory is bounded by the
/// page, however many entries there are.
fn names(directory: &OwnedFd, after: &[u8]) -> Result<(Vec<Vec<u8>>, bool), Errno> {
    let mut least = BinaryHeap::new();
    let mut more = false;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." || name <= after {
            continue;
        }
        least.push(name.to_vec());
        if least.len() > MAX_LIST {
            least.pop();
            more = true;
        }
    }
    Ok((least.into_sorted_vec(), more))
}

/// Describes names until the answer is full; one that has gone meanwhile is left out.
fn page(directory: &OwnedFd, names: Vec<Vec<u8>>, mut more: bool) -> (Vec<Entry>, bool) {
    let mut entries = Vec::new();
    let mut size = 0;
    for name in names {
        let stat = rustix::fs::statat(directory, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW);
        let described = stat.and_then(|stat| {
            describe(&stat, || {
                rustix::fs::readlinkat(directory, name.as_slice(), Vec::new())
            })
        });
        let Ok(stat) = described else {
            continue;
        };
        size += name.len() + stat.target.len() + ENTRY;
        if size > MAX_MESSAGE / 2 {
            more = true;
            break;
        }
        entries.push(Entry { name, stat });
    }
    (entries, more)
}
