//! Processes, and what of ours they touch.

use super::place::{Place, named};
use super::{Clue, Program, Seen};
use crate::layout::Layout;
use banger_proto::owner::doctor::{Kind, Thing};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The most of a command line that is looked at, in bytes: a VMM's has two thousand.
const LONGEST: usize = 64 << 10;
/// Arguments in which a program's name may stand: an interpreter comes before a script.
const NAMES: usize = 2;
/// What the daemon runs to make images, kernels and disks.
const TOOLS: [&str; 7] = [
    "mke2fs",
    "e2fsck",
    "mmdebstrap",
    "apt-get",
    "apt",
    "dpkg-deb",
    "tar",
];

#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) uid: u32,
    parent: u32,
    start: String,
    name: String,
    program: Option<Program>,
    touches: BTreeSet<Place>,
    /// Inodes of its sockets.
    pub(super) sockets: BTreeSet<u64>,
}

impl Process {
    pub(super) fn seen(self) -> Seen {
        Seen {
            thing: Thing {
                kind: Kind::Process,
                name: format!("{} {}", self.pid, self.name),
                id: self.start,
            },
            uid: Some(self.uid),
            pid: Some(self.pid),
            clue: Clue::Process {
                parent: self.parent,
                program: self.program,
                touches: self.touches,
            },
        }
    }
}

/// All that have a command line, this one and what it has started left out: it looks, and ends.
pub(super) fn read(layout: &Layout, not_seen: &mut Vec<String>) -> Vec<Process> {
    let mut hidden = false;
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let processes = pids
        .filter_map(|pid| one(layout, pid, &mut hidden))
        .collect();
    if hidden {
        not_seen.push("open files of other users' processes (needs root)".into());
    }
    processes
}

fn one(layout: &Layout, pid: u32, hidden: &mut bool) -> Option<Process> {
    let directory = Path::new("/proc").join(pid.to_string());
    let stat = fs::read(directory.join("stat")).ok()?;
    let (parent, start) = parent_and_start(&stat)?;
    let mut line = fs::read(directory.join("cmdline")).ok()?;
    line.truncate(LONGEST);
    let line = String::from_utf8_lossy(&line).into_owned();
    let arguments: Vec<&str> = line.split('\0').collect();
    if line.is_empty() {
        return None;
    }
    let executable = fs::read_link(directory.join("exe")).ok();
    let executable = executable
        .as_deref()
        .and_then(|path| path.file_name()?.to_str());
    let base = |argument: &&str| argument.rsplit('/').next().unwrap_or_default().to_owned();
    let names: Vec<String> = arguments.iter().take(NAMES).map(base).collect();
    let mut touches: BTreeSet<Place> = named(layout, &line).into_iter().collect();
    let place = |path: std::path::PathBuf| Place::of(layout, &path);
    touches.extend(fs::read_link(directory.join("cwd")).ok().and_then(place));
    let mut sockets = BTreeSet::new();
    match fs::read_dir(directory.join("fd")) {
        Err(error) => *hidden |= error.kind() == std::io::ErrorKind::PermissionDenied,
        Ok(files) => {
            for file in files.flatten() {
                let Ok(target) = fs::read_link(file.path()) else {
                    continue;
                };
                let text = target.to_string_lossy();
                let inode = text
                    .strip_prefix("socket:[")
                    .and_then(|rest| rest.strip_suffix(']'));
                match inode.and_then(|inode| inode.parse().ok()) {
                    Some(inode) => drop(sockets.insert(inode)),
                    None => touches.extend(Place::of(layout, &target)),
                }
            }
        }
    }
    Some(Process {
        pid,
        uid: fs::metadata(&directory).ok()?.uid(),
        parent,
        start,
        name: executable.map_or_else(|| names.first().cloned().unwrap_or_default(), Into::into),
        program: program(executable, &names, &arguments),
        touches,
        sockets,
    })
}

/// Which of our programs it is, by its file or by the name that it was started by. The daemon's program
/// has faces that only look.
fn program(executable: Option<&str>, names: &[String], arguments: &[&str]) -> Option<Program> {
    let is =
        |name: &str| executable == Some(name) || names.first().is_some_and(|first| first == name);
    let looks = arguments
        .get(1)
        .is_some_and(|verb| crate::doctor::apart::VERBS.contains(verb));
    let carries = arguments.get(1) == Some(&crate::publish::carrier::CARRY_VERB);
    if is("bangerd") && carries {
        Some(Program::Carrier)
    } else if is("bangerd") {
        (!looks).then_some(Program::Daemon)
    } else if is("banger-root") {
        Some(Program::Helper)
    } else if names
        .iter()
        .take(1)
        .any(|name| name.starts_with("qemu-system-"))
        || executable.is_some_and(|name| name.starts_with("qemu-system-"))
    {
        Some(Program::Vmm)
    } else if names.iter().any(|name| TOOLS.contains(&name.as_str())) {
        Some(Program::Tool)
    } else {
        None
    }
}

/// Fields 4 and 22 of proc_pid_stat(5), counted behind the name, which may hold anything; none for one
/// that has ended.
fn parent_and_start(stat: &[u8]) -> Option<(u32, String)> {
    let closing = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(closing + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let start = fields.nth(22 - 5)?.to_owned();
    (!matches!(state, "Z" | "X" | "x")).then_some((parent, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_the_fields() {
        let between = "7 ".repeat(22 - 5);
        let line = format!("9 (a) Z 1) S 42 {between}123 9 9");
        assert_eq!(parent_and_start(line.as_bytes()), Some((42, "123".into())));
        let ended = format!("9 (a) Z 42 {between}123 9 9");
        assert_eq!(parent_and_start(ended.as_bytes()), None);
        for garbage in ["", "9", "9 (a", "9 (a) S", "9 (a) S x"] {
            assert_eq!(parent_and_start(garbage.as_bytes()), None);
        }
    }

    #[test]
    fn our_programs_are_known_by_their_file_or_by_their_name() {
        let of = |executable: &str, line: &str| {
            let arguments: Vec<&str> = line.split(' ').collect();
            let base = |argument: &&str| argument.rsplit('/').next().unwrap_or("").to_owned();
            let names: Vec<String> = arguments.iter().take(NAMES).map(base).collect();
            program(Some(executable), &names, &arguments)
        };
        assert_eq!(of("bangerd", "/x/bangerd serve"), Some(Program::Daemon));
        assert_eq!(of("bangerd", "/x/bangerd prove"), None);
        assert_eq!(
            of("bangerd (deleted)", "bangerd __carry /r/vm/ab/carry.sock"),
            Some(Program::Carrier)
        );
        assert_eq!(
            of("simulated", "/w/qemu-system-x86_64 -m 1"),
            Some(Program::Vmm)
        );
        assert_eq!(
            of("perl", "/usr/bin/perl /usr/bin/mmdebstrap x"),
            Some(Program::Tool)
        );
        assert_eq!(
            of("banger-root", "banger-root --owner 0"),
            Some(Program::Helper)
        );
        assert_eq!(of("tail", "tail -f bangerd.log"), None);
        assert_eq!(of("banger", "banger vm events -f"), None);
    }
}
