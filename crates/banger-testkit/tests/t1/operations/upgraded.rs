//! Another build of the daemon takes over in the middle of an operation; who follows that is told of it to its
//! true end, and of each stage once.

use super::makings::{begun, staged, working};
use super::*;
use banger_testkit::checks::restarts::{serving_program, two_programs, upgrade_daemon};

fn told_once(ran: &Ran, stages: &[&str]) {
    for stage in stages {
        let times = ran.stderr.matches(stage).count();
        assert_eq!(times, 1, "{stage}: {}", ran.stderr);
    }
}

#[test]
fn a_creation_is_followed_over_several_upgrades_to_its_end() {
    let mut world = World::simulated();
    let programs = two_programs(&mut world);
    world.scenario("waits");
    let creating = begin(&world, &["vm", "create", "--name", "v"]);
    let op = reached(&world, "create", WAITING);
    let following = begin(&world, &["operations", "follow", &op]);
    let mut before = serving_program(&world);
    for _ in 0..3 {
        upgrade_daemon(&world, &programs);
        assert_eq!(reached(&world, "create", WAITING), op, "under the same id");
        let now = serving_program(&world);
        assert_ne!(now, before, "another build serves");
        before = now;
    }
    go_on(&world);
    let ran = end(creating).good();
    assert_eq!(ran.text(), "v\n");
    told_once(&ran, &["making disks", "starting the VMM", WAITING]);
    let ran = end(following).good();
    assert_eq!(ran.text(), format!("{op} done\n"));
    told_once(&ran, &[WAITING]);
    assert_eq!(world.show("v")["state"], "running");
    assert_eq!(world.vmms().len(), 1);
    assert_eq!(outcomes(&world, "create"), ["done"]);
}

#[test]
fn the_making_of_an_image_is_followed_over_an_upgrade_to_its_end() {
    let mut world = makings::world();
    let programs = two_programs(&mut world);
    let making = begin(&world, &["image", "make", "x"]);
    let op = working(&world, "image-make");
    let before = serving_program(&world);
    upgrade_daemon(&world, &programs);
    eventually("the next daemon to make it anew", LIMIT, || {
        match begun(&world) {
            2 => Ok(()),
            times => Err(times),
        }
    });
    assert_eq!(reached(&world, "image-make", ""), op, "under the same id");
    assert_ne!(serving_program(&world), before, "another build serves");
    go_on(&world);
    let ran = end(making).good();
    assert_eq!(ran.text(), "x\n");
    let stages = ["reading the archive", "working", "laying out", "checking"];
    told_once(&ran, &stages);
    assert_eq!(outcomes(&world, "image-make"), ["done"]);
    assert_eq!(begun(&world), 2, "and by nobody else");
    assert_eq!(staged(&world), 0);
    let images = world.run(["image", "list", "-q"]).good().text();
    assert_eq!(images, "debian\nx\n");
}
