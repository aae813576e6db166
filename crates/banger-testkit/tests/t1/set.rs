//! `vm set`: what changes at once, what with the next start, and what does not.

use banger_testkit::World;
use banger_testkit::checks::start;
use banger_testkit::run;
use banger_testkit::world::LIMIT;

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

/// How long the file of a machine's disk is, in MiB.
fn mib(world: &World, name: &str, disk: &str) -> u64 {
    let path = disk_path(world, name, disk);
    path.metadata().expect("a disk").len() >> 20
}

fn disk_path(world: &World, name: &str, disk: &str) -> std::path::PathBuf {
    let directory = world.show(name)["directory"].clone();
    std::path::Path::new(directory.as_str().expect("a path")).join(disk)
}

fn is_clean(world: &World, name: &str, disk: &str) {
    let mut check = std::process::Command::new("e2fsck");
    let path = std::env::var("PATH").unwrap_or_default();
    check.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    let checked = check.arg("-fn").arg(disk_path(world, name, disk)).output();
    assert!(checked.expect("runs").status.success());
}

const DISKS: [&str; 2] = ["work.ext4", "system.ext4"];

#[test]
fn sizes_of_a_stopped_machine_change_at_once_and_its_guest_will_find_larger_disks() {
    let world = World::simulated();
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "v"])
        .good();
    let set = [
        "vm",
        "set",
        "v",
        "--vcpu",
        "2",
        "--memory",
        "256MiB",
        "--disk-size",
        "9GiB",
        "--system-disk-size",
        "10GiB",
    ];
    let said = world.run(set).good();
    for what in [
        "vcpu 2: at once",
        "memory 256MiB: at once",
        "work disk 9GiB: with the next start",
        "system disk 10GiB: with the next start",
    ] {
        assert!(said.stderr.contains(what), "{what}: {}", said.stderr);
    }
    let shown = world.show("v");
    assert_eq!(
        (&shown["vcpu"]["value"], &shown["vcpu"]["source"]),
        (&2.into(), &"request".into())
    );
    assert_eq!(shown["memory_mib"]["value"], 256);
    assert_eq!(
        DISKS.map(|disk| mib(&world, "v", disk)),
        [9 << 10, 10 << 10]
    );
    DISKS
        .into_iter()
        .for_each(|disk| is_clean(&world, "v", disk));
    let again = world.run(set).good();
    assert!(!again.stderr.contains("9GiB"), "{}", again.stderr);
}

fn grows(world: &World, size: &str) -> String {
    let set = ["vm", "set", "v", "--disk-size", size];
    world.run(set).good().stderr
}

#[test]
fn disks_of_a_machine_that_runs_grow_at_once_and_what_else_changes_with_the_next_start() {
    let world = World::simulated();
    start(&world, "v");
    let set = "vm set v --disk-size 9GiB --system-disk-size 10GiB --memory 512MiB";
    let said = world.run(set.split(' ')).good().stderr;
    for what in [
        "work disk 9GiB: at once",
        "system disk 10GiB: at once",
        "memory 512MiB: with the next start",
    ] {
        assert!(said.contains(what), "{what}: {said}");
    }
    assert_eq!(
        DISKS.map(|disk| mib(&world, "v", disk)),
        [9 << 10, 10 << 10]
    );
    let log = world.run(["vm", "logs", "--source", "vmm", "v"]).good();
    let seen = format!("banger-work has {} bytes", 9_u64 << 30);
    assert!(log.text().contains(&seen), "{}", log.text());
    let shown = world.show("v");
    assert_eq!(
        (&shown["state"], &shown["disk_mib"]["value"]),
        (&"running".into(), &(9 << 10).into())
    );
    let _ = world.run(["vm", "restart", "v"]).good();
    let vmm = world.vmms()[0];
    let line = std::fs::read(format!("/proc/{vmm}/cmdline")).expect("it runs");
    assert!(
        String::from_utf8_lossy(&line).contains("-m\x00512M"),
        "its memory is new"
    );
    let _ = world.run(["vm", "stop", "v"]).good();
    DISKS
        .into_iter()
        .for_each(|disk| is_clean(&world, "v", disk));
}

#[test]
fn a_disk_whose_vmm_refuses_grows_with_the_next_start_whatever_comes_in_between() {
    let world = World::simulated();
    world.scenario("fixed-disks");
    start(&world, "v");
    let before = mib(&world, "v", "work.ext4");
    let said = grows(&world, "9GiB");
    for what in [
        "work disk 9GiB: with the next start: `banger vm restart`",
        "the disk has a size that is fixed",
    ] {
        assert!(said.contains(what), "{said}");
    }
    assert_eq!(mib(&world, "v", "work.ext4"), before);
    world.kill_daemon();
    let _ = world.run(["vm", "restart", "v"]).good();
    assert_eq!(mib(&world, "v", "work.ext4"), 9 << 10);
    let _ = world.run(["vm", "stop", "v"]).good();
    is_clean(&world, "v", "work.ext4");
}

#[test]
fn the_disk_of_a_guest_with_an_older_agent_is_left_to_the_next_start() {
    let world = World::simulated();
    world.scenario("old-agent");
    let _ = world.run(["vm", "create", "--name", "v"]).good();
    let before = mib(&world, "v", "work.ext4");
    let said = grows(&world, "9GiB");
    assert!(
        said.contains("with the next start: `banger vm restart` (its agent is of an older banger)"),
        "{said}"
    );
    assert_eq!(
        mib(&world, "v", "work.ext4"),
        before,
        "nobody would tell its guest"
    );
}

#[test]
fn what_could_not_grow_at_once_is_tried_again_when_it_is_asked_for_again() {
    let world = World::simulated().with_faults();
    start(&world, "v");
    world.watch_places("v");
    world.ask_fault("v", "resize-work-disk.before", "fail");
    let said = grows(&world, "9GiB");
    assert!(said.contains("with the next start"), "{said}");
    assert_ne!(mib(&world, "v", "work.ext4"), 9 << 10);
    let said = grows(&world, "9GiB");
    assert!(said.contains("work disk 9GiB: at once"), "{said}");
    assert_eq!(mib(&world, "v", "work.ext4"), 9 << 10);
}

#[test]
fn a_daemon_that_is_killed_while_a_disk_grows_leaves_it_to_the_next_one() {
    let world = World::simulated().with_faults();
    start(&world, "v");
    world.watch_places("v");
    world.ask_fault("v", "resize-work-disk.before", "hold");
    let set = ["vm", "set", "v", "--disk-size", "9GiB"];
    let child = run::start(&mut world.banger(set));
    banger_testkit::eventually("the work to be held", LIMIT, || {
        match world.is_held("v", "resize-work-disk.before") {
            true => Ok(()),
            false => Err(world.passed("v")),
        }
    });
    world.kill_daemon();
    world.lift_faults("v");
    let said = run::finish(child, Vec::new(), LIMIT).good().stderr;
    assert!(said.contains("work disk 9GiB: at once"), "{said}");
    assert_eq!(mib(&world, "v", "work.ext4"), 9 << 10);
}

#[test]
fn what_cannot_be_is_refused_before_anything_changes() {
    let world = World::simulated();
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "v"])
        .good();
    let before = world.show("v");
    for (option, value, why) in [
        ("--disk-size", "64MiB", "cannot shrink to 64MiB"),
        ("--system-disk-size", "64MiB", "cannot shrink"),
        ("--vcpu", "64", "more than this host has"),
        ("--memory", "1TiB", "more than this host has"),
        ("--disk-size", "15TiB", "more than this host has"),
    ] {
        let refused = world.run(["vm", "set", "v", "--nat", "--disk-size=9GiB", option, value]);
        let refused = match option {
            "--disk-size" => world.run(["vm", "set", "v", "--nat", option, value]),
            _ => refused,
        };
        assert_ne!(refused.code, Some(0), "{option} {value}");
        assert!(refused.stderr.contains(why), "{why}: {}", refused.stderr);
        assert!(refused.stderr.contains("remedy"), "{}", refused.stderr);
    }
    let after = world.show("v");
    for field in ["nat", "vcpu", "memory_mib", "disk_mib", "system_disk_mib"] {
        assert_eq!(after[field], before[field], "{field}");
    }
}

#[test]
fn a_disk_that_cannot_grow_leaves_the_record_and_the_other_disk_as_they_were() {
    let world = World::simulated().with_faults();
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "v"])
        .good();
    let before = world.show("v");
    let sizes = DISKS.map(|disk| mib(&world, "v", disk));
    // A machine's second disk is a directory: the first has become longer by then.
    let disk = disk_path(&world, "v", "system.ext4");
    let away = disk.with_file_name("away");
    world.watch_places("v");
    world.ask_fault("v", "record-spec.after", "hold");
    let set = "vm set v --nat --disk-size 9GiB --system-disk-size 9GiB";
    let child = run::start(&mut world.banger(set.split(' ')));
    banger_testkit::eventually("the work to be held", LIMIT, || {
        match world.is_held("v", "record-spec.after") {
            true => Ok(()),
            false => Err(world.passed("v")),
        }
    });
    std::fs::rename(&disk, &away).expect("renamed");
    std::fs::create_dir(&disk).expect("made");
    world.lift_faults("v");
    let failed = run::finish(child, Vec::new(), LIMIT);
    assert_eq!(failed.code, Some(1));
    for what in ["the system disk cannot grow: cannot open", "remedy: "] {
        assert!(failed.stderr.contains(what), "{}", failed.stderr);
    }
    std::fs::remove_dir(&disk).expect("removed");
    std::fs::rename(&away, &disk).expect("renamed");
    let after = world.show("v");
    for field in ["nat", "disk_mib", "system_disk_mib"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(DISKS.map(|disk| mib(&world, "v", disk)), sizes);
    let _ = world.run(["vm", "start", "v"]).good();
}
