//! The path map: entries in their order become one tree, in which a later entry replaces an
//! earlier one of the same path.

use super::{
    entry::{Entry, Extent, Kind, Meta},
    path::{self, BadPath, shown},
};
use std::collections::BTreeMap;

/// The place of a node in its [`Tree`].
pub(crate) type NodeId = usize;

/// The root directory of every tree.
pub(crate) const ROOT: NodeId = 0;

/// Largest file, in bytes: what ext4 can map with blocks of 4 KiB.
pub(crate) const LARGEST_FILE: u64 = (1 << 44) - 4096;

/// Longest target of a symbolic link, in bytes (`PATH_MAX` without its closing zero).
const LONGEST_TARGET: usize = path::LONGEST_PATH - 1;

/// Why an entry has no place in the tree.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Its path is refused.
    #[error("the path {} {why}", shown(.path))]
    Path {
        /// The path, or the target of a hard link.
        path: Vec<u8>,
        /// Why.
        #[source]
        why: BadPath,
    },
    /// It lies below something that is no directory.
    #[error("{} lies below {}, which is not a directory", shown(.path), shown(.above))]
    BelowNonDirectory {
        /// The entry's path.
        path: Vec<u8>,
        /// The component that is no directory.
        above: Vec<u8>,
    },
    /// The root itself is given as something else than a directory.
    #[error("the root directory is given as something that is not a directory")]
    Root,
    /// A hard link to what is not there, or is a directory.
    #[error("{} is a hard link to {}, which is not a file that came before", shown(.path), shown(.target))]
    Target {
        /// The entry's path.
        path: Vec<u8>,
        /// The link's target.
        target: Vec<u8>,
    },
    /// A symbolic link to nothing, or to a path that Linux does not take.
    #[error("the symbolic link {} has a target that is empty, too long or has a zero byte in it", shown(.path))]
    Symlink {
        /// The entry's path.
        path: Vec<u8>,
    },
    /// A file that no file system can hold.
    #[error("the file {} is too large: {size} bytes", shown(.path))]
    TooLarge {
        /// The entry's path.
        path: Vec<u8>,
        /// Its size in bytes.
        size: u64,
    },
}

/// One file, directory or whatever has an inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) meta: Meta,
    pub(crate) kind: NodeKind,
}

/// Names in a directory, sorted, with their nodes.
pub(crate) type Names = BTreeMap<Box<[u8]>, NodeId>;

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Directory(Names),
    /// `at` is where its data begins in the spool; when sparse, only `data` is there.
    File {
        at: u64,
        size: u64,
        data: Option<Box<[Extent]>>,
    },
    Symlink(Vec<u8>),
    Char {
        major: u32,
        minor: u32,
    },
    Block {
        major: u32,
        minor: u32,
    },
    Fifo,
}

/// A file system's names and inodes. Nodes that were replaced stay, but nothing leads to them.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

impl Tree {
    /// A root directory with nothing in it.
    pub(crate) fn new() -> Self {
        Self {
            nodes: vec![directory(Meta::plain(0o755))],
        }
    }

    /// One node.
    pub(crate) fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// The number of nodes, replaced ones included: every [`NodeId`] is below it.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node at a path, symbolic links not followed.
    pub(crate) fn find(&self, path: &[u8]) -> Option<NodeId> {
        let mut found = ROOT;
        for name in path::components(path).ok()? {
            found = *self.names(found)?.get(name)?;
        }
        Some(found)
    }

    /// The names in a directory; `None` for anything else.
    pub(crate) fn names(&self, id: NodeId) -> Option<&Names> {
        match &self.nodes.get(id)?.kind {
            NodeKind::Directory(names) => Some(names),
            _ => None,
        }
    }

    fn names_mut(&mut self, id: NodeId) -> Option<&mut Names> {
        match &mut self.nodes.get_mut(id)?.kind {
            NodeKind::Directory(names) => Some(names),
            _ => None,
        }
    }

    /// Puts an entry at its place; `at` is where its data begins in the spool. Directories that are
    /// missing above it are made (0755, root's). A directory that is there already gets the new
    /// owner and mode, and keeps what is in it.
    pub(crate) fn place(&mut self, entry: Entry, at: u64) -> Result<(), TreeError> {
        let Entry { path, meta, kind } = entry;
        let bad_path = |why| TreeError::Path {
            path: path.clone(),
            why,
        };
        let mut components = path::components(&path).map_err(bad_path)?;
        let Some(name) = components.pop() else {
            return self.place_root(meta, &kind);
        };
        let above = self.directories(&components, &path)?;
        let there = self.names(above).and_then(|names| names.get(name)).copied();
        let is_directory = there.is_some_and(|id| self.names(id).is_some());
        let id = match kind {
            Kind::Directory if is_directory => {
                if let Some(node) = there.and_then(|id| self.nodes.get_mut(id)) {
                    node.meta = meta;
                }
                return Ok(());
            }
            Kind::Hardlink(target) => self.target(&path, target)?,
            kind => {
                let kind = node_kind(kind, at, &path)?;
                self.add(Node { meta, kind })
            }
        };
        if let Some(names) = self.names_mut(above) {
            names.insert(name.into(), id);
        }
        Ok(())
    }

    fn place_root(&mut self, meta: Meta, kind: &Kind) -> Result<(), TreeError> {
        match (kind, self.nodes.first_mut()) {
            (Kind::Directory, Some(root)) => {
                root.meta = meta;
                Ok(())
            }
            _ => Err(TreeError::Root),
        }
    }

    /// Walks down to a directory and makes what is missing.
    fn directories(&mut self, components: &[&[u8]], path: &[u8]) -> Result<NodeId, TreeError> {
        let mut at = ROOT;
        for (depth, name) in components.iter().enumerate() {
            let next = self.names(at).and_then(|names| names.get(*name)).copied();
            let next = match next {
                Some(id) => id,
                None => {
                    let id = self.add(directory(Meta::plain(0o755)));
                    if let Some(names) = self.names_mut(at) {
                        names.insert((*name).into(), id);
                    }
                    id
                }
            };
            if self.names(next).is_none() {
                let above = components.get(..=depth).unwrap_or_default();
                return Err(TreeError::BelowNonDirectory {
                    path: path.to_owned(),
                    above: above.join(&b'/'),
                });
            }
            at = next;
        }
        Ok(at)
    }

    fn target(&self, path: &[u8], target: Vec<u8>) -> Result<NodeId, TreeError> {
        if let Err(why) = path::components(&target) {
            return Err(TreeError::Path { path: target, why });
        }
        self.find(&target)
            .filter(|id| self.names(*id).is_none())
            .ok_or_else(|| TreeError::Target {
                path: path.to_owned(),
                target,
            })
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}

fn directory(meta: Meta) -> Node {
    Node {
        meta,
        kind: NodeKind::Directory(Names::new()),
    }
}

fn node_kind(kind: Kind, at: u64, path: &[u8]) -> Result<NodeKind, TreeError> {
    let path = || path.to_owned();
    Ok(match kind {
        Kind::File { size, .. } if size > LARGEST_FILE => {
            return Err(TreeError::TooLarge { path: path(), size });
        }
        Kind::File { size, data } => NodeKind::File {
            at,
            size,
            data: data.map(Vec::into_boxed_slice),
        },
        Kind::Symlink(target)
            if target.is_empty() || target.len() > LONGEST_TARGET || target.contains(&0) =>
        {
            return Err(TreeError::Symlink { path: path() });
        }
        Kind::Symlink(target) => NodeKind::Symlink(target),
        Kind::Char { major, minor } => NodeKind::Char { major, minor },
        Kind::Block { major, minor } => NodeKind::Block { major, minor },
        Kind::Fifo => NodeKind::Fifo,
        Kind::Directory => NodeKind::Directory(Names::new()),
        Kind::Hardlink(target) => {
            return Err(TreeError::Target {
                path: path(),
                target,
            });
        }
    })
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
