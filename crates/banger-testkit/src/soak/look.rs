//! Looking at a world: what its daemon shows, and what is on the host.

use super::judge::{Going, Machine, Seen, short};
use crate::checks::publish::ended_from_there;
use crate::{World, api};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// How a mark begins; behind it the machine's short id and a number. The label has this key.
pub(super) const MARK: &str = "soak";
/// So many bytes a mark has. The first 1024 bytes of an ext4 are nobody's: a boot sector's.
pub(super) const MARK_LENGTH: usize = 32;

/// A mark of the machine of an id, as it is written.
pub(super) fn mark_text(id: &str, number: u64) -> String {
    let text = format!("{MARK} {} {number}", short(id));
    format!("{text:<width$}\n", width = MARK_LENGTH - 1)
}

/// Reads the mark of the machine of an id.
fn mark_of(id: &str, bytes: &[u8]) -> Result<u64, String> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(0);
    }
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [MARK, whose, number] if *whose == short(id) => {
            number.parse().map_err(|_| format!("{text:?} is no mark"))
        }
        _ => Err(format!("{text:?} is no mark of {id}")),
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
    let operations = going_on(world)?;
    let list = api::get(world, "/v1/sandboxes")?.json()?;
    let list = list.as_array().cloned().unwrap_or_default();
    let mut seen = Seen {
        machines: list.iter().map(|shown| machine(world, shown)).collect(),
        kept: kept(&world.state().join("sandboxes"))?,
        runtime: names_in(&world.path("run").join("banger/vm"))?,
        staging: names_in(&world.state().join("staging"))?
            .into_iter()
            .collect(),
        operations,
        ..Seen::default()
    };
    processes(world, &mut seen);
    Ok(seen)
}

/// Operations that go on, the oldest first.
pub(super) fn going_on(world: &World) -> io::Result<Vec<Going>> {
    let operations = api::get(world, "/v1/operations")?.json()?;
    let all = operations.as_array().cloned().unwrap_or_default();
    let going_on = all.iter().filter(|one| one["outcome"].is_null());
    let going = |one: &Value| {
        let text = |field: &str| one[field].as_str().unwrap_or_default().to_owned();
        Going {
            op: text("id"),
            kind: text("kind"),
            name: text("name"),
            machine: text("sandbox"),
        }
    };
    Ok(going_on.map(going).collect())
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
        unreached: match state.as_str() {
            "running" => all("publish").iter().find_map(unreached),
            _ => None,
        },
        ephemeral: shown["ephemeral"] == true,
        addresses: addresses.map(str::to_owned).collect(),
        mark: mark(world, &id, &state),
        label: label(&shown["labels"]),
        id,
        name,
        state,
    }
}

/// Why a published port of a guest that runs does not lead to it. Nobody needs to listen in the guest.
fn unreached(published: &Value) -> Option<String> {
    if published["open"] != true {
        return Some(published.to_string());
    }
    let address = published["address"].as_str().unwrap_or_default();
    let at = format!("{address}:{}", published["port"]);
    let reached = at
        .parse()
        .map_err(io::Error::other)
        .and_then(ended_from_there);
    reached.err().map(|why| format!("{at}: {why}"))
}

/// The mark on a work disk. Where guests are simulated it is read from the disk's file, else by the
/// guest, which has to run for that.
fn mark(world: &World, id: &str, state: &str) -> Option<Result<u64, String>> {
    if world.is_simulated() {
        let disk = world.state().join("sandboxes").join(id).join("work.ext4");
        let mut bytes = [0; MARK_LENGTH];
        let mut file = fs::File::open(disk).ok()?;
        return Some(match file.read_exact(&mut bytes) {
            Ok(()) => mark_of(id, &bytes),
            Err(error) => Err(error.to_string()),
        });
    }
    if state != "running" {
        return None;
    }
    let script = format!("cat {} 2>/dev/null || true", world.guest_path("mark"));
    let ran = world.run(["vm", "exec", id, "--", "sh", "-c", &script]);
    (ran.code == Some(0)).then(|| mark_of(id, &ran.stdout))
}

/// The number of the one label that there may be.
fn label(shown: &Value) -> Result<u64, String> {
    let all = shown.as_object().cloned().unwrap_or_default();
    let mut all = all.iter();
    let number = match (all.next(), all.next()) {
        (None, _) => return Ok(0),
        (Some((key, value)), None) if key == MARK => {
            value.as_str().and_then(|text| text.parse().ok())
        }
        _ => None,
    };
    number.ok_or_else(|| shown.to_string())
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
        let carrier = carried(&line);
        match vmm {
            None if let Some(id) = carrier => seen.carriers.push(id),
            // It has ended meanwhile, or serves.
            _ if line.is_empty() || Some(pid) == daemon || is_helper => {}
            Some(id) if !line.contains("__launch") => drop(seen.vmms.insert(pid, id)),
            _ => seen.strangers.push(line.chars().take(200).collect()),
        }
    }
}

/// Whose published ports a process carries, by the directory of its socket.
fn carried(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(" __carry ")?;
    let (socket, _) = rest.split_once("/carry.sock")?;
    socket.rsplit('/').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_is_known_with_the_machine_that_it_is_of() {
        let line = "bangerd __carry /w/run/banger/vm/711154b4/carry.sock {\"pid\":7951}";
        assert_eq!(carried(line).as_deref(), Some("711154b4"));
        assert_eq!(carried("bangerd serve"), None);
        assert_eq!(carried("bangerd __carry"), None);
    }

    #[test]
    fn a_mark_reads_back_and_is_one_machine_s_alone() {
        let (id, other) = ("3fa9".repeat(8), "3fb9".repeat(8));
        let text = mark_text(&id, 4711);
        assert_eq!(text.len(), MARK_LENGTH);
        assert_eq!(mark_of(&id, text.as_bytes()), Ok(4711));
        assert!(mark_of(&other, text.as_bytes()).is_err());
        assert_eq!(mark_of(&id, &[0; MARK_LENGTH]), Ok(0));
        assert_eq!(mark_of(&id, b""), Ok(0));
        for garbage in [
            "soak 3fa93fa9 x",
            "soak 3fa93fa9",
            "word 3fa93fa9 1",
            "soak 3fa93fa9 1 2",
        ] {
            assert!(mark_of(&id, garbage.as_bytes()).is_err(), "{garbage}");
        }
    }

    #[test]
    fn a_label_is_a_number_and_another_one_is_told() {
        let read = |labels: &str| label(&serde_json::from_str(labels).expect("JSON"));
        assert_eq!(read("{}"), Ok(0));
        assert_eq!(read(r#"{"soak":"12"}"#), Ok(12));
        for odd in [
            r#"{"soak":"x"}"#,
            r#"{"other":"1"}"#,
            r#"{"a":"1","soak":"1"}"#,
        ] {
            assert!(read(odd).is_err(), "{odd}");
        }
    }
}
