//! The processes of a world: its daemon, its helper, its VMMs.

use super::{LIMIT, World, text};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

impl World {
    /// The daemon's pid, when one serves.
    #[must_use]
    pub fn daemon(&self) -> Option<u32> {
        let lock = self.path("run").join("banger/bangerd.lock");
        let pid: u32 = std::fs::read_to_string(&lock).ok()?.trim().parse().ok()?;
        holds(pid, &lock).then_some(pid)
    }

    /// Kills the daemon as a power cut would.
    ///
    /// # Panics
    /// When there is none.
    pub fn kill_daemon(&self) {
        let pid = self.daemon().expect("a daemon");
        kill(pid);
        // A client that lost it may have started the next one already.
        crate::eventually("the daemon's end", LIMIT, || match self.daemon() {
            Some(serving) if serving == pid => Err(pid),
            _ => Ok(()),
        });
    }

    /// Asks the daemon to leave, and waits until it has.
    pub fn stop_daemon(&self) {
        let _ = self.run(["daemon", "stop"]).good();
        crate::eventually("the daemon's end", LIMIT, || {
            self.daemon().map_or(Ok(()), Err)
        });
    }

    /// Every process that has this world's directory in its environment or its arguments.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        with_mark(self.directory.path())
    }

    /// Processes of VMMs of this world.
    #[must_use]
    pub fn vmms(&self) -> Vec<u32> {
        let is_vmm = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("-chardev") && !line.contains("__launch")
        };
        self.processes().into_iter().filter(is_vmm).collect()
    }

    /// Processes of this world that have published ports.
    #[must_use]
    pub fn carriers(&self) -> Vec<u32> {
        let is_carrier = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).nth(1) == Some(b"__carry")
        };
        self.processes().into_iter().filter(is_carrier).collect()
    }

    /// Pids of the root helper; not of the host in memory that a simulated one acts on.
    #[must_use]
    pub fn helpers(&self) -> Vec<u32> {
        let is_helper = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            let program = words.next().unwrap_or_default();
            program.ends_with(b"/banger-root") && words.next() == Some(b"--owner")
        };
        self.processes().into_iter().filter(is_helper).collect()
    }
}

/// Every process but this that has a directory in its environment or its arguments.
pub(super) fn with_mark(directory: &Path) -> Vec<u32> {
    let mark = text(directory).as_bytes().to_owned();
    let own = std::process::id();
    let has_mark = |pid: u32| {
        ["environ", "cmdline"].iter().any(|file| {
            let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            bytes.windows(mark.len()).any(|window| window == mark)
        })
    };
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != own && has_mark(*pid)).collect()
}

/// Whether a process holds a lock on the file (proc_locks(5): number, kind, advisory, access, pid,
/// device and inode). One that ends gives its memory back first, its files and sockets later.
fn holds(pid: u32, file: &Path) -> bool {
    let Ok(inode) = std::fs::metadata(file).map(|found| found.ino()) else {
        return false;
    };
    let locks = std::fs::read_to_string("/proc/locks").expect("/proc/locks");
    locks.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(4) == Some(&pid.to_string().as_str())
            && fields.get(5).and_then(|place| place.rsplit(':').next())
                == Some(inode.to_string().as_str())
    })
}

/// Kills one process of a world.
pub fn kill(pid: u32) {
    signal(pid, rustix::process::Signal::KILL);
}

/// Sends a signal to one process of a world; one that has ended is a success.
///
/// # Panics
/// When the pid is none.
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let raw = i32::try_from(pid).expect("a pid");
    let pid = rustix::process::Pid::from_raw(raw).expect("a pid");
    let _gone_already = rustix::process::kill_process(pid, signal);
}
