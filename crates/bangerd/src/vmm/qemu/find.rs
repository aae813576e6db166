//! Finding a QEMU that nobody knows any more: the daemon that started it was killed before it could
//! record it, and it has not opened its control socket yet.

use super::args::control_socket;
use crate::layout::SandboxPaths;
use crate::vmm::ProcessIdentity;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::{fs, io};

/// The process of this user that was started as the VMM of a sandbox, be it still the launcher.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn started_for(paths: &SandboxPaths) -> io::Result<Option<ProcessIdentity>> {
    let wanted = control_socket(paths);
    let own = rustix::process::getuid().as_raw();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let is_own = entry.metadata().is_ok_and(|found| found.uid() == own);
        // One that ended meanwhile is none.
        let Ok(line) = fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        if is_own
            && line
                .split(|byte| *byte == 0)
                .any(|word| word == wanted.as_bytes())
        {
            match ProcessIdentity::of(pid) {
                Ok(process) => return Ok(Some(process)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod t1 {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    fn paths(directory: &std::path::Path, name: &str) -> SandboxPaths {
        SandboxPaths {
            state: directory.join("state"),
            runtime: directory.join(name),
        }
    }

    #[test]
    fn a_vmm_is_found_by_what_it_was_started_with_and_no_other_process_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let (own, other) = (paths(directory.path(), "a,b"), paths(directory.path(), "c"));
        let started = |words: &[&std::ffi::OsStr]| {
            let mut command = Command::new("/bin/sh");
            // It waits for input that never comes, in the shell itself.
            command.args(["-c", "read line", "qemu"]).args(words);
            let child = command.stdin(Stdio::piped()).spawn().expect("started");
            // The kernel lets the parent go on a moment before it has set the arguments (execve(2) with
            // vfork(2)): there are none to be seen until then.
            let line = format!("/proc/{}/cmdline", child.id());
            let until = Instant::now() + Duration::from_secs(20);
            while fs::read(&line).expect("a process").is_empty() {
                assert!(Instant::now() < until, "it has no arguments");
                std::thread::yield_now();
            }
            child
        };
        let mut bystander = started(&[own.vmm_socket().as_os_str()]);
        assert_eq!(started_for(&own).expect("looked"), None);
        let mut vmm = started(&["-chardev".as_ref(), &control_socket(&own)]);
        let found = started_for(&own).expect("looked");
        assert_eq!(found.map(|process| process.pid), Some(vmm.id()));
        assert_eq!(started_for(&other).expect("looked"), None);
        for child in [&mut vmm, &mut bystander] {
            child.kill().expect("killed");
            child.wait().expect("reaped");
        }
        assert_eq!(started_for(&own).expect("looked"), None);
    }
}
