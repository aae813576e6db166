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
        running.flat_map(|m| m.addresses.iter().cloned()),
        "address",
    ));
    let ports = seen.machines.iter().flat_map(|m| &m.ports);
    wrong.extend(doubled(
        ports.filter(|port| **port != 0).map(u16::to_string),
        "port",
    ));
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
        let waits = place.goes_by_itself && seen.is_being_created(&name);
        let Some(machine) = seen.machines.iter().find(|m| m.name == name) else {
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
mod tests {
    use super::*;

    fn machine(place: usize, state: &str) -> Machine {
        Machine {
            name: name_of(place),
            id: format!("{place:032}"),
            state: state.into(),
            pid: (state == "running").then_some(100 + u32::try_from(place).expect("small")),
            mark: Some(Ok(0)),
            ..Machine::default()
        }
    }

    fn seen(machines: Vec<Machine>) -> Seen {
        let running = || machines.iter().filter(|m| m.state == "running");
        let disks = FILES.map(str::to_owned);
        Seen {
            vmms: running()
                .filter_map(|m| Some((m.pid?, short(&m.id))))
                .collect(),
            runtime: running().map(|m| short(&m.id)).collect(),
            kept: machines
                .iter()
                .map(|m| (m.id.clone(), disks.clone().into()))
                .collect(),
            machines,
            ..Seen::default()
        }
    }

    fn at(fact: Fact) -> Place {
        Place {
            facts: [fact].into(),
            ..Place::default()
        }
    }

    fn going(kind: &str, place: usize) -> Going {
        Going {
            kind: kind.into(),
            name: name_of(place),
            machine: format!("{place:032}"),
            ..Going::default()
        }
    }

    fn one(places: &[Place], seen: &Seen) -> String {
        let wrong = complaints(places, seen);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        wrong[0].clone()
    }

    #[test]
    fn a_world_that_is_as_it_must_be_has_no_complaints() {
        let places = [at(Fact::Running), at(Fact::Absent), at(Fact::Stopped)];
        let seen = seen(vec![machine(0, "running"), machine(2, "stopped")]);
        assert_eq!(complaints(&places, &seen), Vec::<String>::new());
    }

    #[test]
    fn a_machine_that_is_lost_invented_doubled_or_in_a_wrong_state_is_told() {
        let running = [at(Fact::Running)];
        assert!(one(&running, &seen(vec![])).contains("lost"));
        let stopped = seen(vec![machine(0, "stopped")]);
        assert!(one(&running, &stopped).contains("is stopped"));
        let between = seen(vec![machine(0, "deleting")]);
        assert!(one(&[at(Fact::Absent)], &between).contains("is deleting"));
        let repair = seen(vec![machine(0, "needs-repair")]);
        assert!(one(&[at(Fact::Stopped)], &repair).contains("needs-repair"));
        let invented = seen(vec![machine(3, "stopped")]);
        assert!(one(&[at(Fact::Absent)], &invented).contains("never asked"));
        let mut twice = machine(0, "stopped");
        twice.id = "f".repeat(32);
        let doubled = seen(vec![machine(0, "stopped"), twice]);
        assert!(one(&[at(Fact::Stopped)], &doubled).contains("several"));
    }

    #[test]
    fn a_machine_that_was_replaced_without_being_asked_is_told() {
        let mut place = at(Fact::Stopped);
        place.ids = ["e".repeat(32)].into();
        let seen = seen(vec![machine(0, "stopped")]);
        assert!(one(&[place.clone()], &seen).contains("another machine"));
        place.renewed = true;
        assert!(complaints(&[place], &seen).is_empty());
    }

    #[test]
    fn processes_sockets_and_files_that_are_nobody_s_or_missing_are_told() {
        let (running, stopped) = ([at(Fact::Running)], [at(Fact::Stopped)]);
        let is_told = |places: &[Place], state: &str, change: &dyn Fn(&mut Seen), says: &str| {
            let mut changed = seen(vec![machine(0, state)]);
            change(&mut changed);
            let wrong = complaints(places, &changed).join("; ");
            assert!(wrong.contains(says), "{says}: {wrong}");
        };
        is_told(&running, "running", &|s| s.vmms.clear(), "VMMs are {}");
        is_told(&running, "running", &|s| s.runtime.clear(), "sockets of {}");
        is_told(
            &running,
            "running",
            &|s| s.kept.clear(),
            "runs without disks",
        );
        let orphan = |s: &mut Seen| drop(s.vmms.insert(7, "0".repeat(8)));
        is_told(&stopped, "stopped", &orphan, "VMMs are {7");
        let left = |s: &mut Seen| drop(s.kept.insert("dead".into(), BTreeSet::new()));
        is_told(&stopped, "stopped", &left, "directory dead is nobody's");
        let half = |s: &mut Seen| {
            let files = s.kept.values_mut().next().expect("one");
            files.insert("work.ext4.unfinished".into());
        };
        is_told(&stopped, "stopped", &half, "work.ext4.unfinished");
        let endless = |s: &mut Seen| s.operations.push(going("stop", 0));
        is_told(&stopped, "stopped", &endless, "the stop of s0 does not end");
        is_told(
            &stopped,
            "stopped",
            &|s| s.strangers = vec!["sleep".into()],
            "left behind: sleep",
        );
        is_told(
            &stopped,
            "stopped",
            &|s| s.staging = vec!["x".into()],
            "staged: x",
        );
        let sockets = |s: &mut Seen| s.runtime.extend(["0".repeat(8)]);
        is_told(&stopped, "stopped", &sockets, "sockets of");
    }

    #[test]
    fn a_creation_may_wait_for_a_client_that_was_killed_and_for_no_other() {
        let mut created = seen(vec![machine(0, "created")]);
        created.operations = vec![going("create", 0)];
        let half = "work.ext4.unfinished".to_owned();
        created
            .kept
            .values_mut()
            .for_each(|files| files.extend([half.clone()]));
        let mut places = [at(Fact::Created)];
        assert!(one(&places, &created).contains("the create of s0"));
        places[0].goes_by_itself = true;
        assert!(complaints(&places, &created).is_empty());
        narrow(&mut places, &created);
        assert!(places[0].goes_by_itself && places[0].facts.contains(&Fact::Absent));
        created.operations.clear();
        assert!(one(&places, &created).contains(&half));
    }

    #[test]
    fn a_creation_that_waits_is_its_machine_s_whatever_that_is_called_now() {
        let mut renamed = seen(vec![machine(1, "created")]);
        renamed.operations = vec![Going {
            machine: renamed.machines[0].id.clone(),
            ..going("create", 0)
        }];
        let mut places = [at(Fact::Absent), at(Fact::Created)];
        assert!(one(&places, &renamed).contains("the create of s0"));
        places[1].goes_by_itself = true;
        assert!(complaints(&places, &renamed).is_empty());
        narrow(&mut places, &renamed);
        assert!(places[1].goes_by_itself && !places[0].goes_by_itself);
    }

    #[test]
    fn a_machine_that_was_renamed_is_at_one_of_the_places_and_nobody_else_s() {
        let ids = |place: usize| BTreeSet::from([format!("{place:032}")]);
        let mut places = [at(Fact::Absent), at(Fact::Absent)];
        for place in &mut places {
            place.facts.insert(Fact::Stopped);
            place.ids = ids(0);
        }
        places[0].kept = ids(0);
        let mut there = machine(1, "stopped");
        there.id = format!("{:032}", 0);
        assert!(complaints(&places, &seen(vec![there.clone()])).is_empty());
        assert!(one(&places, &seen(vec![])).contains("is nowhere"));
        let mut other = vec![at(Fact::Stopped)];
        other[0].ids = ids(7);
        other[0].renewed = true;
        assert!(complaints(&other, &seen(vec![machine(0, "stopped")])).is_empty());
        other.extend(places);
        let mut taken = machine(0, "stopped");
        taken.id = format!("{:032}", 0);
        let wrong = complaints(&other, &seen(vec![taken])).join("; ");
        assert!(wrong.contains("s0 is another machine"), "{wrong}");
    }

    #[test]
    fn a_label_that_is_not_as_it_was_written_is_told() {
        let mut place = at(Fact::Stopped);
        place.labels = [5].into();
        let mut other = machine(0, "stopped");
        assert!(one(&[place.clone()], &seen(vec![other.clone()])).contains("label 0"));
        other.label = Ok(5);
        assert!(complaints(&[place.clone()], &seen(vec![other.clone()])).is_empty());
        other.label = Err("two".into());
        assert!(one(&[place], &seen(vec![other])).contains("two"));
    }

    #[test]
    fn data_that_was_synced_and_is_gone_is_told() {
        let mut place = at(Fact::Stopped);
        place.marks = [5].into();
        let mut other = machine(0, "stopped");
        assert!(one(&[place.clone()], &seen(vec![other.clone()])).contains("mark 0"));
        other.mark = Some(Ok(5));
        assert!(complaints(&[place.clone()], &seen(vec![other.clone()])).is_empty());
        other.mark = Some(Err("garbage".into()));
        assert!(one(&[place], &seen(vec![other])).contains("garbage"));
    }

    #[test]
    fn addresses_and_ports_are_given_once() {
        let places = [at(Fact::Running), at(Fact::Running)];
        let mut both = [machine(0, "running"), machine(1, "running")];
        for one in &mut both {
            one.addresses = vec!["172.16.0.2".into()];
        }
        assert!(one(&places, &seen(both.to_vec())).contains("address 172.16.0.2"));
    }

    #[test]
    fn what_was_seen_is_what_may_be_from_then_on() {
        let mut places = [at(Fact::Stopped), at(Fact::Running)];
        places[0].facts.insert(Fact::Running);
        places[0].renewed = true;
        let mut shown = machine(0, "stopped");
        shown.mark = Some(Ok(3));
        narrow(&mut places, &seen(vec![shown]));
        assert_eq!(places[0].facts, [Fact::Stopped].into());
        assert_eq!(
            (places[0].renewed, places[0].marks.clone()),
            (false, [3].into())
        );
        assert_eq!(places[1], Place::default(), "it is gone");
    }
}
