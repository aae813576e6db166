//! The boot id that programs in the guest read (random(4)).
//!
//! The kernel makes its own once and has no way to change it. So a file is bound over it, as
//! systemd-nspawn(1) does it for containers; each resume writes another id into that file.

use super::mounts::fd_path;
use crate::fault::io_reason;
use crate::root::Root;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountFlags, mount_bind, mount_remount};
use rustix::rand::{GetRandomFlags, getrandom};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;

/// Bytes of an id with its end of line.
const LENGTH: u64 = 37;
const BOOT_ID: &[u8] = b"/proc/sys/kernel/random/boot_id";

/// What stands in the place of the kernel's boot id, once it does.
#[derive(Debug)]
pub(super) struct BootId {
    /// A file of the agent's own.
    source: PathBuf,
    /// The same, once it is bound.
    bound: Option<File>,
}

impl BootId {
    pub(super) const fn new(source: PathBuf) -> Self {
        Self {
            source,
            bound: None,
        }
    }

    /// Gives the guest another boot id.
    pub(super) fn renew(&mut self, root: &Root) -> Result<(), String> {
        let renewed = self.try_to_renew(root);
        renewed.map_err(|error| format!("cannot renew the boot id: {}", io_reason(&error)))
    }

    /// Has the file in its place with the id that the guest has, so that a guest that is saved now can be
    /// given another with one write.
    pub(super) fn prepare(&mut self, root: &Root) -> Result<(), String> {
        if self.bound.is_some() {
            return Ok(());
        }
        let prepared = root
            .read(BOOT_ID, LENGTH + 1)
            .map_err(io::Error::from)
            .and_then(|text| self.bind(root, &text));
        prepared.map_err(|error| format!("cannot prepare the boot id: {}", io_reason(&error)))
    }

    fn try_to_renew(&mut self, root: &Root) -> io::Result<()> {
        let mut random = [0; 16];
        getrandom(&mut random, GetRandomFlags::empty())?;
        let text = uuid(random);
        match &self.bound {
            // All ids have one length: who reads at this moment finds one, never a part.
            Some(file) => file.write_all_at(text.as_bytes(), 0),
            None => self.bind(root, text.as_bytes()),
        }
    }

    fn bind(&mut self, root: &Root, text: &[u8]) -> io::Result<()> {
        if let Some(directory) = self.source.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&self.source, text)?;
        fs::set_permissions(&self.source, fs::Permissions::from_mode(0o444))?;
        let file = File::options().write(true).open(&self.source)?;
        mount_bind(&self.source, path(&open(root)?).as_str())?;
        self.bound = Some(file);
        // Opened again, the name leads to what was bound. Nobody in the guest writes to it.
        let closed = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let flags = MountFlags::BIND | MountFlags::RDONLY | closed;
        Ok(mount_remount(path(&open(root)?).as_str(), flags, c"")?)
    }
}

fn open(root: &Root) -> io::Result<OwnedFd> {
    Ok(root.open(BOOT_ID, OFlags::PATH, Mode::empty())?)
}

fn path(file: &OwnedFd) -> String {
    fd_path(file.as_fd())
}

/// A random UUID (RFC 9562, version 4) and an end of line, as the kernel shows its own.
fn uuid(random: [u8; 16]) -> String {
    let number = u128::from_be_bytes(random);
    let version = (number & !(0xf << 76)) | 0x4 << 76;
    let digits = format!("{:032x}", (version & !(0x3 << 62)) | 0x2 << 62);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part));
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    format!("{}\n", parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_id_has_the_form_that_the_kernels_has() {
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000\n");
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff\n");
        let mut random = [0; 16];
        random.iter_mut().zip(1..).for_each(|(to, byte)| *to = byte);
        assert_eq!(uuid(random), "01020304-0506-4708-890a-0b0c0d0e0f10\n");
    }

    mod t1 {
        use super::*;

        #[test]
        fn an_id_is_written_over_the_one_before_without_a_moment_in_between() {
            let temp = tempfile::tempdir().expect("temp");
            let root = Root::host(temp.path()).expect("opened");
            let source = temp.path().join("boot-id");
            fs::write(&source, uuid([1; 16])).expect("written");
            let reader = File::open(&source).expect("opened");
            let mut boot_id = BootId::new(source.clone());
            boot_id.bound = File::options().write(true).open(&source).ok();
            boot_id.renew(&root).expect("written");
            let now = io::read_to_string(reader).expect("the same file");
            assert_ne!(now, uuid([1; 16]));
            assert_eq!(now.len(), uuid([1; 16]).len());
            // There is nothing more to prepare.
            assert_eq!(boot_id.prepare(&root), Ok(()));
        }

        #[test]
        fn a_guest_without_proc_is_told_of() {
            let temp = tempfile::tempdir().expect("temp");
            let root = Root::host(temp.path()).expect("opened");
            let mut boot_id = BootId::new(temp.path().join("over/boot-id"));
            let error = boot_id.renew(&root).expect_err("nothing to bind over");
            assert_eq!(error, "cannot renew the boot id: no such file or directory");
            let error = boot_id.prepare(&root).expect_err("nothing to bind over");
            assert_eq!(
                error,
                "cannot prepare the boot id: no such file or directory"
            );
        }
    }
}
