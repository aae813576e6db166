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
use std::path::{Path, PathBuf};

const BOOT_ID: &[u8] = b"/proc/sys/kernel/random/boot_id";

/// What stands in the place of the kernel's boot id, once it does.
#[derive(Debug)]
pub(super) struct BootId {
    /// A file of the agent's own.
    source: PathBuf,
    is_bound: bool,
}

impl BootId {
    pub(super) const fn new(source: PathBuf) -> Self {
        Self {
            source,
            is_bound: false,
        }
    }

    /// Gives the guest another boot id.
    pub(super) fn renew(&mut self, root: &Root) -> Result<(), String> {
        let renewed = self.try_to_renew(root);
        renewed.map_err(|error| format!("cannot renew the boot id: {}", io_reason(&error)))
    }

    fn try_to_renew(&mut self, root: &Root) -> io::Result<()> {
        let mut random = [0; 16];
        getrandom(&mut random, GetRandomFlags::empty())?;
        let text = uuid(random);
        if self.is_bound {
            return overwrite(&self.source, &text);
        }
        if let Some(directory) = self.source.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&self.source, text)?;
        fs::set_permissions(&self.source, fs::Permissions::from_mode(0o444))?;
        mount_bind(&self.source, path(&open(root)?).as_str())?;
        self.is_bound = true;
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

/// All ids have one length: who reads at this moment finds one, never a part.
fn overwrite(file: &Path, text: &str) -> io::Result<()> {
    let file = File::options().write(true).open(file)?;
    file.write_all_at(text.as_bytes(), 0)
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
            let file = temp.path().join("boot-id");
            fs::write(&file, uuid([1; 16])).expect("written");
            let reader = File::open(&file).expect("opened");
            overwrite(&file, &uuid([2; 16])).expect("written");
            assert_eq!(
                io::read_to_string(reader).expect("the same file"),
                uuid([2; 16])
            );
        }

        #[test]
        fn a_guest_without_proc_is_told_of() {
            let temp = tempfile::tempdir().expect("temp");
            let root = Root::host(temp.path()).expect("opened");
            let mut boot_id = BootId::new(temp.path().join("over/boot-id"));
            let error = boot_id.renew(&root).expect_err("nothing to bind over");
            assert_eq!(error, "cannot renew the boot id: no such file or directory");
        }
    }
}
