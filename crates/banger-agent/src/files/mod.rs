//! Files of the guest: described, listed, made, put and got, inside the guest's root.

mod get;
mod list;
mod put;

use crate::fault::{failed, fault, shown};
use crate::root::{Root, checked};
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{Answer, Call, FileStat, FileType, GuestFault};
pub(crate) use get::get;
pub(crate) use put::put;
use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// Does what a call wants that is done at once.
pub(crate) fn act(root: &Root, call: &Call) -> Result<Answer, GuestFault> {
    match call {
        Call::Stat(path) => stat(root, path).map(Answer::File),
        Call::ListDirectory { path, after } => list::list(root, path, after),
        Call::MakeDirectory { path, mode } => make_directory(root, path, *mode),
        Call::MakeSymlink { path, target } => make_symlink(root, path, target),
        _ => Err(fault(
            FaultCode::Version,
            "this agent does not know this call",
        )),
    }
}

fn stat(root: &Root, path: &[u8]) -> Result<FileStat, GuestFault> {
    let path = checked(path)?;
    let describe = || {
        let file = root.open(path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        describe(&stat, || rustix::fs::readlinkat(&file, c"", Vec::new()))
    };
    describe().map_err(|errno| failed(format_args!("describe {}", shown(path)), errno))
}

/// A description from what the kernel says.
fn describe(
    stat: &Stat,
    target: impl FnOnce() -> rustix::io::Result<std::ffi::CString>,
) -> rustix::io::Result<FileStat> {
    let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
    let file_type = if kind.is_file() {
        FileType::Regular
    } else if kind.is_dir() {
        FileType::Directory
    } else if kind.is_symlink() {
        FileType::Symlink
    } else {
        FileType::Other
    };
    let is_link = file_type == FileType::Symlink;
    Ok(FileStat {
        file_type,
        mode: stat.st_mode & 0o7777,
        size: u64::try_from(stat.st_size).unwrap_or_default(),
        modified: stat.st_mtime,
        target: if is_link {
            target()?.into_bytes()
        } else {
            Vec::new()
        },
    })
}

fn make_directory(root: &Root, path: &[u8], mode: u32) -> Result<Answer, GuestFault> {
    let path = checked(path)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let is_there = || root.open(path, flags, Mode::empty()).is_ok();
    let made = root.open_parent(path).and_then(|(parent, name)| {
        let mode = Mode::from_raw_mode(mode & 0o7777);
        rustix::fs::mkdirat(&parent, name, mode)?;
        // The process's umask does not apply to what was asked for.
        rustix::fs::chmodat(&parent, name, mode, AtFlags::empty())
    });
    match made {
        Ok(()) => Ok(Answer::Done),
        // `/` and `..` have no name to be made by, and are there.
        Err(Errno::EXIST | Errno::INVAL) if is_there() => Ok(Answer::Done),
        Err(errno) => Err(failed(
            format_args!("make the directory {}", shown(path)),
            errno,
        )),
    }
}

fn make_symlink(root: &Root, path: &[u8], target: &[u8]) -> Result<Answer, GuestFault> {
    let path = checked(path)?;
    let target = checked(target)?;
    let make = || {
        let (parent, name) = root.open_parent(path)?;
        refuse_directory(&parent, name)?;
        let temporary = temporary_name();
        rustix::fs::symlinkat(target, &parent, temporary.as_slice())?;
        let renamed = rustix::fs::renameat(&parent, temporary.as_slice(), &parent, name);
        renamed.inspect_err(|_| {
            let _ = rustix::fs::unlinkat(&parent, temporary.as_slice(), AtFlags::empty());
        })
    };
    let done = make().map(|()| Answer::Done);
    done.map_err(|errno| {
        failed(
            format_args!("make the symbolic link {}", shown(path)),
            errno,
        )
    })
}

/// Nothing takes the place of a directory.
fn refuse_directory(parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    match rustix::fs::statat(parent.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() => Err(Errno::ISDIR),
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// A name that nobody else uses: `.banger-<random>`.
fn temporary_name() -> Vec<u8> {
    let mut random = [0; 8];
    // Not random enough is only a name that is taken, which fails cleanly.
    let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::INSECURE);
    format!(".banger-{:016x}", u64::from_ne_bytes(random)).into_bytes()
}

#[cfg(test)]
mod t1;
