//! Puts small files into the guest's `/etc`, also where that cannot be written.

use crate::fault::{io_reason, reason};
use crate::root::Root;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::mount_bind;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;

/// What a kernel writes and reads in one piece, in bytes.
const PAGE: usize = 4096;

/// Puts files into a root; remembers those that it had to lay over the image's.
#[derive(Debug)]
pub(super) struct Placer {
    /// Where files lie that are bound over others.
    over: PathBuf,
    bound: BTreeSet<&'static str>,
}

impl Placer {
    /// `over` is a directory of the agent's own.
    pub(super) const fn new(over: PathBuf) -> Self {
        Self {
            over,
            bound: BTreeSet::new(),
        }
    }

    /// Puts a file in the place of whatever has that name, a link that leads nowhere included. On
    /// a read-only root, and where something else is bound, it is bound over the file that is there.
    pub(super) fn put(
        &mut self,
        root: &Root,
        path: &'static str,
        bytes: &[u8],
        mode: u32,
    ) -> Result<(), String> {
        let failed = |why: String| format!("cannot write {path} in the guest: {why}");
        if !self.bound.contains(path) {
            // Else it is not there, is no file of that kind, or cannot be written.
            if matches!(write_over(root, path, bytes, mode), Ok(true)) || has(root, path, bytes) {
                return Ok(());
            }
            match replace(root, path, bytes, mode) {
                Err(Errno::ROFS | Errno::BUSY) => {}
                other => return other.map_err(|errno| failed(reason(errno))),
            }
        }
        self.lay_over(root, path, bytes)
            .map_err(|error| failed(io_reason(&error)))
    }

    fn lay_over(&mut self, root: &Root, path: &'static str, bytes: &[u8]) -> std::io::Result<()> {
        let source = self
            .over
            .join(path.trim_start_matches('/').replace('/', "-"));
        if !self.bound.contains(path) {
            let target = root.open(path.as_bytes(), OFlags::PATH, Mode::empty())?;
            fs::create_dir_all(&self.over)?;
            fs::write(&source, bytes)?;
            mount_bind(&source, super::mounts::fd_path(target.as_fd()).as_str())?;
            self.bound.insert(path);
        }
        fs::write(&source, bytes)
    }
}

/// Whether a file says so already.
fn has(root: &Root, path: &str, bytes: &[u8]) -> bool {
    let limit = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let old = root.read(path.as_bytes(), limit.saturating_add(1));
    old.is_ok_and(|old| old == bytes)
}

/// Writes over a small file that is there, or leaves it as it is: for an emulated guest that goes on from
/// saved memory, whose every step is translated anew, that is a tenth of making another one. Says `false`
/// where another has to take its place.
///
/// A file of less than a page is written at once as far as readers can see; a crash leaves the old or the
/// new one, whose blocks are the same.
fn write_over(root: &Root, path: &str, bytes: &[u8], mode: u32) -> Result<bool, Errno> {
    let (parent, name) = root.open_parent(path.as_bytes())?;
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&parent, name, flags, Mode::empty())?;
    let found = rustix::fs::fstat(&file)?;
    let is_alike = FileType::from_raw_mode(found.st_mode).is_file()
        && Mode::from_raw_mode(found.st_mode) == Mode::from_raw_mode(mode)
        && (found.st_uid, found.st_gid, found.st_nlink) == (0, 0, 1);
    let length = usize::try_from(found.st_size).unwrap_or(usize::MAX);
    if !is_alike || length > PAGE || bytes.len() > PAGE || length == 0 {
        return Ok(false);
    }
    let mut old = vec![0; length];
    let read = rustix::io::pread(&file, &mut old, 0)?;
    if read != length {
        return Ok(false);
    }
    // A guest that starts again mostly has it all.
    if old == bytes {
        return Ok(true);
    }
    // Never shorter and longer in two steps: the rest of a longer one goes last.
    if rustix::io::pwrite(&file, bytes, 0)? != bytes.len() {
        return Ok(false);
    }
    if bytes.len() < length {
        rustix::fs::ftruncate(&file, u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
    }
    Ok(true)
}

fn replace(root: &Root, path: &str, bytes: &[u8], mode: u32) -> Result<(), Errno> {
    const TEMPORARY: &str = ".banger-new";
    if let Some((parent, _)) = path.rsplit_once('/') {
        root.make_directories(parent.as_bytes())?;
    }
    let (parent, name) = root.open_parent(path.as_bytes())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(mode);
    // What a crash left behind is in the way.
    let _ = rustix::fs::unlinkat(&parent, TEMPORARY, AtFlags::empty());
    let mut file = File::from(rustix::fs::openat(&parent, TEMPORARY, flags, mode)?);
    let written = file.write_all(bytes);
    written.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    rustix::fs::fchmod(&file, mode)?;
    rustix::fs::renameat(&parent, TEMPORARY, &parent, name)
}

#[cfg(test)]
mod t1 {
    use super::*;

    #[test]
    fn a_file_takes_the_place_of_a_link_that_leads_nowhere() {
        let temp = tempfile::tempdir().expect("temp");
        fs::create_dir(temp.path().join("etc")).expect("made");
        let name = temp.path().join("etc/resolv.conf");
        std::os::unix::fs::symlink("../run/systemd/stub", &name).expect("linked");
        let root = Root::host(temp.path()).expect("opened");
        let mut placer = Placer::new(temp.path().join("over"));
        for text in ["one", "two"] {
            placer
                .put(&root, "/etc/resolv.conf", text.as_bytes(), 0o644)
                .expect("written");
            assert_eq!(fs::read_to_string(&name).expect("read"), text);
        }
        assert!(fs::symlink_metadata(&name).expect("there").is_file());
        assert_eq!(
            fs::read_dir(temp.path().join("etc")).expect("read").count(),
            1
        );
    }

    /// A file that is there is written over if it is one that this room would make; its inode stays.
    #[test]
    fn a_file_of_its_own_kind_is_written_over_and_another_one_is_replaced() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let temp = tempfile::tempdir().expect("temp");
        fs::create_dir(temp.path().join("etc")).expect("made");
        let name = temp.path().join("etc/hostname");
        let root = Root::host(temp.path()).expect("opened");
        let mut placer = Placer::new(temp.path().join("over"));
        let mut put = |text: &str| {
            placer
                .put(&root, "/etc/hostname", text.as_bytes(), 0o644)
                .expect("written");
            assert_eq!(fs::read_to_string(&name).expect("read"), text);
            fs::metadata(&name).expect("there").ino()
        };
        let is_own = rustix::process::getuid().is_root() && rustix::process::getgid().is_root();
        let first = put("a-long-name\n");
        for text in ["b\n", "another-long-name\n", "another-long-name\n"] {
            assert_eq!(put(text) == first, is_own, "{text}");
        }
        let large = "x".repeat(PAGE + 1);
        let before = put("c\n");
        // Its inode is not given to another as long as it is open.
        let _held = File::open(&name).expect("opened");
        assert_ne!(put(&large), before, "more than a page is written twice");
        fs::set_permissions(&name, fs::Permissions::from_mode(0o600)).expect("set");
        let _ = put("e\n");
        let mode = fs::metadata(&name).expect("there").mode() & 0o777;
        assert_eq!(mode, 0o644);
        // What has another name, too, is another one's file.
        fs::hard_link(&name, temp.path().join("etc/other")).expect("linked");
        let _ = put("f\n");
        let other = fs::read_to_string(temp.path().join("etc/other"));
        assert_eq!(other.expect("read"), "e\n");
    }

    #[test]
    fn an_image_without_the_directory_gets_it_and_a_failure_is_named() {
        let temp = tempfile::tempdir().expect("temp");
        let root = Root::host(temp.path()).expect("opened");
        let mut placer = Placer::new(temp.path().join("over"));
        placer
            .put(&root, "/etc/hostname", b"x\n", 0o644)
            .expect("written");
        fs::write(temp.path().join("file"), "").expect("written");
        let error = placer
            .put(&root, "/file/x", b"", 0o644)
            .expect_err("no directory");
        assert_eq!(error, "cannot write /file/x in the guest: not a directory");
    }
}
