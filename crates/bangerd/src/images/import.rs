//! The one way from a stream of entries to a published image: read → path map and spool → file
//! system → check → rename.

use super::{
    archive::Archive,
    archive_error::ArchiveError,
    builder::{Identity, ImageBuilder},
    contents,
    entry::{Entry, Kind, Meta},
    error::ImageError,
    manifest::ImageManifest,
    metered::Metered,
    packing::{self, Packing},
    spool::Spool,
    tree::Tree,
};
use crate::{
    disks::{DiskError, staging::Staging},
    host,
    layout::Layout,
    progress::Progress,
};
use banger_model::ArtifactName;
use std::{
    io::{self, Read},
    os::unix::fs::MetadataExt,
};

/// The disk of an image inside of its directory.
pub(crate) const DISK: &str = "image.ext4";
/// What it says of itself.
pub(crate) const MANIFEST: &str = "manifest.json";

/// Most bytes that may follow the block that ends an archive: writers fill up to their own block
/// size, which is 10 KiB by default.
const MOST_TRAILING: u64 = 64 << 20;

/// How much an image may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Entries in the archive: 4 million, eight times those of a full desktop.
    pub(crate) entries: u64,
    /// Bytes of all files together: 1 TiB.
    pub(crate) bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 4_000_000,
            bytes: 1 << 40,
        }
    }
}

/// An entry that banger adds behind those of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Added {
    /// A file, 0644 and root's, with this content.
    File(&'static str, &'static str),
    /// A symbolic link.
    Symlink(String, &'static str),
}

/// Where an image comes from.
pub(crate) struct Source<'a> {
    /// The stream.
    pub(crate) tar: &'a mut dyn Read,
    /// In words, for the manifest.
    pub(crate) origin: &'a str,
    /// Whether an entry is to be left out.
    pub(crate) left_out: fn(&Entry) -> bool,
    /// What is laid over it.
    pub(crate) added: Vec<Added>,
    /// Asked when the stream has ended: whether its writer says that it is whole.
    pub(crate) whole: &'a mut dyn FnMut() -> Result<(), ImageError>,
}

/// What came out of reading a stream.
struct Collected {
    tree: Tree,
    spool: Spool,
    digest: [u8; 32],
    entries: u64,
}

/// Makes and publishes an image. Whatever fails, nothing is left behind.
pub(crate) fn import(
    layout: &Layout,
    name: &ArtifactName,
    source: Source<'_>,
    limits: Limits,
    builder: &dyn ImageBuilder,
    progress: &Progress,
) -> Result<(), ImageError> {
    progress.check()?;
    let staging = Staging::new(layout, "image")?;
    let origin = source.origin.to_owned();
    let collected = collect(source, &staging, limits, progress)?;
    let architecture = contents::architecture(&collected.tree, &collected.spool)?;
    let init = contents::init(&collected.tree);
    progress.check()?;
    let built = staging.path().join("built");
    std::fs::create_dir(&built).map_err(DiskError::io("create", &built))?;
    let disk = built.join(DISK);
    let created = host::now().seconds;
    progress.stage("laying out the image");
    let identity = Identity {
        uuid: uuid(&collected.digest),
        made: created,
    };
    builder.build(&collected.tree, &collected.spool, identity, &disk)?;
    progress.check()?;
    progress.stage("checking the image");
    builder.check(&disk)?;
    let taken = disk.metadata().map_err(DiskError::io("look at", &disk))?;
    let manifest = ImageManifest {
        name: name.clone(),
        sha256: hexadecimal(&collected.digest),
        origin,
        architecture,
        init,
        created,
        entries: collected.entries,
        size: taken.blocks() * 512,
    };
    manifest.write(&built.join(MANIFEST))?;
    progress.check()?;
    match staging.publish(&built, &layout.image(name)) {
        Err(DiskError::Exists { .. }) => Err(ImageError::Exists { name: name.clone() }),
        other => Ok(other?),
    }
}

fn collect(
    source: Source<'_>,
    staging: &Staging,
    limits: Limits,
    progress: &Progress,
) -> Result<Collected, ImageError> {
    progress.stage("reading the archive");
    let mut tree = Tree::new();
    let mut spool = Spool::new(staging.path(), limits.bytes)?;
    let mut metered = Metered::new(source.tar, progress);
    let mut collector = Collector {
        tree: &mut tree,
        spool: &mut spool,
        left_out: source.left_out,
        limits,
    };
    let entries = collector.read(&mut metered)?;
    (source.whole)()?;
    for (number, added) in (entries + 1..).zip(source.added) {
        let (entry, mut content) = entry_of(added);
        let at = spool.length();
        spool.append(&mut content)?;
        tree.place(entry, at).map_err(|why| unusable(number, why))?;
    }
    Ok(Collected {
        tree,
        spool,
        digest: metered.digest(),
        entries,
    })
}

fn unusable(number: u64, why: super::tree::TreeError) -> ImageError {
    let why = Box::new(why);
    ImageError::Entry { number, why }
}

/// Takes a stream apart.
struct Collector<'a> {
    tree: &'a mut Tree,
    spool: &'a mut Spool,
    left_out: fn(&Entry) -> bool,
    limits: Limits,
}

impl Collector<'_> {
    /// Reads a stream to its end and gives the number of its entries.
    fn read(&mut self, stream: &mut dyn Read) -> Result<u64, ImageError> {
        let (packing, stream) = packing::unpacked(stream).map_err(ArchiveError::Io)?;
        if let Packing::Foreign(looks_like) = packing {
            return Err(ArchiveError::NotATar { looks_like }.into());
        }
        let mut archive = Archive::new(stream);
        while let Some(entry) = archive.next()? {
            let number = archive.entries();
            if number > self.limits.entries {
                return Err(ImageError::TooManyEntries {
                    most: self.limits.entries,
                });
            }
            if (self.left_out)(&entry) {
                continue;
            }
            let at = self.spool.length();
            if matches!(entry.kind, Kind::File { .. }) {
                self.spool.append(&mut archive.content())?;
            }
            self.tree
                .place(entry, at)
                .map_err(|why| unusable(number, why))?;
        }
        let entries = archive.entries();
        // To the end, so that a packed stream's own checksum is looked at and a pipe's writer is
        // not cut.
        let rest = io::copy(
            &mut archive.into_stream().take(MOST_TRAILING),
            &mut io::sink(),
        );
        if rest.map_err(ArchiveError::Io)? == MOST_TRAILING {
            let why = "more than 64MiB of something else";
            return Err(ArchiveError::Damaged { entries, why }.into());
        }
        Ok(entries)
    }
}

fn entry_of(added: Added) -> (Entry, &'static [u8]) {
    match added {
        Added::File(path, content) => {
            let kind = Kind::File {
                size: content.len() as u64,
                data: None,
            };
            let entry = Entry {
                path: path.into(),
                meta: Meta::plain(0o644),
                kind,
            };
            (entry, content.as_bytes())
        }
        Added::Symlink(path, target) => {
            let entry = Entry {
                path: path.into(),
                meta: Meta::plain(0o777),
                kind: Kind::Symlink(target.into()),
            };
            (entry, b"")
        }
    }
}

/// A UUID of the kind that anyone may define (version 8 of RFC 9562), from a digest.
fn uuid(digest: &[u8; 32]) -> [u8; 16] {
    let mut uuid = *digest.first_chunk::<16>().unwrap_or(&[0; 16]);
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut uuid;
    *version = *version & 0x0f | 0x80;
    *variant = *variant & 0x3f | 0x80;
    uuid
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
