//! A step fails, and then one of the undos: for each two of a plan.

use super::matrix::{Cell, each, leave_nothing, settle, world};
use super::scenario::{Scenario, show, verb};
use banger_model::plan::{Goal, HostObject, Step, Survey, plan};
use banger_testkit::World;

/// For each step of a plan that only makes, each of those that are then undone.
fn pairs(scenario: Scenario, goal: Goal, objects: &[HostObject]) -> Vec<(Cell, HostObject)> {
    let survey: Survey = objects.iter().copied().collect();
    let steps = plan(goal, &survey);
    assert!(
        steps.iter().all(|step| matches!(step, Step::Make(_))),
        "{steps:?}"
    );
    let mut pairs = Vec::new();
    for (at, failing) in steps.iter().enumerate() {
        for undone in &steps[..=at] {
            let cell = Cell {
                scenario,
                place: format!("{failing}.after"),
                name: scenario.name(pairs.len()),
            };
            pairs.push((cell, undone.object()));
        }
    }
    pairs
}

/// Prepares all, has the two faults strike each, and gives back the machines.
fn strike_twice(world: &World, pairs: Vec<(Cell, HostObject)>) -> Vec<Cell> {
    let (cells, undone): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
    each(&cells, |cell| cell.scenario.prepare(world, &cell.name, &[]));
    for (cell, object) in cells.iter().zip(&undone) {
        world.watch_places(&cell.name);
        world.ask_fault(&cell.name, &cell.place, "fail");
        world.ask_fault(&cell.name, &format!("undo-{object}.before"), "fail");
    }
    each(&cells, |cell| cell.scenario.act(world, &cell.name));
    for (cell, object) in cells.iter().zip(&undone) {
        let passed = world.passed(&cell.name);
        let tried = format!("undo-{object}.before");
        assert!(
            passed.contains(&tried),
            "{cell:?} does not undo {object}: {passed:?}"
        );
        world.lift_faults(&cell.name);
        if cell.scenario != Scenario::Create {
            let shown = show(world, &cell.name).expect("an answer").expect("there");
            assert_eq!(
                shown["state"], "needs-repair",
                "{cell:?}, {object}: {shown}"
            );
            let left = shown["leftovers"].as_array().expect("a list");
            let left: Vec<_> = left
                .iter()
                .filter_map(|one| one["object"].as_str())
                .collect();
            assert_eq!(left, [object.word()], "{cell:?}: {shown}");
            let refused = verb(world, &cell.name, "start").expect("an answer");
            assert_eq!(refused.last_event().expect("an end")["event"], "failed");
        }
    }
    cells
}

#[test]
fn what_an_undo_could_not_remove_is_kept_until_a_repair_removes_it() {
    let world = world();
    let disks = [
        HostObject::StateDirectory,
        HostObject::SystemDisk,
        HostObject::WorkDisk,
    ];
    let starts = pairs(Scenario::Start, Goal::Running, &disks);
    let creates = pairs(Scenario::Create, Goal::Present, &[]);
    assert!(starts.len() >= 6 && creates.len() >= 6);
    for pairs in [starts, creates] {
        let cells = strike_twice(&world, pairs);
        each(&cells, |cell| {
            cell.verify(&world, settle(&world, &cell.name, cell.scenario));
        });
        each(&cells, |cell| cell.clear(&world));
    }
    leave_nothing(&world);
}
