//! Plans: the steps from what exists to what is wanted, each with its undo.
//!
//! The same planner serves create, start, stop, delete and repair after a crash: repair is planning
//! from a survey that is not empty. The functions here decide; the executor only acts.

use std::collections::BTreeSet;

/// A host object that belongs to one sandbox. Everything that banger makes for a sandbox is one of
/// these, so that a survey can find it and a plan can remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostObject {
    /// The sandbox's directory among the owner's state.
    StateDirectory,
    /// The sparse system disk, laid over the image.
    SystemDisk,
    /// The sparse work disk, `/root` of the guest.
    WorkDisk,
    /// The directory for sockets among the runtime files.
    RuntimeDirectory,
    /// The guest's place on the host's network: a TAP, and what the rules say of it.
    Network,
    /// The VMM process, with its sockets.
    Vmm,
}

impl HostObject {
    /// In the order in which they are made; each may need those before it.
    pub const ALL: [Self; 6] = [
        Self::StateDirectory,
        Self::SystemDisk,
        Self::WorkDisk,
        Self::RuntimeDirectory,
        Self::Network,
        Self::Vmm,
    ];

    /// Whether it exists only while the sandbox runs.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::RuntimeDirectory | Self::Network | Self::Vmm)
    }
}

/// What of a sandbox exists on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey(BTreeSet<HostObject>);

impl Survey {
    /// Whether the object exists.
    #[must_use]
    pub fn has(&self, object: HostObject) -> bool {
        self.0.contains(&object)
    }
    /// Notes that the object exists.
    pub fn found(&mut self, object: HostObject) {
        self.0.insert(object);
    }
    /// Notes that the object is gone.
    pub fn gone(&mut self, object: HostObject) {
        self.0.remove(&object);
    }
    /// What exists, in the order in which it was made.
    pub fn objects(&self) -> impl DoubleEndedIterator<Item = HostObject> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<HostObject> for Survey {
    fn from_iter<I: IntoIterator<Item = HostObject>>(objects: I) -> Self {
        Self(objects.into_iter().collect())
    }
}

/// What is wanted of a sandbox's host objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Goal {
    /// Disks, and nothing that runs.
    Present,
    /// Disks and a VMM.
    Running,
    /// Nothing at all.
    Absent,
}

/// One change of one host object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Make it; it is there or not there afterwards, never half.
    Make(HostObject),
    /// Remove it; that it is gone already is a success.
    Remove(HostObject),
}

impl Step {
    /// The step that takes this one back. A removal has none: what is gone is gone.
    #[must_use]
    pub const fn undo(self) -> Option<Self> {
        match self {
            Self::Make(object) => Some(Self::Remove(object)),
            Self::Remove(_) => None,
        }
    }

    /// What the survey would show after the step.
    pub fn apply(self, survey: &mut Survey) {
        match self {
            Self::Make(object) => survey.found(object),
            Self::Remove(object) => survey.gone(object),
        }
    }
}

/// Plans the way from what exists to the goal: removals first, last made first; then what is
/// missing, in order. Sockets and network of a VMM that is gone are stale: without it they are removed
/// before they are made again.
#[must_use]
pub fn plan(goal: Goal, survey: &Survey) -> Vec<Step> {
    let keep = |object: HostObject| match goal {
        Goal::Absent => false,
        Goal::Present => !object.is_transient(),
        Goal::Running => !object.is_transient() || survey.has(HostObject::Vmm),
    };
    let wanted = |object: &HostObject| match goal {
        Goal::Absent => false,
        Goal::Present => !object.is_transient(),
        Goal::Running => true,
    };
    let removals = survey
        .objects()
        .rev()
        .filter(|object| !keep(*object))
        .map(Step::Remove);
    let makings = HostObject::ALL
        .into_iter()
        .filter(wanted)
        .filter(|object| !(survey.has(*object) && keep(*object)))
        .map(Step::Make);
    removals.chain(makings).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(steps: &[Step], survey: &mut Survey) {
        steps.iter().for_each(|step| step.apply(survey));
    }

    fn goals() -> impl Strategy<Value = Goal> {
        prop_oneof![Just(Goal::Present), Just(Goal::Running), Just(Goal::Absent)]
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
}
