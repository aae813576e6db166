//! A guest that boots a disk that was another machine's, or an image's: what makes keys of another its own.
//!
//! Whose a disk is, its `/etc/machine-id` tells. Keys that it has are removed before anything of the image runs.
//! With systemd a unit makes others, and servers of their usual names wait for it; else the agent does, behind
//! its answer. An empty key stays on the disk until then, so that a boot that is cut short leaves the rest to the
//! next: `ssh-keygen -A` takes it for one that is to be made, and sshd(8) for none.

use super::keys;
use super::resume::forget_random_seed;
use super::{identity, init};
use crate::fault::reason;
use crate::root::Root;
use rustix::fs::{Mode, OFlags};

/// The unit that makes host keys.
const UNIT: &str = "banger-host-keys.service";
/// What has to wait for them, under the names that distributions have for it.
const SERVERS: [&str; 4] = ["ssh.service", "sshd.service", "ssh.socket", "sshd.socket"];
/// Most of a machine id that is looked at; one has 33 bytes.
const ID_LIMIT: u64 = 64;

/// Takes what is another's from the disk; whether host keys are to be made. For a boot, before the disk
/// gets the machine's id.
pub(super) fn forget_another(root: &Root, id: [u8; 16], warnings: &mut Vec<String>) -> bool {
    let lacks_keys = keys::are_lacking(root);
    if is_of(root, id) {
        return lacks_keys;
    }
    forget_random_seed(root);
    keys::remove(root, warnings) || lacks_keys
}

fn is_of(root: &Root, id: [u8; 16]) -> bool {
    let found = root.read(b"/etc/machine-id", ID_LIMIT).unwrap_or_default();
    found.trim_ascii() == identity::machine_id(id).trim_ascii().as_bytes()
}

/// Has the image's systemd make host keys; to be called before it is started.
pub(super) fn have_systemd_make_keys(root: &Root) -> Result<(), String> {
    let text = format!(
        "[Unit]\nDescription=Make host keys of this machine's own\nBefore={}\n\n\
         [Service]\nType=oneshot\nTimeoutStartSec={}\nExecStart={} -A\n",
        SERVERS.join(" "),
        keys::LIMIT.as_secs(),
        keys::KEYGEN,
    );
    let written = init::want(root, UNIT, text.as_bytes());
    written.map_err(|errno| format!("cannot have host keys made: {}", reason(errno)))
}

/// Ends what systemd runs to make them, in a guest that becomes another sandbox meanwhile: a key that is
/// being made in a copy may be made by another copy, too.
pub(super) fn interrupt(root: &Root) {
    let path = format!("/sys/fs/cgroup/system.slice/{UNIT}/cgroup.kill");
    // Mostly it does not run, and there is nothing of that name.
    if let Ok(kill) = root.open(path.as_bytes(), OFlags::WRONLY, Mode::empty()) {
        let _ = rustix::io::write(kill, b"1");
    }
}

#[cfg(test)]
mod t1 {
    use super::*;
    use std::fs;

    const ID: [u8; 16] = [0xab; 16];
    const KEY: &str = "etc/ssh/ssh_host_ed25519_key";
    const SEED: &str = "var/lib/systemd/random-seed";

    fn disk(id: Option<&str>) -> (tempfile::TempDir, Root) {
        let temp = tempfile::tempdir().expect("temp");
        for directory in ["etc/ssh", "var/lib/systemd"] {
            fs::create_dir_all(temp.path().join(directory)).expect("made");
        }
        for file in [KEY, "etc/ssh/ssh_host_ed25519_key.pub", SEED] {
            fs::write(temp.path().join(file), "secret").expect("written");
        }
        if let Some(id) = id {
            fs::write(temp.path().join("etc/machine-id"), id).expect("written");
        }
        let root = Root::host(temp.path()).expect("opened");
        (temp, root)
    }

    #[test]
    fn a_machine_that_boots_its_own_disk_keeps_its_keys_and_its_seed() {
        let (temp, root) = disk(Some(&identity::machine_id(ID)));
        let mut warnings = Vec::new();
        assert!(!forget_another(&root, ID, &mut warnings));
        for file in [KEY, SEED] {
            assert_eq!(fs::read(temp.path().join(file)).expect("read"), b"secret");
        }
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn keys_of_another_machine_and_of_an_image_go() {
        let another = "0123456789abcdef0123456789abcdef\n";
        for id in [None, Some(""), Some("uninitialized\n"), Some(another)] {
            let (temp, root) = disk(id);
            let mut warnings = Vec::new();
            assert!(forget_another(&root, ID, &mut warnings), "{id:?}");
            let left = fs::read_dir(temp.path().join("etc/ssh")).expect("read");
            assert_eq!(left.count(), 1, "{id:?}");
            assert_eq!(fs::read(temp.path().join(KEY)).expect("read"), b"");
            assert!(!temp.path().join(SEED).exists(), "{id:?}");
            assert!(warnings.is_empty(), "{warnings:?}");
        }
    }

    /// The first boot gave the disk its id, and ended before there were keys.
    #[test]
    fn what_a_boot_did_not_come_to_is_the_next_ones() {
        let (temp, root) = disk(None);
        assert!(forget_another(&root, ID, &mut vec![]));
        fs::write(temp.path().join("etc/machine-id"), identity::machine_id(ID)).expect("written");
        assert!(forget_another(&root, ID, &mut vec![]), "still none");
        fs::write(temp.path().join(KEY), "own").expect("written");
        assert!(!forget_another(&root, ID, &mut vec![]), "they are made");
    }

    #[test]
    fn a_disk_without_keys_gets_none() {
        let temp = tempfile::tempdir().expect("temp");
        let root = Root::host(temp.path()).expect("opened");
        let mut warnings = Vec::new();
        assert!(!forget_another(&root, ID, &mut warnings));
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!(fs::read_dir(temp.path()).expect("read").count(), 0);
    }

    #[test]
    fn keys_that_cannot_be_removed_are_told_of_and_none_are_made() {
        let temp = tempfile::tempdir().expect("temp");
        // Not a file, so that it stays whoever runs this.
        fs::create_dir_all(temp.path().join(KEY)).expect("made");
        let root = Root::host(temp.path()).expect("opened");
        let mut warnings = Vec::new();
        assert!(!forget_another(&root, ID, &mut warnings));
        assert_eq!(
            warnings,
            ["cannot remove the ssh server's host keys: is a directory"]
        );
    }

    #[test]
    fn what_makes_keys_is_ended_where_it_runs() {
        let (temp, root) = disk(None);
        interrupt(&root);
        let cgroup = temp.path().join("sys/fs/cgroup/system.slice").join(UNIT);
        fs::create_dir_all(&cgroup).expect("made");
        fs::write(cgroup.join("cgroup.kill"), "").expect("written");
        interrupt(&root);
        let asked = fs::read(cgroup.join("cgroup.kill")).expect("read");
        assert_eq!(asked, b"1");
    }

    #[test]
    fn servers_wait_for_the_unit_that_makes_keys() {
        let (temp, root) = disk(None);
        have_systemd_make_keys(&root).expect("written");
        let wants = "run/systemd/system/default.target.wants/banger-host-keys.service";
        let unit = fs::read_to_string(temp.path().join(wants)).expect("through the link");
        assert!(
            unit.contains("\nBefore=ssh.service sshd.service "),
            "{unit}"
        );
        assert!(
            unit.contains("\nExecStart=/usr/bin/ssh-keygen -A\n"),
            "{unit}"
        );
    }
}
