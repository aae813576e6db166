//! A module tree as a read-only ext4 image, made without mounting and without root.

use super::{KernelError, source_files::Content};
use crate::disks::{DiskError, programs};
use crate::progress::Progress;
use mkext4::{FsBuilder, InodeCount, InodeHandle, Meta, Options, ROOT, sink::FileSink};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, io, path::Path};

const BLOCK: u64 = 4096;

/// Bytes of an inode in the table.
const INODE: u64 = 256;

/// The smallest journal that ext4 knows, in blocks; nothing is ever written to this disk.
const JOURNAL_BLOCKS: u32 = 1024;

/// The smallest image, in bytes: the builder wants 2048 blocks for one with a journal.
const SMALLEST: u64 = 16 << 20;

/// The epoch of every time stamp: the same tree gives the same bytes.
const EPOCH: i64 = 0;

/// All directories above the files, each behind the one above it.
fn directories<'a>(paths: impl Iterator<Item = &'a String>) -> BTreeMap<&'a str, ()> {
    let mut found = BTreeMap::new();
    for path in paths {
        let mut rest = path.as_str();
        while let Some((above, _)) = rest.rsplit_once('/') {
            found.insert(above, ());
            rest = above;
        }
    }
    found
}

/// Inodes and bytes that the image needs, with a little to spare for what the format itself takes.
fn measure(files: &BTreeMap<String, Content>, directories: usize) -> (u32, u64) {
    // A directory's entries, for the longest names that modules have, fit a block per 60 files.
    let entries = files.len() as u64 / 60 + directories as u64 * 2;
    let data: u64 = files.values().map(|file| file.size.div_ceil(BLOCK)).sum();
    let inodes = files.len() as u64 + directories as u64 + 64;
    let blocks = data + entries + u64::from(JOURNAL_BLOCKS) + inodes * INODE / BLOCK;
    // Superblock copies, group descriptors and bitmaps: well below 2 % of a group's 128 MiB.
    let bytes = (blocks + blocks / 32 + 256) * BLOCK;
    (
        u32::try_from(inodes).unwrap_or(u32::MAX),
        bytes.max(SMALLEST).next_multiple_of(1 << 20),
    )
}

fn options(files: &BTreeMap<String, Content>, directories: usize) -> Options {
    let (inodes, bytes) = measure(files, directories);
    let mut identity = Sha256::new();
    for (path, content) in files {
        identity.update(format!("{path}\0{}\0", content.size));
    }
    let mut uuid = [0; 16];
    uuid.iter_mut()
        .zip(identity.finalize())
        .for_each(|(to, from)| *to = from);
    let mut options = Options::new(bytes, uuid, EPOCH);
    options.inodes = InodeCount::Exact(inodes);
    options.label = Some("modules".to_owned());
    options.reserved_percent = 0;
    options.journal_blocks = Some(JOURNAL_BLOCKS);
    options
}

fn declare<'a>(
    builder: &mut FsBuilder,
    files: &'a BTreeMap<String, Content>,
    directories: &BTreeMap<&str, ()>,
) -> mkext4::Result<Vec<(InodeHandle, &'a Content)>> {
    let meta = |mode| Meta::new(mode, 0, 0, (EPOCH, 0));
    let mut handles = BTreeMap::from([("", ROOT)]);
    let place = |handles: &BTreeMap<&str, InodeHandle>, path: &str| {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let missing = || mkext4::Error::Invalid(format!("{path} has no directory"));
        Ok::<_, mkext4::Error>((*handles.get(above).ok_or_else(missing)?, name.to_owned()))
    };
    for directory in directories.keys() {
        let (above, name) = place(&handles, directory)?;
        handles.insert(directory, builder.mkdir(above, &name, meta(0o755))?);
    }
    let mut declared = Vec::new();
    for (path, content) in files {
        let (above, name) = place(&handles, path)?;
        let handle = builder.file(above, &name, meta(0o644), content.size)?;
        if content.size > 0 {
            declared.push((handle, content));
        }
    }
    Ok(declared)
}

fn write(
    path: &Path,
    files: &BTreeMap<String, Content>,
    progress: &Progress,
) -> mkext4::Result<()> {
    let directories = directories(files.keys());
    let mut builder = FsBuilder::new(options(files, directories.len()))?;
    let declared = declare(&mut builder, files, &directories)?;
    let layout = builder.seal()?;
    let mut sink = FileSink::create(path, layout.image_len())?;
    let mut writer = layout.writer(&mut sink)?;
    for (handle, content) in declared {
        progress.check().map_err(io::Error::other)?;
        writer.fill(handle, &mut content.open()?)?;
    }
    writer.finish()?;
    sink.into_file().sync_all()?;
    Ok(())
}

/// Makes the image, and has `e2fsck` look at it.
pub(super) fn build(
    path: &Path,
    files: &BTreeMap<String, Content>,
    progress: &Progress,
) -> Result<(), KernelError> {
    let written = write(path, files, progress);
    // What is wrong with one that was given up is of no interest.
    progress.check()?;
    written.map_err(|error| {
        let error = match error {
            mkext4::Error::Io(error) => error,
            other => io::Error::other(other),
        };
        DiskError::io("make the module disk", path)(error)
    })?;
    programs::run("e2fsck", [Path::new("-fn"), path])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> BTreeMap<String, Content> {
        let files = files.into_iter();
        files
            .map(|(path, bytes)| (path, Content::memory(bytes)))
            .collect()
    }

    #[test]
    fn every_directory_above_a_file_is_made_after_the_one_above_it() {
        let paths = [
            "a/b/c.ko".to_owned(),
            "a-b/d.ko".to_owned(),
            "e.ko".to_owned(),
        ];
        let found: Vec<_> = directories(paths.iter()).into_keys().collect();
        assert_eq!(found, ["a", "a-b", "a/b"]);
    }

    mod t1 {
        use super::*;
        use mkext4::reader::Fs;
        use std::fs::File;

        #[test]
        fn what_is_put_in_is_read_again() {
            let place = tempfile::tempdir().expect("a directory");
            let path = place.path().join("modules.ext4");
            let big: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
            let files = [
                ("kernel/drivers/a.ko".to_owned(), big.clone()),
                ("modules.order".to_owned(), Vec::new()),
            ];
            build(&path, &tree(files), &Progress::silent()).expect("is made and clean");
            let disk = Fs::open(File::open(&path).expect("opens")).expect("is a file system");
            let inode = disk.resolve("/kernel/drivers/a.ko").expect("is there");
            assert!(disk.read_file(inode).expect("reads") == big);
            let empty = disk.resolve("/modules.order").expect("is there");
            assert_eq!(disk.read_file(empty).expect("reads"), b"");
        }

        #[test]
        fn thousands_of_small_files_in_one_directory_or_one_each_fit() {
            let place = tempfile::tempdir().expect("a directory");
            let long = "n".repeat(200);
            for (number, directory) in ["one", "many"].into_iter().enumerate() {
                let files = (0..3000).map(|n| match directory {
                    "one" => (format!("kernel/{long}{n}.ko"), vec![1; 10]),
                    _ => (format!("kernel/{n}/a.ko"), vec![1; 10]),
                });
                let path = place.path().join(number.to_string());
                build(&path, &tree(files), &Progress::silent()).expect(directory);
            }
        }

        #[test]
        fn the_same_tree_gives_the_same_bytes() {
            let place = tempfile::tempdir().expect("a directory");
            let files = tree([("kernel/a.ko".to_owned(), vec![7; 5000])]);
            let made = ["one", "two"].map(|name| {
                let path = place.path().join(name);
                build(&path, &files, &Progress::silent()).expect("is made");
                std::fs::read(path).expect("reads")
            });
            assert!(made[0] == made[1]);
        }

        #[test]
        fn a_file_that_became_shorter_meanwhile_is_an_error() {
            let place = tempfile::tempdir().expect("a directory");
            let source = place.path().join("a.ko");
            std::fs::write(&source, "short").expect("writes");
            let files = BTreeMap::from([("a.ko".to_owned(), Content::part(source, 0, 5000))]);
            let error = build(&place.path().join("disk"), &files, &Progress::silent())
                .expect_err("is too short");
            assert!(
                error.to_string().contains("cannot make the module disk"),
                "{error}"
            );
        }

        #[test]
        fn a_file_where_a_directory_must_be_is_an_error() {
            let place = tempfile::tempdir().expect("a directory");
            let files = [("a".to_owned(), vec![1]), ("a/b".to_owned(), vec![1])];
            assert!(
                build(
                    &place.path().join("disk"),
                    &tree(files),
                    &Progress::silent()
                )
                .is_err()
            );
        }
    }
}
