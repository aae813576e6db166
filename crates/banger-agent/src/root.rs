//! The guest's root directory, as the agent sees it from outside.
//!
//! Every path of a call is resolved *inside* it: symbolic links, `..` and absolute targets never
//! lead out (openat2(2), `RESOLVE_IN_ROOT`).

use crate::fault::{fault, shown};
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::GuestFault;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A root directory, and whether commands are confined to it.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
    confines: bool,
}

/// How often a resolution is tried again that a rename disturbed (`EAGAIN` of openat2(2)).
const TRIES: usize = 16;

impl Root {
    /// The root of a guest: commands run chrooted into it, as the users of its `/etc/passwd`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn guest(path: &Path) -> std::io::Result<Self> {
        Self::open_directory(path, true)
    }

    /// A directory that stands for a guest's root in tests: files are resolved in it, commands
    /// run outside, as the caller.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn host(path: &Path) -> std::io::Result<Self> {
        Self::open_directory(path, false)
    }

    fn open_directory(path: &Path, confines: bool) -> std::io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self {
            directory,
            confines,
        })
    }

    /// Whether commands are chrooted.
    pub(crate) const fn confines(&self) -> bool {
        self.confines
    }

    /// The directory itself (`O_PATH`).
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Opens a path inside.
    pub(crate) fn open(&self, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        // openat2(2) refuses flags that do nothing beside O_PATH.
        let is_handle = flags.contains(OFlags::PATH);
        let more = if is_handle {
            OFlags::CLOEXEC
        } else {
            OFlags::CLOEXEC | OFlags::NOCTTY
        };
        let flags = flags | more;
        let mut left = TRIES;
        loop {
            let opened =
                rustix::fs::openat2(self.as_fd(), path, flags, mode, ResolveFlags::IN_ROOT);
            match opened {
                Err(Errno::AGAIN) if left > 0 => left -= 1,
                other => return other,
            }
        }
    }

    /// Opens the directory that a path's last component lies in.
    pub(crate) fn open_parent<'a>(&self, path: &'a [u8]) -> Result<(OwnedFd, &'a [u8])> {
        let (parent, name) = split(path).ok_or(Errno::INVAL)?;
        let flags = OFlags::DIRECTORY | OFlags::PATH;
        Ok((self.open(parent, flags, Mode::empty())?, name))
    }

    /// Reads at most `limit` bytes of a regular file.
    pub(crate) fn read(&self, path: &[u8], limit: u64) -> Result<Vec<u8>> {
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(Errno::INVAL);
        }
        let mut bytes = Vec::new();
        let read = File::from(file).take(limit).read_to_end(&mut bytes);
        read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(bytes)
    }

    /// Whether a path leads to something.
    pub(crate) fn has(&self, path: &[u8]) -> bool {
        self.open(path, OFlags::PATH, Mode::empty()).is_ok()
    }

    /// Makes a directory and its parents, as far as they are not there.
    pub(crate) fn make_directories(&self, path: &[u8]) -> Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::PATH;
        match self.open(path, flags, Mode::empty()) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        let (parent, name) = split(path).ok_or(Errno::INVAL)?;
        let parent = self.make_directories(parent)?;
        match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => self.open(path, flags, Mode::empty()),
            Err(error) => Err(error),
        }
    }
}

/// Refuses what cannot be a path.
pub(crate) fn checked(path: &[u8]) -> std::result::Result<&[u8], GuestFault> {
    if path.is_empty() || path.contains(&0) || path.len() >= 4096 {
        let message = format!("not a path: \"{}\"", shown(path));
        return Err(fault(FaultCode::BadRequest, message));
    }
    Ok(path)
}

/// A path's parent and last component; `None` where that is no name (`/`, `.`, `..`).
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = path.iter().rposition(|byte| *byte != b'/')? + 1;
    let path = path.get(..end)?;
    let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => path.split_at(at + 1),
        None => (&b"."[..], path),
    };
    (name != b"." && name != b"..").then_some((parent, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_splits_into_parent_and_name() {
        for (path, expected) in [
            ("/a/b", Some(("/a/", "b"))),
            ("/a/b//", Some(("/a/", "b"))),
            ("/a", Some(("/", "a"))),
            ("a", Some((".", "a"))),
            ("/", None),
            ("", None),
            ("/a/..", None),
            (".", None),
        ] {
            let expected = expected.map(|(p, n)| (p.as_bytes(), n.as_bytes()));
            assert_eq!(split(path.as_bytes()), expected, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_a_path_is_refused() {
        for path in [&b""[..], b"/a\0b", &[b'a'; 4096]] {
            assert!(checked(path).is_err());
        }
        assert!(checked(b"/a b\n").is_ok());
    }

    mod t1 {
        use super::*;

        #[test]
        fn links_never_lead_out() {
            let temp = tempfile::tempdir().expect("temp");
            std::fs::create_dir(temp.path().join("etc")).expect("made");
            std::fs::write(temp.path().join("etc/passwd"), "inside").expect("written");
            let link = |target: &str, name: &str| {
                std::os::unix::fs::symlink(target, temp.path().join(name)).expect("linked");
            };
            link("/etc", "absolute");
            link("../../../../etc", "climbing");
            let root = Root::host(temp.path()).expect("opened");
            for path in [
                "/etc/passwd",
                "absolute/passwd",
                "/climbing/passwd",
                "../etc/passwd",
            ] {
                let read = root.read(path.as_bytes(), 100);
                assert_eq!(read, Ok(b"inside".to_vec()), "{path}");
            }
            assert_eq!(root.read(b"/etc/passwd", 3), Ok(b"ins".to_vec()));
            assert_eq!(root.read(b"/etc", 3), Err(Errno::INVAL));
        }

        #[test]
        fn directories_are_made_with_their_parents_and_through_links() {
            let temp = tempfile::tempdir().expect("temp");
            std::fs::create_dir_all(temp.path().join("usr/lib")).expect("made");
            std::os::unix::fs::symlink("usr/lib", temp.path().join("lib")).expect("linked");
            let root = Root::host(temp.path()).expect("opened");
            for _ in 0..2 {
                root.make_directories(b"/lib/modules/6.1").expect("made");
            }
            assert!(temp.path().join("usr/lib/modules/6.1").is_dir());
            assert!(root.has(b"/lib/modules") && !root.has(b"/lib/nothing"));
        }
    }
}
