//! Plans: what they come to, whatever breaks off.

use super::*;
use proptest::prelude::*;

fn run(steps: &[Step], survey: &mut Survey) {
    steps.iter().for_each(|step| step.apply(survey));
}

fn goals() -> impl Strategy<Value = Goal> {
    proptest::sample::select(Goal::ALL.to_vec())
}

fn surveys() -> impl Strategy<Value = Survey> {
    proptest::sample::subsequence(HostObject::ALL.to_vec(), 0..=HostObject::ALL.len())
        .prop_map(|objects| objects.into_iter().collect())
}

#[test]
fn a_new_sandbox_is_made_in_order() {
    let made: Vec<_> = HostObject::ALL.into_iter().map(Step::Make).collect();
    assert_eq!(plan(Goal::Running, &Survey::default()), made);
}

#[test]
fn sockets_and_network_of_a_dead_vmm_are_replaced() {
    let mut survey: Survey = HostObject::ALL.into_iter().collect();
    survey.gone(HostObject::Vmm);
    let (runtime, network) = (HostObject::RuntimeDirectory, HostObject::Network);
    assert_eq!(
        plan(Goal::Running, &survey),
        [
            Step::Remove(network),
            Step::Remove(runtime),
            Step::Make(runtime),
            Step::Make(network),
            Step::Make(HostObject::Vmm)
        ]
    );
}

proptest! {
    #[test]
    fn a_plan_reaches_its_goal_and_then_there_is_nothing_to_do(goal in goals(), mut survey in surveys()) {
        run(&plan(goal, &survey), &mut survey);
        prop_assert_eq!(plan(goal, &survey), vec![]);
    }

    #[test]
    fn a_crash_after_any_step_converges_to_the_same_end(goal in goals(), start in surveys(), k in 0_usize..12) {
        let steps = plan(goal, &start);
        let mut whole = start.clone();
        run(&steps, &mut whole);
        let mut crashed = start;
        run(steps.get(..k.min(steps.len())).unwrap_or(&[]), &mut crashed);
        run(&plan(goal, &crashed), &mut crashed);
        prop_assert_eq!(crashed, whole);
    }

    #[test]
    fn undoing_what_was_made_from_nothing_leaves_nothing(goal in goals(), k in 0_usize..12) {
        let steps = plan(goal, &Survey::default());
        let done = steps.get(..k.min(steps.len())).unwrap_or(&[]);
        let mut survey = Survey::default();
        run(done, &mut survey);
        let undos: Vec<_> = done.iter().rev().filter_map(|step| step.undo()).collect();
        run(&undos, &mut survey);
        prop_assert_eq!(survey, Survey::default());
    }

    #[test]
    fn the_work_disk_is_removed_only_when_all_is(goal in goals(), survey in surveys()) {
        let removed = plan(goal, &survey).contains(&Step::Remove(HostObject::WorkDisk));
        prop_assert_eq!(removed, goal == Goal::Absent && survey.has(HostObject::WorkDisk));
    }
}

/// Acts as the executor does when some objects cannot be removed: what is left out, too.
fn run_where_some_stay(steps: &[Step], survey: &mut Survey, stuck: &Survey) -> Vec<Leftover> {
    let mut left = Vec::new();
    for step in steps {
        match step {
            Step::Remove(_) if step.is_barred_by(&left) => {}
            Step::Remove(object) if stuck.has(*object) => left.push(Leftover {
                object: *object,
                why: "busy".into(),
            }),
            step => step.apply(survey),
        }
    }
    left
}

fn removing() -> impl Strategy<Value = Goal> {
    prop_oneof![Just(Goal::AtRest), Just(Goal::Absent)]
}

proptest! {
    #[test]
    fn what_cannot_be_removed_keeps_what_it_needs_and_a_repair_comes_to_the_same_end(
        goal in removing(), start in surveys(), stuck in surveys(),
    ) {
        let mut whole = start.clone();
        run(&plan(goal, &start), &mut whole);
        let mut survey = start.clone();
        let left = run_where_some_stay(&plan(goal, &start), &mut survey, &stuck);
        for one in &left {
            let needed = one.object.needs().iter().filter(|needed| start.has(**needed));
            prop_assert!(needed.clone().all(|needed| survey.has(*needed)), "{}: {:?}", one, survey);
        }
        prop_assert_eq!(left.is_empty(), survey == whole);
        run(&plan(repair(goal, &survey), &survey), &mut survey);
        prop_assert_eq!(survey, whole);
    }

    #[test]
    fn a_repair_that_breaks_off_at_any_step_is_repaired_to_the_same_end(
        aim in goals(), start in surveys(), k in 0_usize..12,
    ) {
        let goal = repair(aim, &start);
        prop_assume!(goal != Goal::Running);
        let steps = plan(goal, &start);
        prop_assert!(steps.iter().all(|step| matches!(step, Step::Remove(_))), "{:?}", steps);
        let mut whole = start.clone();
        run(&steps, &mut whole);
        let mut crashed = start;
        run(steps.get(..k.min(steps.len())).unwrap_or(&[]), &mut crashed);
        let again = repair(aim, &crashed);
        prop_assert_eq!(again, goal);
        run(&plan(again, &crashed), &mut crashed);
        prop_assert_eq!(crashed, whole);
    }

    #[test]
    fn only_a_guest_that_was_to_run_and_does_goes_on(aim in goals(), survey in surveys()) {
        let goes_on = repair(aim, &survey) == Goal::Running;
        prop_assert_eq!(goes_on, aim == Goal::Running && survey.has(HostObject::Vmm));
    }

    #[test]
    fn undoing_what_a_plan_made_leaves_nothing_of_it(start in surveys(), goal in goals(), k in 0_usize..12) {
        let steps = plan(goal, &start);
        let done = steps.get(..k.min(steps.len())).unwrap_or(&[]);
        let mut survey = start;
        run(done, &mut survey);
        let undos: Vec<_> = done.iter().rev().filter_map(|step| step.undo()).collect();
        run(&undos, &mut survey);
        for undone in undos {
            prop_assert!(!survey.has(undone.object()), "{}", undone);
        }
    }
}

#[test]
fn what_needs_another_is_made_after_it() {
    for object in HostObject::ALL {
        assert!(
            object.needs().iter().all(|needed| *needed < object),
            "{object}"
        );
    }
}

#[test]
fn steps_have_names_that_stay() {
    let named = |step: Step| step.to_string();
    assert_eq!(
        named(Step::Make(HostObject::StateDirectory)),
        "make-state-directory"
    );
    assert_eq!(named(Step::Remove(HostObject::Vmm)), "remove-vmm");
    for object in HostObject::ALL {
        let stored = serde_json::to_string(&object).expect("text");
        assert_eq!(stored, format!("\"{object}\""));
    }
}
