//! Opening the file system of a disk, as its journal says that it is.

use super::DiffError;
use super::journal::{self, JournalError};
use super::layer::MOST_METADATA;
use super::source::{BLOCK, Logged, Source, Watch};
use mkext4::reader::Fs;
use mkext4::spec::{self, Superblock, incompat};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::rc::Rc;

/// The longest journal: the largest that mke2fs makes.
const LONGEST_JOURNAL: u64 = 1 << 30;

/// Opens it. What is in the journal is read from there; nothing is written.
pub(super) fn open(
    disk: &'static str,
    path: &Path,
    watch: &Rc<Watch>,
) -> Result<(Fs<Source>, Source), DiffError> {
    let io = |source| DiffError::Io {
        path: path.to_owned(),
        source,
    };
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut options = File::options();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = Rc::new(options.open(path).map_err(io)?);
    let length = file.metadata().map_err(io)?.len();
    let mut block = [0; 1024];
    let damaged = |why: &str| DiffError::Damaged {
        disk,
        why: why.to_owned(),
    };
    let read = file.read_exact_at(&mut block, 1024);
    read.map_err(|_| damaged("it is cut off before its superblock"))?;
    let (clean, was_dirty) = judge(&block, length).map_err(damaged)?;
    let open = |superblock, journal| {
        watch.allow(MOST_METADATA);
        let source = Source {
            file: Rc::clone(&file),
            superblock,
            journal: Rc::new(journal),
            watch: Rc::clone(watch),
        };
        let fs = Fs::open(source.clone());
        let fs = fs.map_err(|error| watch.judge(disk, "superblock", &error))?;
        Ok((fs, source))
    };
    let (fs, source) = open(clean, BTreeMap::new())?;
    if !was_dirty {
        return Ok((fs, source));
    }
    let journal = read_journal(disk, watch, &fs)?;
    if let Some(logged) = journal.get(&0) {
        let place = logged.block * BLOCK + 1024;
        file.read_exact_at(&mut block, place).map_err(io)?;
    }
    let (clean, _) = judge(&block, length).map_err(damaged)?;
    open(clean, journal)
}

fn read_journal(
    disk: &'static str,
    watch: &Watch,
    fs: &Fs<Source>,
) -> Result<BTreeMap<u64, Logged>, DiffError> {
    watch.allow(MOST_METADATA);
    let judge = |error: &mkext4::Error| watch.judge(disk, "journal", error);
    let number = spec::JOURNAL_INO;
    let inode = fs.inode(number).map_err(|error| judge(&error))?;
    let extents = fs.extents(number, &inode).map_err(|error| judge(&error))?;
    let blocks = inode.size.min(LONGEST_JOURNAL) / BLOCK;
    watch.allow(inode.size.min(LONGEST_JOURNAL) + BLOCK);
    let place = |block| {
        let place = fs.file_block(&extents, block);
        let hole = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        place.ok_or_else(hole).map_err(mkext4::Error::from)
    };
    let read = |block| fs.read_block(place(block)?);
    let newest = journal::newest(blocks, read).map_err(|error| match error {
        JournalError::Read(error) => judge(&error),
        JournalError::Damaged(why) => DiffError::Damaged {
            disk,
            why: format!("journal: {why}"),
        },
        JournalError::Unknown(features) => DiffError::Unsupported {
            disk,
            why: format!("journal: features {features:#x}"),
        },
    })?;
    let logged = newest.into_iter().map(|(block, newest)| {
        let logged = Logged {
            block: place(newest.journal_block)?,
            is_escaped: newest.is_escaped,
        };
        Ok((block, logged))
    });
    logged
        .collect::<Result<_, mkext4::Error>>()
        .map_err(|error| judge(&error))
}

/// The superblock as it is once the journal is written out, and whether that is still to be done.
fn judge(block: &[u8; 1024], length: u64) -> Result<([u8; 1024], bool), &'static str> {
    let superblock = Superblock::decode(block).map_err(|_| "it is no ext4")?;
    let has_sums = superblock.feature_ro_compat & spec::ro_compat::METADATA_CSUM != 0;
    if has_sums && mkext4::csum::superblock(block) != superblock.checksum {
        return Err("the checksum of its superblock is wrong");
    }
    let blocks = superblock.blocks_count;
    let fits = blocks.checked_mul(BLOCK).is_some_and(|end| end <= length);
    let has_our_form = superblock.log_block_size == 2
        && superblock.first_data_block == 0
        && matches!(superblock.desc_size(), 32..=64);
    match (has_our_form, fits && blocks > 0) {
        (false, _) => return Err("it has not the form that banger gives to disks"),
        (_, false) => return Err("it is cut off"),
        (true, true) => {}
    }
    let mut clean = *block;
    let features = superblock.feature_incompat & !incompat::RECOVER;
    put(&mut clean, 0x60, features);
    let sum = mkext4::csum::superblock(&clean);
    if has_sums {
        put(&mut clean, 0x3fc, sum);
    }
    Ok((clean, features != superblock.feature_incompat))
}

fn put(block: &mut [u8; 1024], at: usize, number: u32) {
    let place = block.iter_mut().skip(at);
    place
        .zip(number.to_le_bytes())
        .for_each(|(to, from)| *to = from);
}
