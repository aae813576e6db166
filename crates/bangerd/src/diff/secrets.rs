//! Where on its disks a machine has the secrets that make it itself: what an export leaves out.
//!
//! Paths are followed as the guest follows them, links and the overlay included. Only what is on the sandbox's own
//! disks is found: what an image has in it, everybody has who has the image. A file that was removed, or an older
//! copy of one, is not found: what is in blocks that belong to nothing any more stays there.

use super::layer::Layer;
use super::source::{BLOCK, Watch};
use super::tree::{Node, Tree};
use super::{DiffError, Disks, open_if_there};
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What they are called: a directory, and names with one `*` at most.
const SECRETS: [(&str, &str); 3] = [
    // sshd(8), "FILES".
    ("/etc/ssh", "ssh_host_*_key"),
    // systemd-random-seed.service(8).
    ("/var/lib/systemd", "random-seed"),
    // systemd-creds(1).
    ("/var/lib/systemd", "credential.secret"),
];
/// The most of them: their names are told in a manifest.
const MOST_SECRETS: usize = 64;
/// The most links on the way to one, as the kernel has it (path_resolution(7)).
const MOST_LINKS: u32 = 40;

/// Where secrets are: ranges of bytes, whole blocks, in order and apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// Of whom something was found.
    pub paths: BTreeSet<String>,
    /// On the system disk.
    pub system: Vec<Range<u64>>,
    /// On the work disk.
    pub work: Vec<Range<u64>>,
}

/// Looks for them on the disks of a sandbox that has this image. Nobody may write to the disks meanwhile.
///
/// # Errors
/// As [`compare`](super::compare).
pub fn secrets(
    image: &Path,
    disks: &Disks,
    limit: Duration,
    cancelled: CancellationToken,
) -> Result<Secrets, DiffError> {
    let watch = Rc::new(Watch::new(limit, cancelled));
    let image = Layer::open("image", image, Rc::clone(&watch))?;
    let system = open_if_there("system disk", disks.system.as_deref(), &watch)?;
    let work = open_if_there("work disk", disks.work.as_deref(), &watch)?;
    let world = World {
        root: Tree::overlay(&image, system.as_ref())?,
        work: Tree::plain(work.as_ref())?,
        disks: [system.as_ref(), work.as_ref()],
    };
    let mut found = Secrets::default();
    for (directory, pattern) in SECRETS {
        for path in world.matching(directory, pattern)? {
            world.add(&path, &mut found)?;
        }
    }
    found.system = merged(found.system);
    found.work = merged(found.work);
    Ok(found)
}

/// Which disk a file is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    System,
    Work,
}

/// What a guest sees.
struct World<'a> {
    root: Tree<'a>,
    work: Tree<'a>,
    disks: [Option<&'a Layer>; 2],
}

impl<'a> World<'a> {
    const fn tree(&self, side: Side) -> &Tree<'a> {
        match side {
            Side::System => &self.root,
            Side::Work => &self.work,
        }
    }

    /// Paths in a directory that a pattern matches.
    fn matching(&self, directory: &str, pattern: &str) -> Result<Vec<Vec<u8>>, DiffError> {
        let Some((side, node)) = self.find(directory.as_bytes())? else {
            return Ok(vec![]);
        };
        let tree = self.tree(side);
        if !tree.file(&node)?.is_directory() {
            return Ok(vec![]);
        }
        let names = tree.children(&node)?.into_keys();
        let names = names.filter(|name| is_like(name, pattern));
        Ok(names
            .map(|name| [directory.as_bytes(), b"/", &name].concat())
            .collect())
    }

    /// Adds the blocks of a file, if it has any on a disk of the sandbox's own.
    fn add(&self, path: &[u8], found: &mut Secrets) -> Result<(), DiffError> {
        let Some((side, node)) = self.find(path)? else {
            return Ok(());
        };
        let [system, work] = self.disks;
        let (layer, ranges) = match side {
            Side::System => (system, &mut found.system),
            Side::Work => (work, &mut found.work),
        };
        let (Some(layer), Some(file)) = (layer, node.upper) else {
            return Ok(());
        };
        if !file.is_regular() {
            return Ok(());
        }
        let before = ranges.len();
        for extent in layer.extents(&file)? {
            let blocks = extent.physical..extent.physical.saturating_add(extent.len.into());
            if blocks.start == 0 || blocks.end > layer.blocks() {
                let at = format!("inode {}", file.number);
                return Err(layer.damaged(&at, "it leads beyond the end of the disk"));
            }
            ranges.push(blocks.start * BLOCK..blocks.end * BLOCK);
        }
        if ranges.len() > before {
            let path = String::from_utf8_lossy(path).into_owned();
            found.paths.insert(path);
        }
        if found.paths.len() > MOST_SECRETS {
            let why = format!("{MOST_SECRETS} files with secrets");
            let disk = layer.disk;
            return Err(DiffError::TooMuch { disk, why });
        }
        Ok(())
    }

    /// Follows a path from the root, as the guest does; none where it leads nowhere.
    fn find(&self, path: &[u8]) -> Result<Option<(Side, Node)>, DiffError> {
        let Some(root) = self.root.root()? else {
            return Ok(None);
        };
        let mut way = vec![(Side::System, root)];
        let mut left: VecDeque<Vec<u8>> = parts(path).collect();
        let mut links = 0;
        while let Some(part) = left.pop_front() {
            if part == b".." {
                way.truncate(way.len().saturating_sub(1).max(1));
                continue;
            }
            let Some(next) = self.step(&way, &part)? else {
                return Ok(None);
            };
            let (side, node) = &next;
            let tree = self.tree(*side);
            if !tree.file(node)?.is_link() {
                way.push(next);
                continue;
            }
            links += 1;
            let Some((layer, link)) = tree.content(node)?.filter(|_| links <= MOST_LINKS) else {
                return Ok(None);
            };
            let target = layer.target(&link)?;
            if target.starts_with(b"/") {
                way.truncate(1);
            }
            left = parts(&target).chain(left).collect();
        }
        Ok(way.pop())
    }

    /// One name further. The work disk is mounted at `/root`.
    fn step(&self, way: &[(Side, Node)], name: &[u8]) -> Result<Option<(Side, Node)>, DiffError> {
        let Some((side, node)) = way.last() else {
            return Ok(None);
        };
        if way.len() == 1
            && name == b"root"
            && let Some(root) = self.work.root()?
        {
            return Ok(Some((Side::Work, root)));
        }
        let tree = self.tree(*side);
        if !tree.file(node)?.is_directory() {
            return Ok(None);
        }
        let child = tree.children(node)?.remove(name);
        Ok(child.map(|child| (*side, child)))
    }
}

fn parts(path: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/');
    parts
        .filter(|part| !matches!(*part, b"" | b"."))
        .map(<[u8]>::to_vec)
}

fn is_like(name: &[u8], pattern: &str) -> bool {
    let Some((begin, end)) = pattern.split_once('*') else {
        return name == pattern.as_bytes();
    };
    let rest = name.strip_prefix(begin.as_bytes());
    rest.is_some_and(|rest| rest.ends_with(end.as_bytes()))
}

/// In order, and those that touch as one.
fn merged(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut all: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match all.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    all
}

#[cfg(test)]
mod t1;
