//! Images as ext4, made by the `mkext4` crate: no root, no mount, no tree of files on the host.

use super::{
    acl,
    builder::{Identity, ImageBuilder},
    entry::Meta,
    error::ImageError,
    filling::{content, has_content},
    geometry::{self, BLOCK, Geometry},
    holes,
    path::shown,
    spool::Spool,
    tree::{Names, NodeId, NodeKind, ROOT, Tree},
};
use crate::disks::{DiskError, programs, space};
use mkext4::{FsBuilder, InodeCount, InodeHandle, Options, SpecialKind, sink::FileSink};
use std::path::Path;

/// The label of every image's file system.
const LABEL: &str = "banger-image";

/// The kinds of extended attributes that ext4 stores as they are.
const NAMESPACES: [&str; 3] = ["user.", "trusted.", "security."];

/// Seconds that an inode of ext4 can hold: 34 bits, from 1901 to 2446.
const TIMES: (i64, i64) = (-(1 << 31), (1 << 34) - (1 << 31) - 1);

/// The directory that every ext4 has of its own; an archive made of one carries it too.
const LOST_AND_FOUND: &[u8] = b"lost+found";

/// ext4, never written to once it is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ext4;

impl ImageBuilder for Ext4 {
    fn build(
        &self,
        tree: &Tree,
        spool: &Spool,
        identity: Identity,
        path: &Path,
    ) -> Result<(), ImageError> {
        let geometry = survey(tree).ok_or(ImageError::TooLarge {
            most: u64::from(u32::MAX) * BLOCK,
        })?;
        space::require(path.parent().unwrap_or(Path::new("/")), spool.length())?;
        let mut namespace = Namespace::new(geometry, identity, tree.len())?;
        namespace.declare(tree)?;
        let Namespace {
            builder, contents, ..
        } = namespace;
        let layout = builder.seal().map_err(whole)?;
        let written = |error| writing(error, path);
        let mut sink =
            FileSink::create(path, layout.image_len()).map_err(DiskError::io("create", path))?;
        let mut writer = layout.writer(&mut sink).map_err(written)?;
        for (handle, id) in contents {
            let mut content = content(tree, spool, id);
            writer.fill(handle, &mut content).map_err(written)?;
        }
        writer.finish().map_err(whole)?;
        let durable = sink.into_file().sync_all();
        Ok(durable.map_err(DiskError::io("sync", path))?)
    }

    fn check(&self, path: &Path) -> Result<(), ImageError> {
        let checked = programs::run("e2fsck", ["-fn".as_ref(), path.as_os_str()]);
        checked.map(|_| ()).map_err(ImageError::Check)
    }
}

fn whole(error: impl std::fmt::Display) -> ImageError {
    ImageError::Build {
        what: "the file system".to_owned(),
        why: error.to_string(),
    }
}

fn writing(error: mkext4::Error, path: &Path) -> ImageError {
    match error {
        mkext4::Error::Io(error) => DiskError::io("write", path)(error).into(),
        other => whole(other),
    }
}

/// The size for all that the root leads to. `None` when that is too much for ext4.
fn survey(tree: &Tree) -> Option<Geometry> {
    let mut seen = vec![false; tree.len()];
    let mut next = vec![ROOT];
    let (mut blocks, mut inodes) = (0_u64, 0_u64);
    while let Some(id) = next.pop() {
        if std::mem::replace(seen.get_mut(id)?, true) {
            continue;
        }
        blocks = blocks.checked_add(geometry::blocks_of(tree.node(id)?))?;
        inodes += 1;
        next.extend(tree.names(id).into_iter().flat_map(Names::values));
    }
    geometry::fitting(blocks, inodes)
}

/// The names and inodes as they are declared to the builder.
struct Namespace {
    builder: FsBuilder,
    /// Inodes that were declared, by node: a further name of one is a hard link.
    handles: Vec<Option<InodeHandle>>,
    /// Files whose content is to be filled in, in the order in which they lie on the disk.
    contents: Vec<(InodeHandle, NodeId)>,
}

impl Namespace {
    fn new(geometry: Geometry, identity: Identity, nodes: usize) -> Result<Self, ImageError> {
        let made = i64::from(u32::try_from(identity.made).unwrap_or(u32::MAX));
        let mut options = Options::new(geometry.blocks * BLOCK, identity.uuid, made);
        options.inodes = InodeCount::Exact(geometry.inodes);
        options.label = Some(LABEL.to_owned());
        options.reserved_percent = 0;
        options.journal_blocks = Some(geometry::JOURNAL);
        Ok(Self {
            builder: FsBuilder::new(options).map_err(whole)?,
            handles: vec![None; nodes],
            contents: Vec::new(),
        })
    }

    /// Declares everything, directory by directory, so that what is near in the tree is near on disk.
    fn declare(&mut self, tree: &Tree) -> Result<(), ImageError> {
        if let Some(root) = tree.node(ROOT) {
            let set = self.builder.set_meta(mkext4::ROOT, inode_meta(&root.meta));
            set.map_err(whole)?;
            self.attributes(mkext4::ROOT, &root.meta, b"/")?;
        }
        let mut next = vec![(ROOT, mkext4::ROOT)];
        while let Some((directory, parent)) = next.pop() {
            for (name, id) in tree.names(directory).into_iter().flatten() {
                if directory == ROOT && **name == *LOST_AND_FOUND {
                    continue;
                }
                let handle = self.name(tree, parent, name, *id)?;
                if tree.names(*id).is_some() {
                    next.push((*id, handle));
                }
            }
        }
        Ok(())
    }

    fn name(
        &mut self,
        tree: &Tree,
        parent: InodeHandle,
        name: &[u8],
        id: NodeId,
    ) -> Result<InodeHandle, ImageError> {
        let refused = |why: String| ImageError::Build {
            what: shown(name),
            why,
        };
        let text = text(name).map_err(refused)?;
        if let Some(handle) = self.handles.get(id).copied().flatten() {
            let linked = self.builder.hardlink(parent, text, handle);
            linked.map_err(|error| refused(error.to_string()))?;
            return Ok(handle);
        }
        let node = tree
            .node(id)
            .ok_or_else(|| refused("is not in the tree".to_owned()))?;
        let meta = inode_meta(&node.meta);
        let builder = &mut self.builder;
        let declared = match &node.kind {
            NodeKind::Directory(_) => builder.mkdir(parent, text, meta),
            NodeKind::File {
                size,
                data: Some(data),
                ..
            } if *size > 0 => {
                builder.file_sparse(parent, text, meta, &holes::rounded(data, *size).0)
            }
            NodeKind::File { size, .. } => builder.file(parent, text, meta, *size),
            NodeKind::Symlink(target) => {
                let target = self::text(target).map_err(refused)?;
                builder.symlink(parent, text, target, meta)
            }
            NodeKind::Char { major, minor } => {
                let kind = SpecialKind::Char {
                    major: *major,
                    minor: *minor,
                };
                builder.mknod(parent, text, meta, kind)
            }
            NodeKind::Block { major, minor } => {
                let kind = SpecialKind::Block {
                    major: *major,
                    minor: *minor,
                };
                builder.mknod(parent, text, meta, kind)
            }
            NodeKind::Fifo => builder.mknod(parent, text, meta, SpecialKind::Fifo),
        };
        let handle = declared.map_err(|error| refused(error.to_string()))?;
        self.attributes(handle, &node.meta, name)?;
        if has_content(&node.kind) {
            self.contents.push((handle, id));
        }
        if let Some(slot) = self.handles.get_mut(id) {
            *slot = Some(handle);
        }
        Ok(handle)
    }

    /// Attributes that Linux knows; those of other systems have no place in ext4.
    fn attributes(
        &mut self,
        handle: InodeHandle,
        meta: &Meta,
        name: &[u8],
    ) -> Result<(), ImageError> {
        let refused = |why: String| ImageError::Build {
            what: shown(name),
            why,
        };
        for (attribute, value) in &meta.xattrs {
            let list = attribute.starts_with("system.posix_acl_");
            let set = if list {
                let stored = acl::as_ext4(value).ok_or_else(|| {
                    refused(format!("has a {attribute} that is no access control list"))
                })?;
                self.builder.set_xattr(handle, attribute, &stored)
            } else if NAMESPACES.iter().any(|known| attribute.starts_with(known)) {
                self.builder.set_xattr(handle, attribute, value)
            } else {
                continue;
            };
            set.map_err(|error| refused(error.to_string()))?;
        }
        Ok(())
    }
}

/// The builder takes names as text only.
fn text(name: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(name).map_err(|_| "has a name or target that is not UTF-8 text".to_owned())
}

fn inode_meta(meta: &Meta) -> mkext4::Meta {
    let (seconds, nanoseconds) = meta.mtime;
    let mtime = (
        seconds.clamp(TIMES.0, TIMES.1),
        nanoseconds.min(999_999_999),
    );
    mkext4::Meta::new(meta.mode, meta.uid, meta.gid, mtime)
}
