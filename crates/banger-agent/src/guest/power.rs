//! The end of a guest.

use crate::sys;
use rustix::fs::sync;
use rustix::mount::{MountFlags, mount_remount};
use rustix::process::{Pid, Signal, getpid, kill_process};
use rustix::system::{RebootCommand, reboot};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// How long processes have to end before they are killed.
const GRACE: Duration = Duration::from_secs(2);
/// How often is looked whether they have.
const LOOK: Duration = Duration::from_millis(5);
/// systemd(1), signals: `SIGRTMIN+4` starts `poweroff.target`; glibc's `SIGRTMIN` is 34.
const POWER_OFF: i32 = 38;

/// Asks systemd to end the guest.
pub(super) fn ask_init() {
    if let Some(signal) = sys::signal(POWER_OFF) {
        // Process 1 is always there.
        let _ = kill_process(Pid::INIT, signal);
    }
}

/// Ends every process but process 1 and this one, then the guest.
pub(super) fn end_all() {
    signal_all(Signal::TERM);
    signal_all(Signal::CONT);
    if !wait_until_alone(GRACE) {
        signal_all(Signal::KILL);
        wait_until_alone(GRACE);
    }
    end();
}

/// Syncs, and switches the machine off.
pub(super) fn end() {
    sync();
    for disk in ["/run/banger/system", "/newroot"] {
        // A file system that is busy stays as it is: its journal is on the disk.
        let _ = mount_remount(disk, MountFlags::RDONLY, c"");
    }
    sync();
    if let Err(errno) = reboot(RebootCommand::PowerOff) {
        super::console::error(format_args!("cannot power off: {errno}"));
    }
}

/// Processes that have a program: kernel threads have no command line.
fn programs() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let others = pids
        .filter_map(Pid::from_raw)
        .filter(|pid| !pid.is_init() && *pid != getpid());
    let has_program = |pid: &Pid| {
        let line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
        line.is_ok_and(|line| !line.is_empty())
    };
    others.filter(has_program).collect()
}

fn signal_all(signal: Signal) {
    for pid in programs() {
        // It may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }
}

fn wait_until_alone(limit: Duration) -> bool {
    let limit = Instant::now() + limit;
    while !programs().is_empty() {
        if Instant::now() >= limit {
            return false;
        }
        thread::park_timeout(LOOK);
    }
    true
}
