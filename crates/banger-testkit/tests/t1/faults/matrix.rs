//! Cells of the matrix, many at once in one world: each is a machine of its own.

use super::scenario::{
    Scenario, carriers_of, create, directory, has_the_recorded_disk, is_precious, runtime, show,
    verb, vmms_of,
};
use banger_testkit::checks::publish::carried;
use banger_testkit::checks::start;
use banger_testkit::world::{LIMIT, kill};
use banger_testkit::{World, api, eventually};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many cells are in a world at once.
const AT_ONCE: usize = 40;
/// A machine that no fault is for.
const BYSTANDER: &str = "bystander";
/// What machines publish whose carrier is killed: any free port. Nobody needs to listen in the guest.
const A_PORT: &[&str] = &["0:7"];

/// What strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    DaemonKilled,
    HelperKilled,
    VmmKilled,
    /// The process that has the connections of published ports.
    CarrierKilled,
    DiskFull,
    StepFails,
    DaemonErrs,
}

impl Fault {
    /// What the daemon is asked for; to be killed, things are held where they are.
    const fn asked(self) -> &'static str {
        match self {
            Self::DaemonKilled | Self::HelperKilled | Self::VmmKilled | Self::CarrierKilled => {
                "hold"
            }
            Self::DiskFull => "full",
            Self::StepFails => "fail",
            Self::DaemonErrs => "panic",
        }
    }

    /// What the machines publish that it strikes.
    const fn ports(self) -> &'static [&'static str] {
        match self {
            Self::CarrierKilled => A_PORT,
            _ => &[],
        }
    }

    /// Whether it can strike there.
    fn can_strike(self, scenario: Scenario, place: &str) -> bool {
        let writes = [
            "record-",
            "journal-",
            "make-state-directory",
            "make-system-disk",
            "make-work-disk",
        ];
        match self {
            Self::DaemonKilled | Self::HelperKilled | Self::StepFails | Self::DaemonErrs => true,
            Self::VmmKilled => scenario.has_vmm(),
            Self::CarrierKilled => scenario.can_publish(),
            Self::DiskFull => writes.iter().any(|start| place.starts_with(start)),
        }
    }
}

/// One machine, one scenario, one place.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) scenario: Scenario,
    pub(super) place: String,
    pub(super) name: String,
}

/// A world with a bridge, a bystander, and a daemon that can be asked for faults. What is there before any
/// of them is on record.
pub(super) fn world() -> World {
    let world = World::simulated_bridged().with_faults();
    world.record_baseline();
    start(&world, BYSTANDER);
    world
}

/// The places that a scenario passes when nothing strikes.
pub(super) fn passed(world: &World, scenario: Scenario) -> Vec<String> {
    let name = scenario.name(0);
    scenario.prepare(world, &name, &[]);
    world.watch_places(&name);
    if scenario == Scenario::Reconcile {
        restart_without_vmms(world, &[&name]);
        settle(world, &name, scenario);
    } else {
        scenario.act(world, &name);
    }
    let passed = world.passed(&name);
    world.lift_faults(&name);
    // Gone already when that was the scenario.
    let _gone = verb(world, &name, "delete");
    if let Some(other) = scenario.other(&name) {
        let _gone = verb(world, &other, "delete");
    }
    passed
}

/// The daemon is killed, and VMMs with it; the next one finds what is left.
fn restart_without_vmms(world: &World, names: &[&str]) {
    let vmms: Vec<u32> = names.iter().flat_map(|name| vmms_of(world, name)).collect();
    world.kill_daemon();
    vmms.into_iter().for_each(kill);
    let _ = world.run(["ps"]).good();
}

/// Strikes at every place of every scenario.
pub(super) fn strike(fault: Fault, scenarios: &[Scenario]) {
    let world = world();
    let mut cells = Vec::new();
    for scenario in scenarios {
        let mut places = passed(&world, *scenario);
        places.sort();
        places.dedup();
        places.retain(|place| fault.can_strike(*scenario, place));
        cells.extend(places.into_iter().enumerate().map(|(number, place)| Cell {
            scenario: *scenario,
            name: scenario.name(number + 1),
            place,
        }));
    }
    assert!(!cells.is_empty());
    let (count, carriers) = (cells.len(), AtomicUsize::new(0));
    let vmm = vmms_of(&world, BYSTANDER);
    // What a daemon's start does is done to all at once: not while others are at work.
    let (reconciled, others): (Vec<_>, Vec<_>) = cells
        .into_iter()
        .partition(|cell| cell.scenario == Scenario::Reconcile);
    for cells in others.chunks(AT_ONCE).chain(reconciled.chunks(AT_ONCE)) {
        strike_at_once(&world, fault, cells, &carriers);
        assert_eq!(
            vmms_of(&world, BYSTANDER),
            vmm,
            "another machine was harmed"
        );
        let health = api::get(&world, &format!("/v1/sandboxes/{BYSTANDER}/health"));
        assert_eq!(health.expect("an answer").status, 200);
    }
    let carriers = carriers.into_inner();
    println!("{fault:?}: {count} cells, {carriers} carriers");
    assert!(fault != Fault::CarrierKilled || carriers > 0);
    leave_nothing(&world);
}

/// The bystander is deleted, and nothing is left: by the world's own look, and by what the doctor proves.
pub(super) fn leave_nothing(world: &World) {
    let _ = world.run(["vm", "rm", BYSTANDER]).good();
    world.assert_nothing_left();
    world.prove_nothing_left();
    world.stop_daemon();
    crate::bridge::nothing_is_left_on_the_host(world);
    world.prove_nothing_left();
}

pub(super) fn each(cells: &[Cell], work: impl Fn(&Cell) + Sync) {
    thread::scope(|scope| {
        for cell in cells {
            let work = &work;
            scope.spawn(move || work(cell));
        }
    });
}

/// Counts the carriers that it kills.
fn strike_at_once(world: &World, fault: Fault, cells: &[Cell], carriers: &AtomicUsize) {
    each(cells, |cell| {
        cell.scenario.prepare(world, &cell.name, fault.ports());
    });
    for cell in cells {
        world.watch_places(&cell.name);
        world.ask_fault(&cell.name, &cell.place, fault.asked());
    }
    thread::scope(|scope| {
        let names: Vec<&str> = cells.iter().map(|cell| cell.name.as_str()).collect();
        if cells[0].scenario == Scenario::Reconcile {
            restart_without_vmms(world, &names);
        }
        let acting: Vec<_> = cells
            .iter()
            .map(|cell| scope.spawn(|| cell.scenario.act(world, &cell.name)))
            .collect();
        if fault.asked() == "hold" {
            eventually("all to be held", LIMIT, || {
                let free: Vec<_> = cells
                    .iter()
                    .filter(|cell| !world.is_held(&cell.name, &cell.place))
                    .map(|cell| (&cell.name, &cell.place, world.passed(&cell.name)))
                    .collect();
                if free.is_empty() {
                    Ok(())
                } else {
                    Err(format!("{free:?}"))
                }
            });
            match fault {
                Fault::DaemonKilled => world.kill_daemon(),
                Fault::HelperKilled => world.helpers().into_iter().for_each(kill),
                Fault::CarrierKilled => each(cells, |cell| {
                    let found = carriers_of(world, &cell.name);
                    carriers.fetch_add(found.len(), Ordering::Relaxed);
                    found.into_iter().for_each(kill);
                }),
                _ => each(cells, |cell| {
                    vmms_of(world, &cell.name).into_iter().for_each(kill);
                }),
            }
            cells.iter().for_each(|cell| world.lift_faults(&cell.name));
        }
        for acted in acting {
            acted.join().expect("it came to an end");
        }
    });
    cells.iter().for_each(|cell| world.lift_faults(&cell.name));
    until_nothing_goes_on(world);
    each(cells, |cell| {
        cell.verify(world, settle(world, &cell.name, cell.scenario));
    });
    each(cells, |cell| cell.clear(world));
}

/// Waits until the daemon, which may be the next one, has ended all that was begun: one that was killed
/// in the middle is gone on with.
fn until_nothing_goes_on(world: &World) {
    let _ = world.run(["ps"]).good();
    eventually("all operations to end", LIMIT, || {
        let status = api::get(world, "/v1/daemon").and_then(|answer| answer.json());
        let status = status.map_err(|error| error.to_string())?;
        match status["operations"].as_u64() {
            Some(0) => Ok(()),
            _ => Err(status.to_string()),
        }
    });
}

/// Waits until a machine is in a plain state, with a repair where it needs one.
pub(super) fn settle(world: &World, name: &str, scenario: Scenario) -> Option<Value> {
    eventually("a plain state", LIMIT, || {
        let Some(shown) = show(world, name).map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        let state = shown["state"].as_str().expect("a state");
        if matches!(state, "needs-repair" | "deleting") {
            let repaired = verb(world, name, "repair").and_then(|answer| answer.last_event());
            return Err(format!("{shown}, repaired: {repaired:?}"));
        }
        let is_end = scenario.ends().contains(&state);
        if is_end {
            Ok(Some(shown))
        } else {
            Err(format!("{name}: {shown}"))
        }
    })
}

impl Cell {
    /// The record says what is so, and nothing is lost.
    pub(super) fn verify(&self, world: &World, shown: Option<Value>) {
        if self.scenario == Scenario::Fork {
            let other = self.scenario.other(&self.name).expect("it has a parent");
            let parent = show(world, &other).expect("an answer").expect("unharmed");
            assert_eq!(parent["state"], "running", "{self:?}: {parent}");
            let directory = directory(world, &other);
            assert!(is_precious(&directory), "{self:?}: {parent}");
            self.leaves_no_moment(&directory);
        }
        let Some(shown) = shown else {
            assert!(self.scenario.ends().contains(&""), "{self:?} is gone");
            return;
        };
        let vmms = vmms_of(world, &self.name);
        if shown["state"] == "running" {
            assert_eq!(vmms.len(), 1, "{self:?}: {shown}");
            let health = api::get(world, &format!("/v1/sandboxes/{}/health", self.name));
            assert_eq!(health.expect("an answer").status, 200, "{self:?}: {shown}");
        } else {
            assert_eq!(vmms, [] as [u32; 0], "{self:?}: {shown}");
            assert!(!runtime(world, &shown).exists(), "{self:?}: {shown}");
        }
        if matches!(self.scenario, Scenario::Forked | Scenario::Export) {
            self.leaves_no_moment(&directory(world, &self.name));
        }
        if self.scenario != Scenario::Create {
            assert!(
                is_precious(&directory(world, &self.name)),
                "{self:?}: {shown}"
            );
        }
        self.publishes(world, &shown);
        if matches!(self.scenario, Scenario::Grow | Scenario::GrowStopped) {
            has_the_recorded_disk(world, &self.name);
        }
    }

    /// Who connects to its port is served by the one carrier of a guest that runs, or wakes the guest; of any
    /// other there is no carrier.
    fn publishes(&self, world: &World, shown: &Value) {
        let is_there = matches!(shown["state"].as_str(), Some("running" | "suspended"));
        let publishes = shown["publish"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        let wanted = usize::from(is_there && publishes);
        if wanted == 1 {
            eventually("its port to be carried", LIMIT, || {
                carried(world, &self.name).map_err(|error| format!("{self:?}: {error}"))
            });
        }
        eventually("the right carriers", LIMIT, || {
            let found = carriers_of(world, &self.name);
            match found.len() == wanted {
                true => Ok(()),
                false => Err(format!("{self:?}: {found:?}, {shown}")),
            }
        });
    }

    /// What a fork or an export was made of is gone.
    fn leaves_no_moment(&self, directory: &Path) {
        eventually("the moment to be removed", LIMIT, || {
            let left = fs::read_dir(directory.join("snapshots"))
                .into_iter()
                .flatten();
            let left: Vec<_> = left.flatten().map(|entry| entry.path()).collect();
            if left.is_empty() {
                Ok(())
            } else {
                Err(format!("{self:?}: {left:?}"))
            }
        });
    }

    /// Nothing of it is left, and its name is anybody's.
    pub(super) fn clear(&self, world: &World) {
        let gone = || match show(world, &self.name) {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}")),
        };
        if let Some(other) = self.scenario.other(&self.name) {
            // An ephemeral one may be on its way out, or have been undone.
            eventually("the other to be gone", LIMIT, || {
                let deleted = verb(world, &other, "delete");
                match show(world, &other) {
                    Ok(None) => Ok(()),
                    left => Err(format!("{left:?}, {deleted:?}")),
                }
            });
        }
        // Gone already when that was the scenario.
        let _gone_already = verb(world, &self.name, "delete");
        eventually("it to be gone", LIMIT, gone);
        create(world, &self.name, &Value::Null);
        let _ = verb(world, &self.name, "delete").expect("an answer");
        eventually("it to be gone", LIMIT, gone);
    }
}
