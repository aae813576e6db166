//! The command line of a running VMM, made into one of our own: a pure function.

use super::error::Error;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The name of the port that is added for raw copies.
pub const RAW_PORT: &str = "banger.raw";
/// The agent's socket, beside which QEMU's own is.
const AGENT_SOCKET: &[u8] = b"agent.sock";
/// The socket of the added port.
const RAW_SOCKET: &str = "raw.sock";

/// A program with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl CommandLine {
    /// Reads the content of `/proc/<pid>/cmdline`.
    ///
    /// # Errors
    /// When it is that of no VMM: another process, or one that has ended.
    pub fn read(content: &[u8]) -> Result<Self, Error> {
        let content = content.strip_suffix(&[0]).unwrap_or(content);
        let mut words = content
            .split(|byte| *byte == 0)
            .map(|word| OsString::from_vec(word.to_vec()));
        let line = Self {
            program: words.next().unwrap_or_default(),
            arguments: words.collect(),
        };
        line.runtime_directory()
            .map(|_| line)
            .ok_or_else(|| Error::wrong("no command line with an agent's socket"))
    }

    /// The directory of the agent's socket.
    #[must_use]
    pub fn runtime_directory(&self) -> Option<PathBuf> {
        let paths = self.arguments.iter().flat_map(|argument| {
            let options = argument.as_bytes().split(|byte| *byte == b',');
            options.filter_map(|option| option.strip_prefix(b"path="))
        });
        let mut sockets = paths.filter(|path| path.ends_with(AGENT_SOCKET));
        let socket = Path::new(OsStr::from_bytes(sockets.next()?));
        socket.parent().map(Path::to_owned)
    }

    /// The same machine with its own files in `own` instead of `state` and its runtime directory.
    /// Files of others (kernel, initramfs, image) stay where they are.
    #[must_use]
    pub fn moved(&self, state: &Path, own: &Path) -> Self {
        let runtime = self.runtime_directory().unwrap_or_default();
        let moved = |argument: &OsString| {
            let moved = replaced(argument.as_bytes(), state, own);
            OsString::from_vec(replaced(&moved, &runtime, own))
        };
        Self {
            program: self.program.clone(),
            arguments: self.arguments.iter().map(moved).collect(),
        }
    }

    /// The same in a session of its own, as banger starts it: Linux shares processors out by sessions
    /// (sched(7), autogroups).
    #[must_use]
    pub fn in_own_session(mut self) -> Self {
        let program = std::mem::replace(&mut self.program, "setsid".into());
        self.arguments.insert(0, program);
        self
    }

    /// The same with one more port, whose host end is a socket in `own`.
    #[must_use]
    pub fn with_raw_port(mut self, own: &Path) -> Self {
        let mut socket = OsString::from("socket,id=raw,server=on,wait=off,path=");
        socket.push(raw_socket(own));
        let port = format!("virtserialport,bus=serial.0,nr=2,chardev=raw,name={RAW_PORT}");
        let more = ["-chardev".into(), socket, "-device".into(), port.into()];
        self.arguments.extend(more);
        self
    }
}

/// The agent's socket of a machine that was moved to `own`.
#[must_use]
pub fn agent_socket(own: &Path) -> PathBuf {
    own.join(OsStr::from_bytes(AGENT_SOCKET))
}

/// The added port's socket.
#[must_use]
pub fn raw_socket(own: &Path) -> PathBuf {
    own.join(RAW_SOCKET)
}

/// `text` with each `from/` become `to/`.
fn replaced(text: &[u8], from: &Path, to: &Path) -> Vec<u8> {
    let directory = |path: &Path| [path.as_os_str().as_bytes(), b"/"].concat();
    let (from, to) = (directory(from), directory(to));
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(from.as_slice()) {
            out.extend_from_slice(&to);
            rest = behind;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> Result<CommandLine, Error> {
        let mut content = words.join("\0").into_bytes();
        content.push(0);
        CommandLine::read(&content)
    }

    fn machine() -> CommandLine {
        line(&[
            "/usr/bin/qemu-system-x86_64",
            "-initrd",
            "/w/cache/initramfs/abc",
            "-chardev",
            "file,id=console,append=on,path=/w/state/vm1/console.log",
            "-chardev",
            "socket,id=agent,server=on,wait=off,path=/w/run/vm/1/agent.sock",
            "-blockdev",
            "driver=raw,node-name=s,file.filename=/w/state/vm1/system.ext4",
            "-append",
            "console=ttyS0 quiet",
        ])
        .expect("a machine")
    }

    #[test]
    fn the_own_files_move_and_those_of_others_stay() {
        let moved = machine().moved(Path::new("/w/state/vm1"), Path::new("/w/bare"));
        let arguments: Vec<_> = moved
            .arguments
            .iter()
            .map(|a| a.to_string_lossy())
            .collect();
        assert_eq!(moved.program, "/usr/bin/qemu-system-x86_64");
        assert_eq!(
            arguments,
            [
                "-initrd",
                "/w/cache/initramfs/abc",
                "-chardev",
                "file,id=console,append=on,path=/w/bare/console.log",
                "-chardev",
                "socket,id=agent,server=on,wait=off,path=/w/bare/agent.sock",
                "-blockdev",
                "driver=raw,node-name=s,file.filename=/w/bare/system.ext4",
                "-append",
                "console=ttyS0 quiet",
            ]
        );
        assert_eq!(
            agent_socket(Path::new("/w/bare")),
            Path::new("/w/bare/agent.sock")
        );
    }

    #[test]
    fn a_directory_with_a_longer_name_is_another_one() {
        let state = Path::new("/w/state/vm");
        assert_eq!(
            replaced(b"path=/w/state/vm1/disk", state, Path::new("/x")),
            b"path=/w/state/vm1/disk"
        );
    }

    #[test]
    fn a_raw_port_is_added_behind_the_rest() {
        let with = machine().with_raw_port(Path::new("/w/bare"));
        let last: Vec<_> = with.arguments.iter().rev().take(4).collect();
        assert_eq!(
            last[0],
            "virtserialport,bus=serial.0,nr=2,chardev=raw,name=banger.raw"
        );
        assert_eq!(
            last[2],
            "socket,id=raw,server=on,wait=off,path=/w/bare/raw.sock"
        );
        assert_eq!(with.arguments.len(), machine().arguments.len() + 4);
    }

    #[test]
    fn in_a_session_of_its_own_it_is_started_by_setsid() {
        let machine = machine();
        let own = machine.clone().in_own_session();
        assert_eq!(own.program, "setsid");
        assert_eq!(own.arguments[0], machine.program);
        assert_eq!(own.arguments[1..], machine.arguments);
    }

    #[test]
    fn a_process_that_is_no_vmm_is_refused() {
        for words in [&["sh", "-c", "true"][..], &[], &["qemu", "-serial", "none"]] {
            assert!(line(words).is_err(), "{words:?}");
        }
    }
}
