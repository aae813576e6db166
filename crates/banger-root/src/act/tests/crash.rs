//! The helper killed between any two changes: the next survey finds what is left, asking again
//! completes it, and a sweep leaves nothing.

use super::*;
use crate::kernel::Switch;

/// Everything that a first machine with a way out needs.
fn story() -> Vec<Verb> {
    vec![
        bridge(0, 1500),
        make([1, 2, 3]),
        policy(vec![guest(1, true), guest(2, false)]),
        policy(vec![guest(2, false)]),
    ]
}

/// Goes through the story and fails before the change of that number; says whether it came to the end.
fn cut(world: &World, after: u32) -> bool {
    world.kernel.state().changes_left = Some(after);
    let whole = story().into_iter().all(|verb| world.ask(verb).is_ok());
    world.kernel.state().changes_left = None;
    whole
}

fn crashes() -> impl Iterator<Item = World> {
    let worlds = (0..).map(|after| {
        let world = World::new();
        let whole = cut(&world, after);
        (world, whole)
    });
    worlds
        .take_while(|(_, whole)| !whole)
        .map(|(world, _)| world)
}

#[test]
fn asking_again_completes_what_was_cut_off() {
    assert!(
        crashes().count() > 12,
        "each change of the story is cut once"
    );
    let whole = World::new();
    assert!(cut(&whole, u32::MAX));
    for world in crashes() {
        for verb in story() {
            world.ask(verb).unwrap();
        }
        assert_eq!(world.survey(), whole.survey());
    }
}

#[test]
fn a_sweep_leaves_the_host_as_it_was() {
    let before = World::new().kernel.state().clone();
    for (after, world) in crashes().enumerate() {
        world.ask(sweep([], false, false)).unwrap();
        let state = world.kernel.state();
        assert_eq!(state.links, before.links, "cut before change {after}");
        assert_eq!(
            state.addresses, before.addresses,
            "cut before change {after}"
        );
        assert_eq!(state.switches, before.switches, "cut before change {after}");
    }
}

#[test]
fn a_sweep_that_was_cut_off_is_completed_by_the_next() {
    for after in 0..12 {
        let world = World::new();
        assert!(cut(&world, u32::MAX));
        world.done(policy(vec![guest(1, true)]));
        world.kernel.state().changes_left = Some(after);
        let _cut = world.ask(sweep([], false, false));
        world.kernel.state().changes_left = None;
        world.ask(sweep([], false, false)).unwrap();
        let survey = world.survey();
        assert!(survey.bridge.is_none() && survey.taps.is_empty() && survey.policy.is_none());
        assert_eq!(
            world.kernel.state().switches[&Switch::Ipv4Forward],
            0,
            "after {after} changes"
        );
    }
}
