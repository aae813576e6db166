//! The ssh server's host keys: those of its parent are nobody else's.
//!
//! A server keeps in memory what it read at its start. So it is stopped (connections wait at its
//! socket), the files are removed, others are made, and it is told to begin anew, which it does in
//! the same process (sshd(8), SIGHUP): with systemd or without it, whatever its unit is called.

use super::program::{Failure, Program, Work};
use crate::fault::reason;
use crate::root::Root;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, statat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

const DIRECTORY: &[u8] = b"/etc/ssh";
pub(super) const KEYGEN: &str = "/usr/bin/ssh-keygen";
/// How long new keys may take: an emulated processor looks for an RSA key for seconds, and for minutes
/// where many guests share one of the host's. Without keys a server ends.
pub(super) const LIMIT: Duration = Duration::from_secs(600);
const SERVER: &str = "sshd";

/// Servers that wait for keys.
#[derive(Debug)]
pub(super) struct Retired(Vec<OwnedFd>);

/// Takes the host keys away and has servers wait. `None` where there are none, unless the guest
/// `lacks` them because an earlier resume took them away.
pub(super) fn retire(root: &Root, lacks: bool, warnings: &mut Vec<String>) -> Option<Retired> {
    let keys = survey(root);
    if keys.is_empty() && !lacks {
        return None;
    }
    let servers = servers(root);
    let all = || servers.iter();
    all().for_each(|server| signal(server, Signal::STOP));
    match unlink(root, &keys) {
        Ok(_) => Some(Retired(servers)),
        Err(errno) => {
            warnings.push(kept(errno));
            all().for_each(|server| signal(server, Signal::CONT));
            None
        }
    }
}

fn unlink(root: &Root, keys: &[String]) -> Result<OwnedFd, Errno> {
    let directory = root.open(DIRECTORY, OFlags::DIRECTORY | OFlags::PATH, Mode::empty())?;
    let remove = |name: &String| rustix::fs::unlinkat(&directory, name, AtFlags::empty());
    keys.iter().try_for_each(remove)?;
    Ok(directory)
}

fn kept(errno: Errno) -> String {
    let why = reason(errno);
    format!("cannot remove the ssh server's host keys: {why}")
}

/// Takes the host keys away where no server runs yet, and leaves an empty one in their place: a sign
/// that [`are_lacking`] finds. Whether there were any, and they are gone.
pub(super) fn remove(root: &Root, warnings: &mut Vec<String>) -> bool {
    let keys = survey(root);
    let Some(first) = keys.iter().find(|name| is_private(name)) else {
        return false;
    };
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let removed = unlink(root, &keys)
        .and_then(|directory| rustix::fs::openat(directory, first, flags, Mode::RUSR));
    let outcome = removed.map_err(kept);
    let is_gone = outcome.is_ok();
    warnings.extend(outcome.err());
    is_gone
}

/// Whether an earlier boot took keys away, and did not come to make others.
pub(super) fn are_lacking(root: &Root) -> bool {
    let keys = survey(root);
    let mut private = keys.iter().filter(|name| is_private(name));
    private.any(|name| {
        let found = root
            .open_parent(format!("/etc/ssh/{name}").as_bytes())
            .and_then(|(parent, name)| statat(parent, name, AtFlags::SYMLINK_NOFOLLOW));
        let is_file = |stat: &Stat| FileType::from_raw_mode(stat.st_mode).is_file();
        found.is_ok_and(|stat| is_file(&stat) && stat.st_size == 0)
    })
}

fn is_private(name: &str) -> bool {
    name.ends_with("_key")
}

/// Looks for them as [`retire`] will; not for servers, of whom nothing is read from the disk.
pub(super) fn rehearse(root: &Root) {
    drop(survey(root));
}

/// Files of keys, their public halves and certificates (sshd(8), "FILES").
fn survey(root: &Root) -> Vec<String> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let opened = root.open(DIRECTORY, flags, Mode::empty());
    let entries = opened.and_then(Dir::new).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned));
    let is_key = |name: &String| name.starts_with("ssh_host_") && name.contains("_key");
    names.filter(is_key).collect()
}

impl Retired {
    /// Where no server had the keys that are gone.
    pub(super) const fn none_served() -> Self {
        Self(Vec::new())
    }

    /// Makes keys with the image's own program, and has the servers take them.
    pub(super) fn replace(self, root: &Root, work: &Work<'_>) -> Result<(), Failure> {
        let program = Program {
            path: KEYGEN,
            arguments: &["-A"],
            environment: &[],
            limit: LIMIT,
        };
        let made = work.run(root, &program);
        if made == Err(Failure::Interrupted) {
            return made;
        }
        for server in &self.0 {
            signal(server, Signal::HUP);
            signal(server, Signal::CONT);
        }
        made
    }
}

fn signal(server: &OwnedFd, signal: Signal) {
    // It may have ended meanwhile.
    let _ = pidfd_send_signal(server, signal);
}

/// Servers that listen, in the guest's own root: containers have keys of their own.
fn servers(root: &Root) -> Vec<OwnedFd> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let stat = |pid: i32| fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let processes: BTreeMap<_, _> = pids
        .filter_map(|pid| Some((pid, read_stat(&stat(pid)?)?)))
        .collect();
    let here = |pid: &i32| is_in(root, *pid);
    let listening = listening(&processes).into_iter().filter(here);
    let open = |pid| pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok();
    listening.filter_map(open).collect()
}

/// Name and parent, from proc_pid_stat(5).
fn read_stat(line: &str) -> Option<(String, i32)> {
    let (head, rest) = line.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let parent = rest.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some((name.to_owned(), parent))
}

/// A server that listens is no other server's child; what serves one connection is.
fn listening(processes: &BTreeMap<i32, (String, i32)>) -> Vec<i32> {
    let is_server = |pid: &i32| processes.get(pid).is_some_and(|(name, _)| name == SERVER);
    let all = processes.iter().filter(|(pid, _)| is_server(pid));
    all.filter(|(_, (_, parent))| !is_server(parent))
        .map(|(pid, _)| *pid)
        .collect()
}

fn is_in(root: &Root, pid: i32) -> bool {
    let theirs = fs::metadata(format!("/proc/{pid}/root"));
    let ours = rustix::fs::fstat(root.as_fd());
    theirs.is_ok_and(|theirs| {
        ours.is_ok_and(|ours| (theirs.dev(), theirs.ino()) == (ours.st_dev, ours.st_ino))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_that_listens_is_told_from_those_of_connections() {
        let process = |name: &str, parent| (name.to_owned(), parent);
        let processes = BTreeMap::from([
            (1, process("systemd", 0)),
            (10, process("sshd", 1)),
            (11, process("sshd", 10)),
            (12, process("sshd", 11)),
            (13, process("bash", 12)),
            (20, process("sshd", 13)),
        ]);
        assert_eq!(listening(&processes), [10, 20]);
    }

    #[test]
    fn a_name_may_have_spaces_and_brackets_and_nonsense_is_no_process() {
        let line = "17 (a) b (c) S 4 17 17 0";
        assert_eq!(read_stat(line), Some(("a) b (c".to_owned(), 4)));
        for nonsense in ["", "1", "1 (a", "1 (a)", "1 (a) S", "1 (a) S x"] {
            assert_eq!(read_stat(nonsense), None, "{nonsense}");
        }
    }

    mod t1 {
        use super::*;

        #[test]
        fn keys_are_removed_and_everything_else_stays() {
            let temp = tempfile::tempdir().expect("temp");
            let root = Root::host(temp.path()).expect("opened");
            let mut warnings = Vec::new();
            assert!(
                retire(&root, false, &mut warnings).is_none(),
                "no ssh at all"
            );
            let directory = temp.path().join("etc/ssh");
            fs::create_dir_all(&directory).expect("made");
            let stay = ["moduli", "ssh_config", "sshd_config"];
            let go = [
                "ssh_host_rsa_key",
                "ssh_host_rsa_key.pub",
                "ssh_host_ed25519_key-cert.pub",
            ];
            for name in stay.iter().chain(&go) {
                fs::write(directory.join(name), "").expect("written");
            }
            let retired = retire(&root, false, &mut warnings).expect("there were keys");
            assert!(retired.0.is_empty(), "no server runs in this root");
            assert!(warnings.is_empty(), "{warnings:?}");
            let left = fs::read_dir(&directory).expect("read").flatten();
            let mut left: Vec<_> = left.map(|entry| entry.file_name()).collect();
            left.sort();
            assert_eq!(left, stay);
            assert!(retire(&root, false, &mut warnings).is_none());
            let again = retire(&root, true, &mut warnings);
            assert!(
                again.is_some(),
                "an earlier resume did not come to make keys"
            );
        }

        #[test]
        fn keys_that_cannot_be_removed_are_told_of() {
            let temp = tempfile::tempdir().expect("temp");
            let root = Root::host(temp.path()).expect("opened");
            // Not a file, so that it stays whoever runs this.
            fs::create_dir_all(temp.path().join("etc/ssh/ssh_host_rsa_key")).expect("made");
            let mut warnings = Vec::new();
            assert!(retire(&root, false, &mut warnings).is_none());
            assert_eq!(
                warnings,
                ["cannot remove the ssh server's host keys: is a directory"]
            );
        }
    }
}
