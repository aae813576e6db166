//! `vm set`: what changes at once, what with the next start, and what does not.

use banger_testkit::World;
use banger_testkit::checks::start;

fn nat(world: &World, name: &str) -> bool {
    world.show(name)["nat"].as_bool().expect("a flag")
}

#[test]
fn a_stopped_machine_is_changed_and_a_running_one_in_user_mode_with_its_next_start() {
    let world = World::simulated();
    let created = world.run(["vm", "create", "--no-start", "v"]);
    assert_ne!(created.code, Some(0), "the name is an option");
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "v"])
        .good();
    let changed = world.run(["vm", "set", "--nat", "v"]).good();
    assert_eq!(
        (changed.text().as_str(), nat(&world, "v")),
        ("v changed\n", true)
    );
    assert!(
        !changed.stderr.contains("next start"),
        "nothing runs that would have to be told"
    );
    start(&world, "w");
    let later = world.run(["vm", "set", "--nat", "v", "w"]).good();
    assert!(
        later.stderr.contains("with the next start"),
        "{}",
        later.stderr
    );
    assert!(nat(&world, "w"));
    let again = world.run(["vm", "set", "--no-nat", "v", "w"]).good();
    assert_eq!(again.text(), "v changed\nw changed\n");
    assert!(!nat(&world, "v") && !nat(&world, "w"));
}

#[test]
fn a_change_that_is_none_or_two_at_once_is_refused() {
    let world = World::simulated();
    for arguments in [
        &["vm", "set", "v"][..],
        &["vm", "set", "--nat", "--no-nat", "v"],
    ] {
        assert_eq!(world.run(arguments.iter().copied()).code, Some(2));
    }
    let nobody = world.run(["vm", "set", "--nat", "nobody"]);
    assert!(nobody.stderr.contains("nobody"), "{}", nobody.stderr);
}
