//! Puts small files into the guest's `/etc`, also where that cannot be written.

use crate::fault::{io_reason, reason};
use crate::root::Root;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::mount_bind;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;

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
        // A guest that starts again mostly has it all.
        let limit = u64::try_from(bytes.len())
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        if root
            .read(path.as_bytes(), limit)
            .is_ok_and(|old| old == bytes)
        {
            return Ok(());
        }
        if !self.bound.contains(path) {
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
