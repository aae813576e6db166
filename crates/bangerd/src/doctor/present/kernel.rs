//! Objects of the kernel that can be seen without root: links, mounts, loop and mapped devices, cgroups.

use super::place::{Place, named};
use super::processes::Process;
use super::{Clue, Look, Present, Seen};
use banger_model::host_names::{BridgeName, is_tap_name};
use banger_proto::owner::doctor::{Kind, Thing};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType};
use std::fs;
use std::path::{Path, PathBuf};

/// What the alias of a link of banger's begins with.
const MARK: &str = "banger:";
/// Directories of cgroups that are looked into, and how deep.
const MOST_CGROUPS: usize = 20_000;
const DEEPEST: usize = 8;

pub(super) fn read(look: &Look, processes: &[Process], present: &mut Present) {
    links(present);
    match fs::read_to_string("/proc/self/mountinfo") {
        Ok(text) => present
            .seen
            .extend(text.lines().filter_map(|line| mount(look, line))),
        Err(error) => present.not_seen.push(format!("mounts: {error}")),
    }
    devices(look, present);
    cgroups(look, processes, present);
}

fn thing(kind: Kind, name: impl Into<String>, id: impl Into<String>, clue: Clue) -> Seen {
    let (name, id) = (name.into(), id.into());
    Seen {
        thing: Thing { kind, name, id },
        uid: None,
        pid: None,
        clue,
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim_end()
        .to_owned()
}

fn names_in(path: &str) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// What `/sys` shows is the network of whoever mounted it: it counts where the kernel agrees.
fn links(present: &mut Present) {
    let Ok(socket) = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None) else {
        return present.not_seen.push("links: no socket to ask by".into());
    };
    let directory = Path::new("/sys/class/net");
    let mut other_network = false;
    let mut found = Vec::new();
    for name in names_in("/sys/class/net") {
        let Ok(index) = text(&directory.join(&name).join("ifindex")).parse::<u32>() else {
            continue;
        };
        other_network |= name_to_index(&socket, &name).ok() != Some(index);
        let alias = text(&directory.join(&name).join("ifalias"));
        let clue = link_clue(&name, &alias);
        found.push(thing(Kind::Link, &*name, index.to_string(), clue));
    }
    if other_network || found.is_empty() {
        present
            .not_seen
            .push("links: /sys shows another network than this one".into());
    } else {
        present.seen.extend(found);
    }
}

fn link_clue(name: &str, alias: &str) -> Clue {
    match alias.strip_prefix(MARK) {
        Some(installation) => Clue::Mark(installation.to_owned()),
        None if is_tap_name(name) || name.parse::<BridgeName>().is_ok() => Clue::Named,
        None => Clue::None,
    }
}

/// `36 35 98:0 /root /mount/point options … - type source …` (proc_pid_mountinfo(5)).
fn mount(look: &Look, line: &str) -> Option<Seen> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ');
    let id = fields.next()?;
    let (root, point) = (fields.nth(2)?, fields.next()?);
    let source = after.split(' ').nth(1).unwrap_or_default();
    // What is mounted *in* one of our directories; that one of them is a file system of its own is its
    // owner's affair.
    let directories = [&look.layout.state, &look.layout.runtime, &look.layout.cache];
    let is_in = |path: &str| {
        directories.iter().any(|directory| {
            let rest = Path::new(path).strip_prefix(directory);
            rest.is_ok_and(|rest| !rest.as_os_str().is_empty())
        })
    };
    let ours = [point, source, root].into_iter().find(|path| is_in(path));
    let clue = ours.and_then(|path| Place::of(&look.layout, Path::new(path)));
    let clue = clue.map_or(Clue::None, Clue::At);
    Some(thing(Kind::Mount, point, id, clue))
}

fn devices(look: &Look, present: &mut Present) {
    for name in names_in("/sys/block") {
        let directory = Path::new("/sys/block").join(&name);
        let file = text(&directory.join("loop/backing_file"));
        if !file.is_empty() {
            let clue = named(&look.layout, &file).into_iter().next();
            let clue = clue.map_or(Clue::None, Clue::At);
            present
                .seen
                .push(thing(Kind::Loop, format!("/dev/{name}"), file, clue));
        }
        let mapped = text(&directory.join("dm/name"));
        if !mapped.is_empty() {
            let ours = mapped.starts_with("banger-") || mapped.starts_with("fc-rootfs-");
            let clue = if ours { Clue::Named } else { Clue::None };
            let uuid = text(&directory.join("dm/uuid"));
            present.seen.push(thing(Kind::Mapper, mapped, uuid, clue));
        }
    }
}

/// Those with a name like ours. One with a process in it that is not ours is somebody's own.
fn cgroups(look: &Look, processes: &[Process], present: &mut Present) {
    let mut next = vec![(PathBuf::from("/sys/fs/cgroup"), 0)];
    let mut looked = 0;
    while let Some((directory, depth)) = next.pop() {
        looked += 1;
        if looked > MOST_CGROUPS {
            return present
                .not_seen
                .push(format!("cgroups beyond the first {MOST_CGROUPS}"));
        }
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        for entry in below {
            let (path, name) = (entry.path(), entry.file_name());
            if name.to_str().is_some_and(|name| name.starts_with("banger")) {
                let pid = text(&path.join("cgroup.procs"))
                    .lines()
                    .next()
                    .and_then(|pid| pid.parse().ok());
                let holder = processes.iter().find(|process| Some(process.pid) == pid);
                let mut seen = thing(Kind::Cgroup, path.to_string_lossy(), "", Clue::Named);
                (seen.pid, seen.uid) = (pid, holder.map(|holder| holder.uid));
                present.seen.push(seen);
            } else if depth < DEEPEST && !look.own.contains(&path) {
                next.push((path, depth + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_ours_by_its_mark_and_suspect_by_its_name() {
        assert_eq!(link_clue("tap-fc-1", "banger:00"), Clue::Mark("00".into()));
        for name in ["tap-fc-1", "tap-fc-x", "br-fc", "br-fc-2"] {
            assert_eq!(link_clue(name, ""), Clue::Named, "{name}");
        }
        for name in ["eth0", "br-fcx", "tap0", "lo"] {
            assert_eq!(link_clue(name, "uplink"), Clue::None, "{name}");
        }
    }

    #[test]
    fn a_mount_in_our_directories_is_suspect_and_one_under_them_is_not() {
        let look = Look::of(&crate::layout::Layout {
            config: "/c".into(),
            state: "/s/banger".into(),
            cache: "/k".into(),
            runtime: "/r".into(),
        });
        let of = |point: &str| {
            let line = format!("36 35 98:0 / {point} rw - tmpfs tmpfs rw");
            mount(&look, &line).expect("a mount").clue
        };
        assert_eq!(
            of("/s/banger/sandboxes/ab"),
            Clue::At(Place::Sandbox("ab".into()))
        );
        for point in ["/s/banger", "/s", "/elsewhere", "/s/bangers/x"] {
            assert_eq!(of(point), Clue::None, "{point}");
        }
        assert!(mount(&look, "garbage").is_none());
    }
}
