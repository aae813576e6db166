//! What is done to a machine while a fault strikes, and where it may be afterwards.

use banger_model::plan::{Goal, HostObject, Survey, plan};
use banger_testkit::world::{LIMIT, kill};
use banger_testkit::{World, api, eventually};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What a guest has written and synced to its work disk: in its last MiB, which no file system uses.
const PRECIOUS: &[u8] = b"precious";
const PLACE: u64 = 63 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    Create,
    Start,
    StartAgain,
    Stop,
    Kill,
    Restart,
    DeleteRunning,
    DeleteStopped,
    Set,
    /// The disk of one that runs.
    Grow,
    /// The disk of one that does not.
    GrowStopped,
    /// One that runs is kept as it is now.
    Snapshot,
    /// The disks of one that runs are read.
    Diff,
    /// One that runs is written to one file.
    Export,
    /// One that is made of such a file.
    Import,
    Suspend,
    Resume,
    /// One that runs is taken back to a snapshot.
    Restore,
    /// One that runs, of which a fork is made: the faults are for it, not for the fork.
    Forked,
    /// A fork of one that runs: the faults are for the fork.
    Fork,
    /// One that runs goes on as a fork of it.
    Promote,
    /// What one that runs is before a command is kept, for the second time.
    Checkpoint,
    /// One that runs is taken back to what it was before a command.
    Undo,
    /// The VMM ends of itself.
    End,
    /// Of one that could not be stopped.
    Repair,
    /// Of one that could not be deleted.
    RepairDeletion,
    /// A daemon starts and finds that the VMM has ended.
    Reconcile,
}

use HostObject::{Network, RuntimeDirectory, StateDirectory, SystemDisk, WorkDisk};

const DISKS: [HostObject; 3] = [StateDirectory, SystemDisk, WorkDisk];
const WITHOUT_VMM: [HostObject; 5] = [
    StateDirectory,
    SystemDisk,
    WorkDisk,
    RuntimeDirectory,
    Network,
];

impl Scenario {
    pub(super) const ALL: [Self; 27] = [
        Self::Create,
        Self::Start,
        Self::StartAgain,
        Self::Stop,
        Self::Kill,
        Self::Restart,
        Self::DeleteRunning,
        Self::DeleteStopped,
        Self::Set,
        Self::Grow,
        Self::GrowStopped,
        Self::Snapshot,
        Self::Diff,
        Self::Export,
        Self::Import,
        Self::Suspend,
        Self::Resume,
        Self::Restore,
        Self::Forked,
        Self::Fork,
        Self::Promote,
        Self::Checkpoint,
        Self::Undo,
        Self::End,
        Self::Repair,
        Self::RepairDeletion,
        Self::Reconcile,
    ];

    pub(super) fn name(self, number: usize) -> String {
        format!("{self:?}-{number}").to_lowercase()
    }

    /// The places that the planner's own steps have: what must be passed whatever else is.
    pub(super) fn planned(self) -> Vec<String> {
        let of = |goal, objects: &[HostObject]| {
            let survey: Survey = objects.iter().copied().collect();
            plan(goal, &survey)
        };
        let start = of(Goal::Running, &DISKS);
        let steps = match self {
            Self::Create | Self::Import => of(Goal::Present, &[]),
            Self::Fork => [of(Goal::Present, &[]), start].concat(),
            Self::Start | Self::StartAgain | Self::Resume => start,
            // Shut down in order, the VMM has gone before it is looked for.
            Self::Stop | Self::End => of(Goal::AtRest, &WITHOUT_VMM),
            Self::Restore | Self::Promote | Self::Undo => {
                [of(Goal::AtRest, &HostObject::ALL), start].concat()
            }
            Self::Kill | Self::Suspend => of(Goal::AtRest, &HostObject::ALL),
            Self::Restart => [of(Goal::AtRest, &WITHOUT_VMM), start].concat(),
            Self::DeleteRunning => of(Goal::Absent, &HostObject::ALL),
            Self::DeleteStopped => of(Goal::Absent, &DISKS),
            Self::Set
            | Self::Grow
            | Self::GrowStopped
            | Self::Snapshot
            | Self::Diff
            | Self::Export
            | Self::Checkpoint
            | Self::Forked => vec![],
            Self::Repair => of(Goal::AtRest, &[StateDirectory, RuntimeDirectory]),
            Self::RepairDeletion => of(Goal::Absent, &[StateDirectory, WorkDisk]),
            Self::Reconcile => of(Goal::AtRest, &[StateDirectory, RuntimeDirectory]),
        };
        let both =
            |step: &banger_model::plan::Step| [format!("{step}.before"), format!("{step}.after")];
        steps.iter().flat_map(both).collect()
    }

    /// Whether it has a VMM at any time.
    pub(super) const fn has_vmm(self) -> bool {
        !matches!(
            self,
            Self::Create
                | Self::Import
                | Self::DeleteStopped
                | Self::GrowStopped
                | Self::Repair
                | Self::RepairDeletion
                | Self::Reconcile
        )
    }

    /// Whether its record is different afterwards: of a snapshot the directory says that it is there, and reading
    /// changes nothing.
    pub(super) const fn changes_the_record(self) -> bool {
        !matches!(
            self,
            Self::Snapshot | Self::Diff | Self::Export | Self::Forked | Self::Checkpoint
        )
    }

    /// Whether it is in the journal: what happens by itself is not, nor what only reads.
    pub(super) const fn is_operation(self) -> bool {
        // A fork's creation is the fork's.
        !matches!(
            self,
            Self::End
                | Self::Reconcile
                | Self::Diff
                | Self::Export
                | Self::Forked
                | Self::Checkpoint
        )
    }

    /// States in which it may come to rest; empty for gone.
    pub(super) const fn ends(self) -> &'static [&'static str] {
        match self {
            Self::Create | Self::Import => &["", "created"],
            // One whose guest did not come up is kept to be looked at.
            Self::Fork => &["", "created", "running", "stopped"],
            Self::Start => &["created", "stopped", "running"],
            Self::StartAgain | Self::Stop | Self::Kill | Self::Restart => &["stopped", "running"],
            Self::DeleteRunning => &["", "running", "stopped"],
            Self::DeleteStopped => &["", "stopped"],
            Self::Set
            | Self::Grow
            | Self::Snapshot
            | Self::Diff
            | Self::Export
            | Self::Forked
            | Self::Checkpoint => &["running", "stopped"],
            Self::Suspend | Self::Resume | Self::Restore | Self::Promote | Self::Undo => {
                &["running", "suspended", "stopped"]
            }
            Self::GrowStopped | Self::End | Self::Repair | Self::Reconcile => &["stopped"],
            Self::RepairDeletion => &[""],
        }
    }

    /// Whether its machine can publish a port that is carried at some time. A fork has none of its parent's.
    pub(super) fn can_publish(self) -> bool {
        self.has_vmm() && self != Self::Fork
    }

    /// Brings a machine, which publishes these ports, to where the scenario begins.
    pub(super) fn prepare(self, world: &World, name: &str, ports: &[&str]) {
        if self == Self::Create {
            return;
        }
        if self == Self::Fork {
            let parent = parent_of(name);
            create(world, &parent, &"agent".into());
            write_precious(&directory(world, &parent));
            return;
        }
        if self == Self::Import {
            let parent = parent_of(name);
            create(world, &parent, &Value::Null);
            write_precious(&directory(world, &parent));
            let exported = verb(world, &parent, "export").expect("an answer");
            fs::write(world.path(name), exported.body).expect("written");
            return;
        }
        let start = match self {
            Self::Start => Value::Null,
            _ => "agent".into(),
        };
        let mut machine = machine(name, &start);
        machine["checkpoint"] = matches!(self, Self::Undo | Self::Checkpoint).into();
        machine["publish"] = ports.into();
        created(world, &machine);
        write_precious(&directory(world, name));
        match self {
            Self::StartAgain | Self::DeleteStopped | Self::GrowStopped => good(world, name, "stop"),
            Self::Resume => good(world, name, "suspend"),
            Self::Restore => done(world, &format!("/{name}/snapshots"), &tagged()),
            Self::Promote => created(world, &fork(&fork_of(name), name, true)),
            Self::Undo | Self::Checkpoint => {
                let made = checkpoint(world, name).expect("an answer");
                assert_eq!(made.status, 200, "{name}");
            }
            Self::Repair => hindered(world, name, "remove-runtime-directory.before", "kill"),
            Self::RepairDeletion => hindered(world, name, "remove-work-disk.before", "delete"),
            _ => {}
        }
    }

    /// Does it; the answer does not matter, and there may be none.
    pub(super) fn act(self, world: &World, name: &str) {
        match self {
            Self::Create => drop(post(world, "", &machine(name, &Value::Null))),
            Self::Start | Self::StartAgain => drop(verb(world, name, "start")),
            Self::Resume => drop(verb(world, name, "start")),
            Self::Suspend => drop(verb(world, name, "suspend")),
            Self::Snapshot => drop(post(world, &format!("/{name}/snapshots"), &tagged())),
            Self::Diff => drop(verb(world, name, "diff")),
            Self::Export => drop(verb(world, name, "export")),
            Self::Import => {
                let file = fs::read(world.path(name)).expect("there");
                let path = format!("/v1/import?name={name}");
                drop(api::send(world, "PUT", &path, &file));
            }
            Self::Restore => drop(post(world, &format!("/{name}/restore"), &tagged())),
            Self::Forked => drop(post(world, "", &fork(&fork_of(name), name, false))),
            Self::Fork => drop(post(world, "", &fork(name, &parent_of(name), false))),
            Self::Promote => {
                let path = format!("/{name}/promote");
                drop(post(world, &path, &json!({"fork": fork_of(name)})));
            }
            Self::Checkpoint => drop(checkpoint(world, name)),
            Self::Undo => drop(post(world, &format!("/{name}/undo"), &json!({}))),
            Self::Stop => drop(verb(world, name, "stop")),
            Self::Kill => drop(verb(world, name, "kill")),
            Self::Restart => drop(verb(world, name, "restart")),
            Self::DeleteRunning | Self::DeleteStopped => drop(verb(world, name, "delete")),
            Self::Set => {
                let path = format!("/{name}/set");
                drop(post(world, &path, &json!({"nat": true})));
            }
            Self::Grow | Self::GrowStopped => {
                let path = format!("/{name}/set");
                drop(post(world, &path, &json!({"disk_mib": 128})));
            }
            Self::Repair | Self::RepairDeletion => drop(verb(world, name, "repair")),
            Self::End => {
                vmms_of(world, name).into_iter().for_each(kill);
                eventually("the end to be noticed", LIMIT, || match show(world, name) {
                    Ok(Some(shown)) if shown["state"] == "running" => Err(shown),
                    _ => Ok(()),
                });
            }
            // The daemon's start does it to all at once.
            Self::Reconcile => {}
        }
    }
}

impl Scenario {
    /// The other machine that it is about, if any.
    pub(super) fn other(self, name: &str) -> Option<String> {
        match self {
            Self::Fork | Self::Import => Some(parent_of(name)),
            Self::Forked | Self::Promote => Some(fork_of(name)),
            _ => None,
        }
    }
}

fn parent_of(name: &str) -> String {
    format!("{name}-parent")
}

fn fork_of(name: &str) -> String {
    format!("{name}-fork")
}

fn fork(name: &str, of: &str, ephemeral: bool) -> Value {
    json!({"name": name, "start": "agent", "from": {"sandbox": of}, "ephemeral": ephemeral})
}

fn machine(name: &str, start: &Value) -> Value {
    json!({
        "name": name, "start": start, "init": "none",
        "vcpu": 1, "memory_mib": 64, "disk_mib": 64, "system_disk_mib": 64,
    })
}

fn checkpoint(world: &World, name: &str) -> std::io::Result<api::Answer> {
    let path = format!("/{name}/checkpoints");
    post(world, &path, &json!({"command": "make"}))
}

fn tagged() -> Value {
    json!({"tag": "good"})
}

/// # Panics
/// When it cannot be created.
pub(super) fn create(world: &World, name: &str, start: &Value) {
    created(world, &machine(name, start));
}

/// One that runs and goes with its client.
pub(super) fn ephemeral(world: &World, name: &str) {
    let mut machine = machine(name, &"agent".into());
    machine["ephemeral"] = true.into();
    created(world, &machine);
}

fn created(world: &World, machine: &Value) {
    done(world, "", machine);
}

fn done(world: &World, path: &str, body: &Value) {
    let answer = post(world, path, body).expect("an answer");
    let last = answer.last_event().expect("an end");
    assert_eq!(last["event"], "done", "{path} {body}: {last}");
}

fn post(world: &World, path: &str, body: &Value) -> std::io::Result<api::Answer> {
    api::request(world, "POST", &format!("/v1/sandboxes{path}"), Some(body))
}

pub(super) fn verb(world: &World, name: &str, verb: &str) -> std::io::Result<api::Answer> {
    let path = format!("/v1/sandboxes/{name}");
    match verb {
        "delete" => api::request(world, "DELETE", &path, None),
        verb => api::request(world, "POST", &format!("{path}/{verb}"), None),
    }
}

fn good(world: &World, name: &str, wanted: &str) {
    let answer = verb(world, name, wanted).expect("an answer");
    let last = answer.last_event().expect("an end");
    assert_eq!(last["event"], "done", "{wanted} {name}: {last}");
}

/// Has a verb fail at a place, so that something is left.
fn hindered(world: &World, name: &str, place: &str, wanted: &str) {
    world.watch_places(name);
    world.ask_fault(name, place, "fail");
    let answer = verb(world, name, wanted).expect("an answer");
    world.lift_faults(name);
    assert_eq!(answer.last_event().expect("an end")["event"], "failed");
    let shown = show(world, name).expect("an answer").expect("there");
    assert_eq!(shown["state"], "needs-repair", "{shown}");
}

/// A machine as it is shown; `None` when there is none.
pub(super) fn show(world: &World, name: &str) -> std::io::Result<Option<Value>> {
    let answer = api::get(world, &format!("/v1/sandboxes/{name}"))?;
    match answer.status {
        404 => Ok(None),
        _ => answer.json().map(Some),
    }
}

pub(super) fn directory(world: &World, name: &str) -> PathBuf {
    let shown = show(world, name).expect("an answer").expect("there");
    shown["directory"].as_str().expect("a directory").into()
}

/// The directory of a machine's sockets.
pub(super) fn runtime(world: &World, shown: &Value) -> PathBuf {
    let id = shown["id"].as_str().expect("an id");
    world.path("run").join("banger/vm").join(&id[..8])
}

/// Pids of the VMMs of one machine.
pub(super) fn vmms_of(world: &World, name: &str) -> Vec<u32> {
    of_machine(world, name, world.vmms())
}

/// Pids of those who carry the published ports of one machine.
pub(super) fn carriers_of(world: &World, name: &str) -> Vec<u32> {
    of_machine(world, name, world.carriers())
}

fn of_machine(world: &World, name: &str, all: Vec<u32>) -> Vec<u32> {
    let Ok(Some(shown)) = show(world, name) else {
        return vec![];
    };
    let sockets = runtime(world, &shown).display().to_string();
    let is_its = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&sockets)
    };
    all.into_iter().filter(is_its).collect()
}

/// Starts a machine anew: its work disk is then as large as is recorded, whatever came in between.
///
/// # Panics
/// When it is not.
pub(super) fn has_the_recorded_disk(world: &World, name: &str) {
    let shown = show(world, name).expect("an answer").expect("there");
    let again = if shown["state"] == "running" {
        "restart"
    } else {
        "start"
    };
    good(world, name, again);
    let shown = show(world, name).expect("an answer").expect("there");
    let mib = shown["disk_mib"]["value"].as_u64().expect("a size");
    let disk = directory(world, name).join("work.ext4");
    let found = disk.metadata().expect("there").len() >> 20;
    assert_eq!(found, mib, "{shown}");
}

fn write_precious(directory: &Path) {
    let disk = fs::File::options()
        .write(true)
        .open(directory.join("work.ext4"));
    disk.expect("a disk")
        .write_all_at(PRECIOUS, PLACE)
        .expect("written");
}

pub(super) fn is_precious(directory: &Path) -> bool {
    let mut found = [0; PRECIOUS.len()];
    let disk = fs::File::open(directory.join("work.ext4"));
    disk.and_then(|disk| disk.read_exact_at(&mut found, PLACE))
        .is_ok()
        && found == PRECIOUS
}
