//! A directory of the host that is filled with what a guest sent.
//!
//! Everything happens relative to an open directory and never through a symbolic link, so a guest
//! that sends a link and then a file "behind" it writes nowhere else. Files are written under a
//! temporary name and renamed: they appear whole or not at all.

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, fchmod, futimens, mkdirat,
    openat, renameat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

/// Permission bits that a guest may choose: no set-user-id, set-group-id or sticky bit.
const PERMITTED: u32 = 0o777;

/// An open directory.
#[derive(Debug)]
pub struct HostDirectory(OwnedFd);

impl HostDirectory {
    /// Opens a directory that the user named; links in that path are theirs.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Rc<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Rc::new(Self(openat(CWD, path, flags, Mode::empty())?)))
    }

    /// Opens a directory in this one, which is made if it is not there.
    ///
    /// # Errors
    /// When something else has that name, a symbolic link included.
    pub fn enter(&self, name: &[u8]) -> io::Result<Rc<Self>> {
        let name = OsStr::from_bytes(name);
        match mkdirat(&self.0, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Rc::new(Self(openat(&self.0, name, flags, Mode::empty())?)))
    }

    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn begin(self: &Rc<Self>) -> io::Result<NewFile> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let temporary = temporary_name()?;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = openat(&self.0, &*temporary, flags | OFlags::CLOEXEC, mode)?;
        Ok(NewFile {
            file: file.into(),
            entry: Temporary {
                directory: self.clone(),
                name: Some(temporary),
            },
        })
    }

    /// Makes a symbolic link, in the place of any file or link of that name.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn link(self: &Rc<Self>, name: &[u8], target: &[u8]) -> io::Result<()> {
        let temporary = temporary_name()?;
        symlinkat(OsStr::from_bytes(target), &self.0, &*temporary)?;
        let entry = Temporary {
            directory: self.clone(),
            name: Some(temporary),
        };
        entry.publish(name)
    }

    /// Sets what a directory gets last: its permissions may forbid writing into it.
    ///
    /// # Errors
    /// When they cannot be set.
    pub fn finish(&self, mode: u32, modified: i64) -> io::Result<()> {
        fchmod(&self.0, Mode::from_raw_mode(mode & PERMITTED))?;
        Ok(futimens(&self.0, &modified_at(modified))?)
    }
}

/// A file that has no name yet. Dropped, it is gone.
pub struct NewFile {
    /// Takes the bytes.
    pub file: File,
    entry: Temporary,
}

impl NewFile {
    /// Gives it its permissions, time and name, in the place of any file or link of that name.
    ///
    /// # Errors
    /// When that fails; nothing is left then.
    pub fn publish(self, name: &[u8], mode: u32, modified: i64) -> io::Result<()> {
        fchmod(&self.file, Mode::from_raw_mode(mode & PERMITTED))?;
        futimens(&self.file, &modified_at(modified))?;
        self.entry.publish(name)
    }
}

/// A directory's entry that is to be renamed or removed.
struct Temporary {
    directory: Rc<HostDirectory>,
    name: Option<CString>,
}

impl Temporary {
    fn publish(mut self, name: &[u8]) -> io::Result<()> {
        if let Some(temporary) = &self.name {
            let directory = &self.directory.0;
            renameat(directory, &**temporary, directory, OsStr::from_bytes(name))?;
        }
        self.name = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // Nobody can be told; the name says whose it was.
            let _left = unlinkat(&self.directory.0, &**name, AtFlags::empty());
        }
    }
}

fn temporary_name() -> io::Result<CString> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let name = format!(".banger-cp-{:016x}", u64::from_ne_bytes(random));
    CString::new(name).map_err(io::Error::other)
}

fn modified_at(seconds: i64) -> Timestamps {
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    Timestamps {
        last_access: time(0, UTIME_OMIT),
        last_modification: time(seconds, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(path)
            .expect("directory")
            .map(|entry| {
                entry
                    .expect("entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_with_mode_and_time_or_not_at_all() {
        let root = tempfile::tempdir().expect("temporary directory");
        let directory = HostDirectory::open(root.path()).expect("open");
        let mut file = directory.begin().expect("begun");
        file.file.write_all(b"abc").expect("written");
        file.publish(b"f", 0o6755, 1_000_000).expect("published");
        drop(directory.begin().expect("begun"));
        assert_eq!(names(root.path()), ["f"]);
        let found = std::fs::metadata(root.path().join("f")).expect("there");
        assert_eq!((found.mode() & 0o7777, found.mtime()), (0o755, 1_000_000));
    }

    #[test]
    fn nothing_is_written_through_a_link_that_a_guest_sent() {
        let root = tempfile::tempdir().expect("temporary directory");
        let outside = tempfile::tempdir().expect("temporary directory");
        let victim = outside.path().join("victim");
        std::fs::write(&victim, "safe").expect("written");
        let directory = HostDirectory::open(root.path()).expect("open");
        let target = outside.path().as_os_str().as_bytes();
        directory.link(b"d", target).expect("linked");
        assert!(directory.enter(b"d").is_err(), "a link is not entered");
        directory
            .link(b"f", victim.as_os_str().as_bytes())
            .expect("linked");
        let mut file = directory.begin().expect("begun");
        file.file.write_all(b"evil").expect("written");
        file.publish(b"f", 0o644, 0).expect("published");
        assert_eq!(std::fs::read(&victim).expect("there"), b"safe");
        assert_eq!(names(outside.path()), ["victim"]);
    }

    #[test]
    fn a_link_takes_the_place_of_a_file_but_not_of_a_directory() {
        let root = tempfile::tempdir().expect("temporary directory");
        std::fs::write(root.path().join("f"), "").expect("written");
        std::fs::create_dir(root.path().join("d")).expect("made");
        symlink("old", root.path().join("l")).expect("linked");
        let directory = HostDirectory::open(root.path()).expect("open");
        for name in [&b"f"[..], b"l"] {
            directory.link(name, b"new").expect("linked");
        }
        assert!(directory.link(b"d", b"new").is_err());
        assert_eq!(names(root.path()), ["d", "f", "l"]);
        let link = std::fs::read_link(root.path().join("l")).expect("a link");
        assert_eq!(link, Path::new("new"));
    }
}
