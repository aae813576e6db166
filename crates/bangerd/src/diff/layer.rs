//! One file system of ours: 4 KiB blocks, extents, sums of its metadata.

use super::source::{BLOCK, Source, Watch};
use super::{DiffError, opening};
use mkext4::reader::{FileExtent, Fs};
use mkext4::spec::inode::FileType;
use mkext4::spec::{self, DirentIter, Inode, XattrBlockView};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

/// Bytes of metadata that one file may lead to: extents of a file of TiB, names of a directory of hundreds
/// of thousands.
pub(super) const MOST_METADATA: u64 = 32 << 20;
/// The most names in one directory.
const MOST_NAMES: usize = 500_000;

/// Flags of an inode that make its content another one than its blocks have.
const NOT_UNDERSTOOD: [(u32, &str); 2] = [(0x1000_0000, "inline data"), (0x800, "encryption")];

/// A file as its file system has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) number: u32,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    /// When its metadata and its content were changed: seconds and the rest, as they are stored.
    times: [(u32, u32); 2],
    generation: u32,
    flags: u32,
    /// Where its content begins, or what it has instead.
    block: [u8; 60],
    pub(super) device: Option<(u32, u32)>,
    /// By namespace and name.
    pub(super) attributes: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
}

impl File {
    pub(super) const fn kind(&self) -> u16 {
        self.mode & 0o170_000
    }

    pub(super) const fn is_directory(&self) -> bool {
        self.kind() == 0o040_000
    }

    pub(super) const fn is_regular(&self) -> bool {
        self.kind() == 0o100_000
    }

    pub(super) const fn is_link(&self) -> bool {
        self.kind() == 0o120_000
    }

    /// When it was changed last, in seconds since 1970.
    pub(super) fn changed_at(&self) -> i64 {
        let [(seconds, extra), _] = self.times;
        Inode::timestamp(seconds, extra).0
    }

    pub(super) fn attribute(&self, namespace: u8, name: &[u8]) -> Option<&[u8]> {
        if self.attributes.is_empty() {
            return None;
        }
        let found = self.attributes.get(&(namespace, name.to_vec()));
        found.map(Vec::as_slice)
    }
}

/// An open file system.
pub(super) struct Layer {
    pub(super) disk: &'static str,
    pub(super) watch: Rc<Watch>,
    fs: Fs<Source>,
    source: Source,
    has_sums: bool,
}

impl Layer {
    /// Opens the file system in a file, as its journal says that it is.
    pub(super) fn open(
        disk: &'static str,
        path: &Path,
        watch: Rc<Watch>,
    ) -> Result<Self, DiffError> {
        let (fs, source) = opening::open(disk, path, &watch)?;
        let features = fs.superblock().feature_ro_compat;
        let layer = Self {
            disk,
            watch,
            has_sums: features & spec::ro_compat::METADATA_CSUM != 0,
            fs,
            source,
        };
        layer.check_groups()?;
        Ok(layer)
    }

    /// The tables of inodes lie on the disk: what is read of them is multiplied.
    fn check_groups(&self) -> Result<(), DiffError> {
        let superblock = self.fs.superblock();
        for group in 0..superblock.group_count() {
            let found = self.fs.group_desc(group);
            let found = found.map_err(|error| self.judge("groups", &error))?;
            if found.inode_table >= superblock.blocks_count {
                return Err(self.damaged("groups", "a table lies beyond the end"));
            }
        }
        Ok(())
    }

    /// What a copy of it has as well.
    pub(super) fn id(&self) -> [u8; 16] {
        self.fs.superblock().uuid
    }

    /// How many blocks it has.
    pub(super) fn blocks(&self) -> u64 {
        self.fs.superblock().blocks_count
    }

    /// Reads what it has of a file.
    pub(super) fn file(&self, number: u32) -> Result<File, DiffError> {
        self.watch.allow(MOST_METADATA);
        let at = || format!("inode {number}");
        let judge = |error: mkext4::Error| self.judge(&at(), &error);
        let raw = self.fs.inode_raw(number).map_err(judge)?;
        let inode = Inode::decode(&raw).map_err(judge)?;
        if self.has_sums {
            let sum = mkext4::csum::inode(self.fs.fs_seed(), number, inode.generation, &raw);
            let mask = if inode.extra_isize >= 4 { !0 } else { 0xffff };
            if sum & mask != inode.checksum & mask {
                return Err(self.damaged(&at(), "its checksum is wrong"));
            }
        }
        let mut found = spec::ibody_entries(&raw, inode.extra_isize).map_err(judge)?;
        if inode.file_acl != 0 {
            let block = self.fs.read_block(inode.file_acl).map_err(judge)?;
            found.extend(XattrBlockView::parse(&block).map_err(judge)?.entries);
        }
        let attributes = found
            .into_iter()
            .map(|one| ((one.name_index, one.name), one.value));
        let (has_blocks, kind) = (inode.uses_extents(), inode.file_type());
        let file = File {
            number,
            mode: inode.mode,
            uid: inode.uid,
            gid: inode.gid,
            size: inode.size,
            times: [
                (inode.ctime, inode.ctime_extra),
                (inode.mtime, inode.mtime_extra),
            ],
            generation: inode.generation,
            flags: inode.flags,
            device: inode.dev_numbers(),
            block: inode.block,
            attributes: attributes.collect(),
        };
        let with_content = matches!(kind, FileType::Regular | FileType::Dir);
        if with_content && !has_blocks && file.size > 0 {
            return Err(self.unsupported(&at(), "content without extents"));
        }
        for (flag, what) in NOT_UNDERSTOOD {
            if with_content && file.flags & flag != 0 {
                return Err(self.unsupported(&at(), what));
            }
        }
        if kind == FileType::Unknown {
            return Err(self.damaged(&at(), "it is of no kind that there is"));
        }
        Ok(file)
    }

    /// The names in a directory, without `.` and `..`.
    pub(super) fn names(&self, directory: &File) -> Result<BTreeMap<Vec<u8>, u32>, DiffError> {
        let at = format!("directory {}", directory.number);
        if directory.size > MOST_METADATA {
            let why = format!("{at} has {} bytes", directory.size);
            return Err(DiffError::TooMuch {
                disk: self.disk,
                why,
            });
        }
        let extents = self.extents(directory)?;
        self.watch.allow(2 * MOST_METADATA);
        let mut names = BTreeMap::new();
        for extent in extents.iter().filter(|extent| !extent.unwritten) {
            let end = u64::from(extent.logical) + u64::from(extent.len);
            let end = end.min(directory.size / BLOCK);
            for logical in u64::from(extent.logical)..end {
                let block = extent.physical + (logical - u64::from(extent.logical));
                let block = self.fs.read_block(block);
                let block = block.map_err(|error| self.judge(&at, &error))?;
                self.entries(directory, &at, &block, &mut names)?;
            }
        }
        Ok(names)
    }

    fn entries(
        &self,
        directory: &File,
        at: &str,
        block: &[u8],
        names: &mut BTreeMap<Vec<u8>, u32>,
    ) -> Result<(), DiffError> {
        use mkext4::csum;
        if self.has_sums
            && let Some(expected) = spec::dirent::tail_checksum(block)
        {
            let seed = self.fs.fs_seed();
            let seed = csum::inode_seed(seed, directory.number, directory.generation);
            if csum::dirent_block(seed, block) != expected {
                return Err(self.damaged(at, "a checksum in it is wrong"));
            }
        }
        // Blocks of the index are made to look like ones with nothing but `.` and `..` in them.
        for entry in DirentIter::new(block) {
            self.watch.entry(self.disk)?;
            let entry = entry.map_err(|error| self.judge(at, &error))?;
            let name = entry.name;
            if name == b"." || name == b".." {
                continue;
            }
            if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
                return Err(self.damaged(at, "a name in it cannot be"));
            }
            if names.insert(name.to_vec(), entry.inode).is_some() {
                return Err(self.damaged(at, "a name is in it twice"));
            }
            if names.len() > MOST_NAMES {
                let why = format!("{at} has more than {MOST_NAMES} files");
                return Err(DiffError::TooMuch {
                    disk: self.disk,
                    why,
                });
            }
        }
        Ok(())
    }

    /// Where a link leads.
    pub(super) fn target(&self, link: &File) -> Result<Vec<u8>, DiffError> {
        self.watch.allow(MOST_METADATA);
        let target = self.fs.symlink_target(link.number);
        target.map_err(|error| self.judge(&format!("link {}", link.number), &error))
    }

    /// Where the content of a file is, in order; nothing twice.
    pub(super) fn extents(&self, file: &File) -> Result<Vec<FileExtent>, DiffError> {
        self.watch.allow(MOST_METADATA);
        let at = format!("inode {}", file.number);
        let judge = |error: mkext4::Error| self.judge(&at, &error);
        let inode = self.fs.inode(file.number).map_err(judge)?;
        let mut extents = self.fs.extents(file.number, &inode).map_err(judge)?;
        extents.sort_by_key(|extent| extent.logical);
        let pairs = extents.iter().zip(extents.iter().skip(1));
        let end = |one: &FileExtent| u64::from(one.logical) + u64::from(one.len);
        if pairs
            .clone()
            .any(|(one, next)| end(one) > next.logical.into())
        {
            return Err(self.damaged(&at, "two of its parts are one"));
        }
        Ok(extents)
    }

    /// Reads from one extent of a file, from an offset in it.
    pub(super) fn read(
        &self,
        extent: &FileExtent,
        offset: u64,
        into: &mut [u8],
    ) -> Result<(), DiffError> {
        use mkext4::reader::ReadAt;
        self.watch.allow(into.len() as u64);
        let place = extent.physical * BLOCK + offset;
        let read = self.source.read_exact_at(place, into);
        read.map_err(|error| self.judge(&format!("block {}", extent.physical), &error.into()))
    }

    fn judge(&self, at: &str, error: &mkext4::Error) -> DiffError {
        self.watch.judge(self.disk, at, error)
    }

    pub(super) fn damaged(&self, at: &str, why: &str) -> DiffError {
        DiffError::Damaged {
            disk: self.disk,
            why: format!("{at}: {why}"),
        }
    }

    fn unsupported(&self, at: &str, what: &str) -> DiffError {
        DiffError::Unsupported {
            disk: self.disk,
            why: format!("{at}: {what}"),
        }
    }
}
