//! Whether anything is left behind: what there is, compared with what there was and with what the living
//! own. Pure; [`super::present`] looks, [`super::living`] knows who lives.

use super::living::{Living, Machine};
use super::present::place::Place;
use super::present::{Clue, Present, Program, Seen};
use banger_proto::owner::doctor::{Baseline, Kind, Leftover, Proof, Thing};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Whose a thing is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Belongs {
    /// Somebody who lives needs it.
    Living,
    /// Nobody needs it, and it is banger's.
    Left {
        to: String,
        sandbox: Option<String>,
        why: String,
    },
    /// Nothing of banger's.
    Others,
}

fn left(to: impl Into<String>, why: impl Into<String>) -> Belongs {
    Belongs::Left {
        to: to.into(),
        sandbox: None,
        why: why.into(),
    }
}

/// The proof. Of what is no business of banger's the new is listed where `all` is wanted.
pub(super) fn prove(
    present: &Present,
    baseline: Option<&Baseline>,
    living: &Living,
    all: bool,
) -> Proof {
    let before: BTreeSet<&Thing> = baseline.iter().flat_map(|record| &record.things).collect();
    let judge = Judge::new(present, living);
    let mut proof = Proof {
        left: vec![],
        owned: 0,
        not_seen: present.not_seen.clone(),
        baseline: baseline.map(|record| record.made),
        others: vec![],
    };
    for seen in &present.seen {
        match judge.belongs(seen) {
            Belongs::Living => proof.owned += 1,
            _ if before.contains(&seen.thing) => {}
            Belongs::Left { to, sandbox, why } => proof.left.push(Leftover {
                thing: seen.thing.clone(),
                belongs_to: to,
                sandbox,
                pid: seen.pid,
                uid: seen.uid,
                why,
            }),
            Belongs::Others if all => proof.others.push(seen.thing.clone()),
            Belongs::Others => {}
        }
    }
    proof.left.sort_by(|one, other| one.thing.cmp(&other.thing));
    proof.others.sort();
    proof
}

/// What a baseline holds: all that nobody of banger's needs now. What a living machine has must not be in
/// it: it would never be missed when the machine is gone.
pub(super) fn not_living(present: &Present, living: &Living) -> Vec<Thing> {
    let judge = Judge::new(present, living);
    let seen = present.seen.iter();
    let seen = seen.filter(|seen| judge.belongs(seen) != Belongs::Living);
    let mut things: Vec<Thing> = seen.map(|seen| seen.thing.clone()).collect();
    things.sort();
    things.dedup();
    things
}

struct Judge<'a> {
    living: &'a Living,
    /// Runtime directories of probes: a guest that is booted only to see whether KVM works.
    probes: BTreeSet<String>,
    /// The daemon, what it has started, and the VMMs and carriers of machines.
    ours: BTreeSet<u32>,
    /// Carriers of machines that may run.
    carriers: BTreeSet<u32>,
    /// Whether the daemon's helper runs.
    helper_runs: bool,
}

impl<'a> Judge<'a> {
    fn new(present: &Present, living: &'a Living) -> Self {
        let probe = |seen: &Seen| match &seen.clue {
            Clue::At(Place::Staging(what)) => what.strip_prefix("probe-").map(str::to_owned),
            _ => None,
        };
        let probes = present.seen.iter().filter_map(probe);
        let probes = probes.filter(|_| living.daemon.is_some()).collect();
        let of_daemon = living
            .daemon
            .map_or_else(BTreeSet::new, |pid| descendants(present, pid));
        let vmms = living.machines.iter().filter_map(|machine| machine.vmm);
        let carriers = carriers(present, living);
        let mut ours: BTreeSet<u32> = vmms.chain(living.daemon).collect();
        ours.extend(of_daemon.iter().chain(&carriers));
        let helper_runs = present.seen.iter().any(|seen| {
            let is_helper = matches!(
                seen.clue,
                Clue::Process {
                    program: Some(Program::Helper),
                    ..
                }
            );
            is_helper && seen.pid.is_some_and(|pid| of_daemon.contains(&pid))
        });
        Self {
            living,
            probes,
            ours,
            carriers,
            helper_runs,
        }
    }

    fn belongs(&self, seen: &Seen) -> Belongs {
        let of_another = seen.uid.is_some_and(|uid| uid != self.living.uid);
        match &seen.clue {
            Clue::None => Belongs::Others,
            Clue::Process {
                program, touches, ..
            } => self.process(seen.pid.unwrap_or(0), *program, touches),
            Clue::Port { udp, address } => self.port(seen.pid, *udp, *address),
            Clue::Mark(installation) => self.marked(installation, seen),
            Clue::Named if seen.thing.kind == Kind::Cgroup && seen.pid.is_some() => Belongs::Others,
            Clue::Named if of_another => Belongs::Others,
            Clue::Named => self.named(seen),
            Clue::At(place) => self.at(place, seen),
        }
    }

    fn process(&self, pid: u32, program: Option<Program>, touches: &BTreeSet<Place>) -> Belongs {
        let Some(program) = program.filter(|_| !touches.is_empty()) else {
            return Belongs::Others;
        };
        let is_machines = matches!(program, Program::Vmm | Program::Carrier);
        if !is_machines && self.ours.contains(&pid) {
            return Belongs::Living;
        }
        let machines = touches.iter().filter_map(|place| self.machine_at(place));
        let mut machines = machines.peekable();
        let of_probe = touches.iter().any(|place| match place {
            Place::Runtime(short) => self.probes.contains(short),
            _ => false,
        });
        match (program, machines.peek()) {
            (Program::Vmm, _) if of_probe => Belongs::Living,
            (Program::Vmm, Some(machine)) if machine.vmm == Some(pid) => Belongs::Living,
            // One that is being started is recorded a moment later, one that a stop waits for may be it.
            (Program::Vmm, Some(machine)) if machine.in_between => Belongs::Living,
            (Program::Vmm, Some(machine)) => {
                self.of_machine(machine, "runs, and is not the machine's VMM")
            }
            (Program::Vmm, None) => {
                self.unrecorded(touches, "runs for a machine that no record knows")
            }
            (Program::Carrier, _) if self.carriers.contains(&pid) => Belongs::Living,
            (Program::Carrier, Some(machine)) => {
                self.of_machine(machine, "carries ports of a machine that does not run")
            }
            (Program::Carrier, None) => {
                self.unrecorded(touches, "carries ports of a machine that no record knows")
            }
            (Program::Helper, _) => left("helper", "runs without the daemon that started it"),
            (Program::Daemon, _) => left("daemon", "runs, and does not serve"),
            (Program::Tool, _) => left("daemon", "was started by a daemon that is gone"),
        }
    }

    fn port(&self, holder: Option<u32>, udp: bool, address: SocketAddr) -> Belongs {
        let Some(pid) = holder.filter(|pid| self.ours.contains(pid)) else {
            return Belongs::Others;
        };
        let is_served = self.living.served_at == Some(address.port());
        let who = match self.living.daemon == Some(pid) {
            true => "daemon",
            false if self.carriers.contains(&pid) => "carrier",
            false => return Belongs::Living,
        };
        if is_served || self.living.publishes(udp, address) {
            return Belongs::Living;
        }
        left(
            format!("{who} (pid {pid})"),
            "is open for no machine that runs",
        )
    }

    fn marked(&self, installation: &str, seen: &Seen) -> Belongs {
        let name = &seen.thing.name;
        if self.living.installation.as_deref() != Some(installation) {
            return Belongs::Others;
        }
        let of_machine = |machine: &&Machine| machine.tap.as_deref() == Some(name);
        let machine = self.living.machines.iter().find(of_machine);
        match machine {
            Some(machine) if machine.may_run() => Belongs::Living,
            _ if self.living.network => Belongs::Living,
            Some(machine) => {
                self.of_machine(machine, "is of no use to a machine that does not run")
            }
            None => left(
                "daemon",
                "carries this installation's mark, and no machine needs it",
            ),
        }
    }

    fn named(&self, seen: &Seen) -> Belongs {
        let holder = seen
            .pid
            .map_or_else(String::new, |pid| format!(", held by pid {pid}"));
        let why = match seen.thing.kind {
            Kind::Link => "has a name of banger's, and no mark",
            _ => "has a name of banger's, and nothing of banger's is there",
        };
        left(format!("unknown{holder}"), why)
    }

    fn at(&self, place: &Place, seen: &Seen) -> Belongs {
        let is_file = seen.thing.kind == Kind::File;
        match place {
            // Banger mounts nothing and makes no loop devices: whose it is cannot be known.
            _ if matches!(seen.thing.kind, Kind::Mount | Kind::Loop) => {
                let machine = self.machine_at(place);
                let whose = machine
                    .map_or_else(String::new, |machine| format!(", over {}", machine.title()));
                left(
                    format!("unknown{whose}"),
                    "lies in a directory of banger's, which makes no such thing",
                )
            }
            // A socket is its holder's.
            _ if !is_file && seen.pid.is_some_and(|pid| self.ours.contains(&pid)) => {
                Belongs::Living
            }
            Place::Kept => Belongs::Living,
            Place::Sandbox(id) => match self.living.by_id(id) {
                Some(_) => Belongs::Living,
                None if self.living.is_unreadable(id) => Belongs::Living,
                None => self.unrecorded(
                    &[place.clone()].into(),
                    "is of a machine that no record knows",
                ),
            },
            Place::Runtime(short) => match self.machine_at(place) {
                _ if self.probes.contains(short) => Belongs::Living,
                Some(machine) if machine.may_run() => Belongs::Living,
                Some(machine) => {
                    self.of_machine(machine, "is of no use to a machine that does not run")
                }
                None if self.living.is_unreadable(short) => Belongs::Living,
                None => self.unrecorded(
                    &[place.clone()].into(),
                    "is of a machine that no record knows",
                ),
            },
            Place::Staging(_) if self.living.daemon.is_some() => Belongs::Living,
            Place::Staging(_) => left("daemon", "was being built by a daemon that is gone"),
            Place::DaemonSocket if self.living.daemon.is_some() => Belongs::Living,
            Place::DaemonSocket => left("daemon", "is a socket at which nobody listens"),
            Place::RootSocket if self.helper_runs => Belongs::Living,
            Place::RootSocket => left("helper", "is a socket at which nobody listens"),
            Place::Stray => {
                let who = seen
                    .uid
                    .map_or_else(String::new, |uid| format!(" (user {uid})"));
                left(
                    format!("unknown{who}"),
                    "lies in a directory of banger's, which makes no such thing",
                )
            }
        }
    }

    fn machine_at(&self, place: &Place) -> Option<&'a Machine> {
        match place {
            Place::Sandbox(id) => self.living.by_id(id),
            Place::Runtime(short) => self.living.by_short(short),
            _ => None,
        }
    }

    fn of_machine(&self, machine: &Machine, why: &str) -> Belongs {
        Belongs::Left {
            to: machine.title(),
            sandbox: Some(machine.id.clone()),
            why: why.into(),
        }
    }

    /// Of a machine that there is no more, by the id in its place; its name where an event tells it.
    fn unrecorded(&self, touches: &BTreeSet<Place>, why: &str) -> Belongs {
        let id = touches.iter().find_map(|place| match place {
            Place::Sandbox(id) | Place::Runtime(id) => Some(id.clone()),
            _ => None,
        });
        let Some(id) = id else {
            return left("unknown", why);
        };
        let name = self.living.once_called(&id);
        let name = name.map_or_else(String::new, |name| format!(" {name}"));
        Belongs::Left {
            to: format!("machine{name} ({id})"),
            sandbox: Some(id),
            why: why.into(),
        }
    }
}

/// The carriers of machines that may run.
fn carriers(present: &Present, living: &Living) -> BTreeSet<u32> {
    let runs = |place: &Place| match place {
        Place::Runtime(short) => {
            let machine = living.by_short(short);
            machine.map_or_else(|| living.is_unreadable(short), Machine::may_run)
        }
        _ => false,
    };
    let carrier = |seen: &Seen| match &seen.clue {
        Clue::Process {
            program: Some(Program::Carrier),
            touches,
            ..
        } if touches.iter().any(runs) => seen.pid,
        _ => None,
    };
    present.seen.iter().filter_map(carrier).collect()
}

/// The processes that one has started, and theirs.
fn descendants(present: &Present, of: u32) -> BTreeSet<u32> {
    let pairs: Vec<(u32, u32)> = present
        .seen
        .iter()
        .filter_map(|seen| match seen.clue {
            Clue::Process { parent, .. } => Some((seen.pid?, parent)),
            _ => None,
        })
        .collect();
    let mut found = BTreeSet::from([of]);
    loop {
        let new: Vec<u32> = pairs
            .iter()
            .filter(|(pid, parent)| found.contains(parent) && !found.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if new.is_empty() {
            return found;
        }
        found.extend(new);
    }
}

#[cfg(test)]
mod tests;
