//! Real guests that leave as one file and come back from it.

use crate::snapshots::{COUNTS, SMALL, goes_on_counting, identity, sh, text};
use banger_testkit::World;
use banger_testkit::checks::disks;
use std::collections::BTreeSet;
use std::time::Instant;

const WORDS: &str = "cat /root/word /srv/word";

fn timed(world: &World, arguments: &[&str]) {
    let begun = Instant::now();
    let _ = world.run(arguments).good();
    println!("{arguments:?}: {:?}", begun.elapsed());
}

#[test]
fn a_guest_comes_back_from_its_file_as_another_one_with_its_files_and_what_runs_in_it() {
    let world = World::real();
    let create = ["vm", "create", "--name", "v", "--wait", "init"];
    let _ = world.run([&create[..], &SMALL[..]].concat()).good();
    // Not written back by anybody.
    let write = "echo one > /root/word; echo two > /srv/word";
    let _ = sh(&world, "v", &format!("{COUNTS} {write}")).good();
    let file = |name: &str| world.path(name).display().to_string();
    let (warm, cold, rest) = (file("warm"), file("cold"), file("rest"));
    timed(&world, &["vm", "export", "v", &warm, "--memory"]);
    timed(&world, &["vm", "export", "v", &cold]);
    let _ = sh(&world, "v", "echo more > /root/word").good();
    goes_on_counting(&world, "v");
    let first = identity(&world, "v");
    let _ = world.run(["vm", "stop", "v"]).good();
    timed(&world, &["vm", "export", "v", &rest]);
    let _ = world.run(["vm", "rm", "v"]).good();
    let mut seen = BTreeSet::from_iter(first);
    for (name, path, words) in [
        ("warm", &warm, "one\ntwo\n"),
        ("cold", &cold, "one\ntwo\n"),
        ("rest", &rest, "more\ntwo\n"),
    ] {
        timed(&world, &["vm", "import", path, "--name", name]);
        timed(&world, &["vm", "start", name, "--wait", "init"]);
        assert_eq!(world.show(name)["run"]["resumed"], name == "warm");
        assert_eq!(text(&world, name, WORDS), words, "{name}");
        if name == "warm" {
            goes_on_counting(&world, name);
        }
        for own in identity(&world, name) {
            assert!(seen.insert(own.clone()), "twice: {own}");
        }
        let _ = world.run(["vm", "stop", name]).good();
        disks::are_clean(&world, name);
    }
    let _ = world.run(["vm", "rm", "warm", "cold", "rest"]).good();
    world.assert_nothing_left();
}
