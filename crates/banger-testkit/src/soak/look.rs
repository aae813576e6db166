//! Looking at a world: what its daemon shows, and what is on the host.

use super::judge::{Machine, Seen, name_of, short};
use crate::{World, api};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// How a mark begins; behind it the machine's name and a number.
const MARK: &str = "soak";
/// So many bytes a mark has. The first 1024 bytes of an ext4 are nobody's: a boot sector's.
pub(super) const MARK_LENGTH: usize = 32;

/// A mark as it is written.
pub(super) fn mark_text(place: usize, number: u64) -> String {
    let text = format!("{MARK} {} {number}", name_of(place));
    format!("{text:<width$}\n", width = MARK_LENGTH - 1)
}

/// Reads the mark of the machine of a name.
fn mark_of(name: &str, bytes: &[u8]) -> Result<u64, String> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(0);
    }
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [MARK, whose, number] if *whose == name => {
            number.parse().map_err(|_| format!("{text:?} is no mark"))
        }
        _ => Err(format!("{text:?} is no mark of {name}")),
    }
}

/// What a daemon's process takes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Its pid.
    pub pid: u32,
    /// Resident memory in KiB.
    pub memory_kib: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

/// What the daemon that serves now takes up.
///
/// # Errors
/// When there is none.
pub fn footprint(world: &World) -> io::Result<Footprint> {
    let pid = world
        .daemon()
        .ok_or_else(|| io::Error::other("no daemon"))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let memory_kib = resident.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
    Ok(Footprint {
        pid,
        memory_kib: memory_kib.ok_or_else(|| io::Error::other("no VmRSS"))?,
        descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
    })
}

/// Looks. A daemon that does not run is started.
///
/// # Errors
/// When the daemon does not answer, or goes away meanwhile.
pub fn look(world: &World) -> io::Result<Seen> {
    if world.daemon().is_none() {
        let listed = world.run(["vm", "list", "-q"]);
        if listed.code != Some(0) {
            return Err(io::Error::other(listed.stderr));
        }
    }
    let operations = api::get(world, "/v1/operations")?.json()?;
    let list = api::get(world, "/v1/sandboxes")?.json()?;
    let list = list.as_array().cloned().unwrap_or_default();
    let mut seen = Seen {
        machines: list.iter().map(|shown| machine(world, shown)).collect(),
        kept: kept(&world.state().join("sandboxes"))?,
        runtime: names_in(&world.path("run").join("banger/vm"))?,
        staging: names_in(&world.state().join("staging"))?
            .into_iter()
            .collect(),
        operations: going_on(&operations),
        ..Seen::default()
    };
    processes(world, &mut seen);
    Ok(seen)
}

fn going_on(operations: &Value) -> Vec<(String, String)> {
    let all = operations.as_array().cloned().unwrap_or_default();
    let going_on = all.iter().filter(|one| one["outcome"].is_null());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    going_on
        .map(|one| (text(&one["kind"]), text(&one["name"])))
        .collect()
}

fn machine(world: &World, shown: &Value) -> Machine {
    let text = |field: &str| shown[field].as_str().unwrap_or_default().to_owned();
    let all = |field: &str| shown[field].as_array().cloned().unwrap_or_default();
    let (id, name, state) = (text("id"), text("name"), text("state"));
    let ports = all("publish");
    let ports = ports.iter().filter_map(|one| one["port"].as_u64());
    let addresses = all("addresses");
    let addresses = addresses.iter().filter_map(Value::as_str);
    Machine {
        pid: shown["run"]["pid"]
            .as_u64()
            .and_then(|pid| pid.try_into().ok()),
        nat: shown["nat"] == true,
        ports: ports.filter_map(|port| port.try_into().ok()).collect(),
        ephemeral: shown["ephemeral"] == true,
        addresses: addresses.map(str::to_owned).collect(),
        mark: mark(world, &id, &name, &state),
        id,
        name,
        state,
    }
}

/// The mark on a work disk. Where guests are simulated it is read from the disk's file, else by the
/// guest, which has to run for that.
fn mark(world: &World, id: &str, name: &str, state: &str) -> Option<Result<u64, String>> {
    if world.is_simulated() {
        let disk = world.state().join("sandboxes").join(id).join("work.ext4");
        let mut bytes = [0; MARK_LENGTH];
        let mut file = fs::File::open(disk).ok()?;
        return Some(match file.read_exact(&mut bytes) {
            Ok(()) => mark_of(name, &bytes),
            Err(error) => Err(error.to_string()),
        });
    }
    if state != "running" {
        return None;
    }
    let script = format!("cat {} 2>/dev/null || true", world.guest_path("mark"));
    let ran = world.run(["vm", "exec", name, "--", "sh", "-c", &script]);
    (ran.code == Some(0)).then(|| mark_of(name, &ran.stdout))
}

/// Each directory's files.
fn kept(directory: &Path) -> io::Result<BTreeMap<String, BTreeSet<String>>> {
    let mut kept = BTreeMap::new();
    for id in names_in(directory)? {
        let files = names_in(&directory.join(&id))?;
        kept.insert(id, files);
    }
    Ok(kept)
}

fn names_in(directory: &Path) -> io::Result<BTreeSet<String>> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        entries => entries?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect(),
    }
}

/// Tells VMMs from daemon and helper, and all of these from what should not be there.
fn processes(world: &World, seen: &mut Seen) {
    let daemon = world.daemon();
    for pid in world.processes() {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let vmm = line
            .split_once("guest=banger-")
            .map(|(_, rest)| short(rest));
        let program = line.split(' ').next().unwrap_or_default();
        let is_helper = program.ends_with("/banger-root");
        match vmm {
            // It has ended meanwhile, or serves.
            _ if line.is_empty() || Some(pid) == daemon || is_helper => {}
            Some(id) if !line.contains("__launch") => drop(seen.vmms.insert(pid, id)),
            _ => seen.strangers.push(line.chars().take(200).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_is_one_machine_s_alone() {
        let text = mark_text(3, 4711);
        assert_eq!(text.len(), MARK_LENGTH);
        assert_eq!(mark_of("s3", text.as_bytes()), Ok(4711));
        assert!(mark_of("s2", text.as_bytes()).is_err());
        assert_eq!(mark_of("s3", &[0; MARK_LENGTH]), Ok(0));
        assert_eq!(mark_of("s3", b""), Ok(0));
        for garbage in ["soak s3 x", "soak s3", "word s3 1", "soak s3 1 2"] {
            assert!(mark_of("s3", garbage.as_bytes()).is_err(), "{garbage}");
        }
    }
}
