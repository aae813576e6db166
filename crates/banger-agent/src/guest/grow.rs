//! File systems that grow when their disk has: while they are mounted, by the kernel (ext4, `resize_inode` in
//! its documentation). The host makes disks larger and leaves what is in them to the guest.

use super::disks::{self, Disks};
use super::mounts::{SYSTEM, WORK};
use crate::fault::{failed, failed_io, fault};
use crate::root::Root;
use crate::sys;
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{GrowDisk, GuestFault};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where the superblock begins, and its fields (the kernel's documentation of ext4, "Super Block").
const SUPERBLOCK: u64 = 1024;
const BLOCKS_LOW: usize = 0x4;
const LOG_BLOCK_SIZE: usize = 0x18;
const MAGIC: usize = 0x38;
const INCOMPATIBLE: usize = 0x60;
const BLOCKS_HIGH: usize = 0x150;
/// The feature with which [`BLOCKS_HIGH`] is one.
const IS_64_BIT: u64 = 0x80;

/// Grows the file system of a disk to all that the disk has, and says how many bytes that are. The last few
/// may be too few to be of use.
pub(super) fn grow(root: &Root, disk: GrowDisk) -> Result<u64, GuestFault> {
    let disks = disks::survey(Path::new("/sys/block"), Path::new("/dev"));
    let disks = disks.map_err(|message| fault(FaultCode::Guest, message))?;
    grow_one(root, &disks, disk)
}

fn grow_one(root: &Root, disks: &Disks, disk: GrowDisk) -> Result<u64, GuestFault> {
    let Some(device) = device(disks, disk) else {
        let message = format!("it has no {}", words(disk));
        return Err(fault(FaultCode::NotFound, message));
    };
    let what = format!("grow the {}", words(disk));
    let size = look(&device).map_err(|error| failed_io(&what, &error))?;
    if size.is_smaller() {
        let mounted = mounted(root, disk).map_err(|errno| failed(&what, errno))?;
        if !is_of(&mounted, &device) {
            let message = format!("cannot {what}: it is not mounted in its place");
            return Err(fault(FaultCode::Guest, message));
        }
        sys::resize_ext4(mounted.as_fd(), size.room).map_err(|errno| failed(&what, errno))?;
    }
    Ok(size.disk)
}

/// Grows at boot what was made larger since; returns what failed, one line each.
pub(super) fn grow_all(root: &Root, disks: &Disks) -> Vec<String> {
    let smaller = |disk: &GrowDisk| {
        let size = device(disks, *disk).map(|device| look(&device));
        // One that cannot be looked at could not be mounted either, which was said.
        size.is_some_and(|size| size.is_ok_and(|size| size.is_smaller()))
    };
    [GrowDisk::Work, GrowDisk::System]
        .into_iter()
        .filter(smaller)
        .filter_map(|disk| grow_one(root, disks, disk).err())
        .map(|fault| fault.message)
        .collect()
}

fn device(disks: &Disks, disk: GrowDisk) -> Option<PathBuf> {
    match disk {
        GrowDisk::Work => disks.work.clone(),
        GrowDisk::System => disks.system.clone(),
    }
}

const fn words(disk: GrowDisk) -> &'static str {
    match disk {
        GrowDisk::Work => "work disk",
        GrowDisk::System => "system disk",
    }
}

/// The directory at which the disk is mounted.
fn mounted(root: &Root, disk: GrowDisk) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match disk {
        GrowDisk::Work => root.open(WORK.as_bytes(), flags, Mode::empty()),
        GrowDisk::System => rustix::fs::open(SYSTEM, flags, Mode::empty()),
    }
}

/// Whether a file lies on a device: the guest may have mounted something else there.
fn is_of(file: &OwnedFd, device: &Path) -> bool {
    let on = rustix::fs::fstat(file).map(|stat| stat.st_dev);
    let is = rustix::fs::stat(device).map(|stat| stat.st_rdev);
    matches!((on, is), (Ok(on), Ok(is)) if on == is)
}

/// A disk and the ext4 in it.
#[derive(Debug, PartialEq, Eq)]
struct Size {
    /// What the disk has, in bytes.
    disk: u64,
    /// Blocks that the file system has.
    blocks: u64,
    /// Blocks that there is room for.
    room: u64,
}

impl Size {
    const fn is_smaller(&self) -> bool {
        self.blocks < self.room
    }
}

/// Looks at a disk, through the cache that its mounted file system has as well.
fn look(device: &Path) -> io::Result<Size> {
    let mut file = File::open(device)?;
    let disk = file.seek(SeekFrom::End(0))?;
    let mut block = [0; 0x200];
    file.read_exact_at(&mut block, SUPERBLOCK)?;
    let number = |at: usize, length: usize| -> u64 {
        let bytes = block.get(at..at + length).unwrap_or_default();
        bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    if number(MAGIC, 2) != 0xef53 {
        return Err(io::Error::other("it is no ext4"));
    }
    let high = match number(INCOMPATIBLE, 4) & IS_64_BIT {
        0 => 0,
        _ => number(BLOCKS_HIGH, 4),
    };
    // At most 64 KiB.
    let block_size = 1024_u64 << number(LOG_BLOCK_SIZE, 4).min(6);
    Ok(Size {
        disk,
        blocks: high << 32 | number(BLOCKS_LOW, 4),
        room: disk / block_size,
    })
}

#[cfg(test)]
mod t1 {
    use super::*;
    use std::process::Command;

    fn ext4(options: &[&str], size: u64) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("temp");
        file.as_file().set_len(size).expect("long");
        let mut command = Command::new("mke2fs");
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        let command = command.args(["-q", "-F", "-t", "ext4"]).args(options);
        let made = command.arg(file.path()).status().expect("it runs");
        assert!(made.success());
        file
    }

    #[test]
    fn a_file_system_is_smaller_than_its_disk_once_that_has_grown() {
        for (options, block) in [
            (&["-b", "4096", "-O", "64bit"][..], 4096),
            (&["-b", "1024", "-O", "^64bit"], 1024),
        ] {
            let file = ext4(options, 64 << 20);
            let whole = Size {
                disk: 64 << 20,
                blocks: (64 << 20) / block,
                room: (64 << 20) / block,
            };
            let found = look(file.path()).expect("readable");
            assert_eq!(found, whole);
            assert!(!found.is_smaller());
            file.as_file().set_len((65 << 20) + 7).expect("longer");
            let found = look(file.path()).expect("readable");
            let larger = Size {
                disk: (65 << 20) + 7,
                room: (65 << 20) / block,
                ..whole
            };
            assert_eq!(found, larger);
            assert!(found.is_smaller());
        }
    }

    #[test]
    fn what_has_more_blocks_than_32_bits_can_count_is_read_whole() {
        let file = ext4(&["-b", "4096", "-O", "64bit"], 64 << 20);
        let high = 1_u32.to_le_bytes();
        let at = SUPERBLOCK + BLOCKS_HIGH as u64;
        file.as_file().write_all_at(&high, at).expect("written");
        let found = look(file.path()).expect("readable");
        assert_eq!(found.blocks, (1 << 32) + (64 << 20) / 4096);
    }

    #[test]
    fn what_is_no_ext4_is_said_and_at_boot_left_to_who_mounts_it() {
        let file = tempfile::NamedTempFile::new().expect("temp");
        file.as_file().set_len(1 << 20).expect("long");
        let error = look(file.path()).expect_err("zeros");
        assert_eq!(error.to_string(), "it is no ext4");
        let root = Root::host(Path::new("/")).expect("opened");
        let disks = Disks {
            work: Some(file.path().to_owned()),
            system: Some("/nonexistent".into()),
            ..Disks::default()
        };
        assert_eq!(grow_all(&root, &disks), [""; 0].map(str::to_owned));
    }

    #[test]
    fn a_disk_that_is_not_mounted_in_its_place_does_not_grow() {
        let file = ext4(&["-b", "4096"], 64 << 20);
        file.as_file().set_len(65 << 20).expect("longer");
        let temp = tempfile::tempdir().expect("temp");
        let root = Root::host(temp.path()).expect("opened");
        let disks = Disks {
            work: Some(file.path().to_owned()),
            ..Disks::default()
        };
        let missing = grow_all(&root, &disks);
        assert_eq!(
            missing,
            ["cannot grow the work disk: no such file or directory"]
        );
        std::fs::create_dir(temp.path().join("root")).expect("made");
        let elsewhere = grow_all(&root, &disks);
        assert_eq!(
            elsewhere,
            ["cannot grow the work disk: it is not mounted in its place"]
        );
    }

    #[test]
    fn a_guest_without_disks_says_so() {
        let root = Root::host(Path::new("/")).expect("opened");
        let fault = grow_one(&root, &Disks::default(), GrowDisk::System);
        let fault = fault.expect_err("no disk");
        assert_eq!(fault.message, "it has no system disk");
    }
}
