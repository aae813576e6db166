//! Whether what is seen agrees with itself and with what may be. Pure.

use super::model::{Fact, Place};
use std::collections::{BTreeMap, BTreeSet};

/// One machine as the daemon shows it, with what is on its work disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its state, in the daemon's word.
    pub state: String,
    /// The pid of its VMM, when the daemon shows one.
    pub pid: Option<u32>,
    /// Whether it has a way out.
    pub nat: bool,
    /// The host's ports that lead to it.
    pub ports: Vec<u16>,
    /// Of one that runs, why one of them does not.
    pub unreached: Option<String>,
    /// Whether it is one of `run --rm`.
    pub ephemeral: bool,
    /// Addresses of its own.
    pub addresses: Vec<String>,
    /// The mark on its work disk, 0 for none; `Err` when what is there is no mark of this machine.
    /// `None` where it cannot be seen.
    pub mark: Option<Result<u64, String>>,
    /// The number of its label, 0 for none; `Err` when it has others than that one.
    pub label: Result<u64, String>,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            name: String::new(),
            id: String::new(),
            state: String::new(),
            pid: None,
            nat: false,
            ports: vec![],
            unreached: None,
            ephemeral: false,
            addresses: vec![],
            mark: None,
            label: Ok(0),
        }
    }
}

/// An operation that goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Going {
    /// Its id.
    pub op: String,
    /// What is done.
    pub kind: String,
    /// The name of its machine when it began.
    pub name: String,
    /// The id of its machine, where there is one.
    pub machine: String,
}

impl Going {
    /// What its machine is called now; of one that is not there, what it was to be called.
    #[must_use]
    pub fn name_now<'a>(&'a self, machines: &'a [Machine]) -> &'a str {
        let machine = machines.iter().find(|machine| machine.id == self.machine);
        machine.map_or(&self.name, |machine| &machine.name)
    }
}

/// What is seen of a world that has come to rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// All machines that the daemon lists.
    pub machines: Vec<Machine>,
    /// VMM processes: pid, and the short id of their machine.
    pub vmms: BTreeMap<u32, String>,
    /// Processes that are neither daemon, helper, VMM nor ours.
    pub strangers: Vec<String>,
    /// Short ids of machines whose published ports a process carries.
    pub carriers: Vec<String>,
    /// Files of each machine's state directory, by id.
    pub kept: BTreeMap<String, BTreeSet<String>>,
    /// Runtime directories of machines, by short id.
    pub runtime: BTreeSet<String>,
    /// What is among the stagings.
    pub staging: Vec<String>,
    /// Operations that go on, the oldest first.
    pub operations: Vec<Going>,
}

impl Seen {
    /// Whether a creation of this name waits for its client, which was killed: for some seconds, until
    /// it is taken back.
    fn is_being_created(&self, name: &str) -> bool {
        let mut operations = self.operations.iter();
        operations.any(|one| one.kind == "create" && one.name_now(&self.machines) == name)
    }
}

/// Files that a machine's directory may have.
const FILES: [&str; 4] = ["system.ext4", "work.ext4", "console.log", "vmm.log"];

/// The name of a place.
#[must_use]
pub fn name_of(place: usize) -> String {
    format!("s{place}")
}

/// The part of an id that names sockets and processes.
#[must_use]
pub fn short(id: &str) -> String {
    id.chars().take(8).collect()
}

/// Everything that is not as it must be; empty when all is well.
#[must_use]
pub fn complaints(places: &[Place], seen: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    let known: BTreeSet<&String> = places.iter().flat_map(|place| &place.ids).collect();
    for (number, place) in places.iter().enumerate() {
        let name = name_of(number);
        let here: Vec<_> = seen.machines.iter().filter(|m| m.name == name).collect();
        match here.as_slice() {
            [] if place.facts.contains(&Fact::Absent) => {}
            [] => wrong.push(format!("{name} is lost: it should be {place}")),
            [machine] => wrong.extend(place_complaints(place, &known, machine)),
            _ => wrong.push(format!("several machines are called {name}")),
        }
        let gone = |id: &&String| seen.machines.iter().all(|machine| machine.id != **id);
        let lost = place.kept.iter().filter(gone);
        wrong.extend(lost.map(|id| format!("{id}, which was {name}, is nowhere")));
    }
    let names: BTreeSet<String> = (0..places.len()).map(name_of).collect();
    let invented = seen.machines.iter().filter(|m| !names.contains(&m.name));
    wrong.extend(invented.map(|m| format!("{} was never asked for", m.name)));
    wrong.extend(host_complaints(seen));
    let waits = |one: &Going| {
        let name = one.name_now(&seen.machines);
        let place = places.iter().enumerate().find(|(n, _)| name_of(*n) == name);
        one.kind == "create" && place.is_some_and(|(_, place)| place.goes_by_itself)
    };
    let endless = seen.operations.iter().filter(|one| !waits(one));
    wrong.extend(endless.map(|one| format!("the {} of {} does not end", one.kind, one.name)));
    wrong
}

fn place_complaints(place: &Place, known: &BTreeSet<&String>, machine: &Machine) -> Vec<String> {
    let name = &machine.name;
    let mut wrong = Vec::new();
    let fact = Fact::of_state(&machine.state);
    if !fact.is_some_and(|fact| place.facts.contains(&fact)) {
        wrong.push(format!("{name} is {}: it should be {place}", machine.state));
    }
    let is_new = place.renewed && !known.contains(&machine.id);
    if !place.ids.is_empty() && !place.ids.contains(&machine.id) && !is_new {
        wrong.push(format!("{name} is another machine now: {}", machine.id));
    }
    if !place.nat.contains(&machine.nat) {
        wrong.push(format!("{name} has nat {}: {place}", machine.nat));
    }
    if !place.published.contains(&!machine.ports.is_empty()) {
        wrong.push(format!("{name} publishes {:?}: {place}", machine.ports));
    }
    if let Some(why) = &machine.unreached {
        wrong.push(format!("{name} is not reached: {why}"));
    }
    match &machine.mark {
        Some(Ok(mark)) if !place.marks.contains(mark) => {
            wrong.push(format!("{name} has mark {mark} on its disk: {place}"));
        }
        Some(Err(why)) => wrong.push(format!("the work disk of {name}: {why}")),
        _ => {}
    }
    match &machine.label {
        Ok(label) if place.labels.contains(label) => {}
        Ok(label) => wrong.push(format!("{name} has label {label}: {place}")),
        Err(why) => wrong.push(format!("the labels of {name}: {why}")),
    }
    wrong
}

/// Records, processes and files agree.
fn host_complaints(seen: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    let ids: BTreeSet<&String> = seen.machines.iter().map(|m| &m.id).collect();
    let kept: BTreeSet<&String> = seen.kept.keys().collect();
    if ids.len() != seen.machines.len() {
        wrong.push("two machines have one id".to_owned());
    }
    wrong.extend(
        kept.difference(&ids)
            .map(|id| format!("directory {id} is nobody's")),
    );
    let new = |id: &String| {
        let mut machines = seen.machines.iter();
        machines.any(|m| m.id == *id && seen.is_being_created(&m.name))
    };
    for (id, files) in seen.kept.iter().filter(|(id, _)| !new(id)) {
        let odd = files.iter().filter(|file| !FILES.contains(&file.as_str()));
        wrong.extend(odd.map(|file| format!("{file} is in the directory of {id}")));
    }
    let running = seen.machines.iter().filter(|m| m.state == "running");
    let mut wanted: BTreeMap<u32, String> = BTreeMap::new();
    for machine in running.clone() {
        match machine.pid {
            Some(pid) => drop(wanted.insert(pid, short(&machine.id))),
            None => wrong.push(format!("{} runs without a process", machine.name)),
        }
    }
    if wanted != seen.vmms {
        let vmms = &seen.vmms;
        wrong.push(format!("VMMs are {vmms:?}, records say {wanted:?}"));
    }
    let short_ids: BTreeSet<String> = running.clone().map(|m| short(&m.id)).collect();
    if short_ids != seen.runtime {
        let runtime = &seen.runtime;
        wrong.push(format!("sockets of {runtime:?}, but {short_ids:?} run"));
    }
    let has_disks = |machine: &&Machine| {
        let files = seen.kept.get(&machine.id);
        files.is_some_and(|files| FILES[..2].iter().all(|disk| files.contains(*disk)))
    };
    let without = running.clone().filter(|machine| !has_disks(machine));
    wrong.extend(without.map(|machine| format!("{} runs without disks", machine.name)));
    wrong.extend(doubled(
        running.clone().flat_map(|m| m.addresses.iter().cloned()),
        "address",
    ));
    let ports = seen.machines.iter().flat_map(|m| &m.ports);
    wrong.extend(doubled(
        ports.filter(|port| **port != 0).map(u16::to_string),
        "port",
    ));
    let carried = running.filter(|machine| !machine.ports.is_empty());
    let carried: BTreeSet<String> = carried.map(|machine| short(&machine.id)).collect();
    let outlived = seen.carriers.iter().filter(|id| !carried.contains(*id));
    wrong.extend(outlived.map(|id| format!("left behind: the carrier of {id}")));
    let without = carried.iter().filter(|id| !seen.carriers.contains(id));
    wrong.extend(without.map(|id| format!("no carrier of {id}")));
    wrong.extend(doubled(seen.carriers.iter().cloned(), "carrier of"));
    wrong.extend(
        seen.strangers
            .iter()
            .map(|who| format!("left behind: {who}")),
    );
    wrong.extend(seen.staging.iter().map(|file| format!("staged: {file}")));
    wrong
}

fn doubled(all: impl Iterator<Item = String>, what: &str) -> Vec<String> {
    let mut known = BTreeSet::new();
    let twice = all.filter(|one| !known.insert(one.clone()));
    twice
        .map(|one| format!("{what} {one} is given twice"))
        .collect()
}

/// Narrows what may be to what was seen.
pub fn narrow(places: &mut [Place], seen: &Seen) {
    for (number, place) in places.iter_mut().enumerate() {
        let name = name_of(number);
        let Some(machine) = seen.machines.iter().find(|m| m.name == name) else {
            let waits = place.goes_by_itself && seen.is_being_created(&name);
            *place = Place::default();
            if waits {
                place.may_come_and_go();
            }
            continue;
        };
        place.facts = Fact::of_state(&machine.state).into_iter().collect();
        place.ids = [machine.id.clone()].into();
        place.kept = BTreeSet::new();
        place.renewed = false;
        let mut operations = seen.operations.iter();
        // Of one that came and went before it, a creation may still wait for its client.
        let is_its = |one: &Going| one.kind == "create" && one.machine == machine.id;
        let waits = place.goes_by_itself && operations.any(is_its);
        place.goes_by_itself = machine.ephemeral;
        if waits {
            place.may_come_and_go();
        }
        place.nat = [machine.nat].into();
        place.published = [!machine.ports.is_empty()].into();
        if let Some(Ok(mark)) = &machine.mark {
            place.marks = [*mark].into();
        }
        if let Ok(label) = machine.label {
            place.labels = [label].into();
        }
    }
}

#[cfg(test)]
mod tests;
