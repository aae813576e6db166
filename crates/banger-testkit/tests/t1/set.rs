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

/// What the ext4 in a machine's disk says of its size, in MiB (superblock: blocks of 4 KiB at 0x4).
fn mib(world: &World, name: &str, disk: &str) -> u64 {
    use std::os::unix::fs::FileExt;
    let path = disk_path(world, name, disk);
    let mut blocks = [0; 4];
    let file = std::fs::File::open(path).expect("a disk");
    file.read_exact_at(&mut blocks, 1024 + 4)
        .expect("a superblock");
    u64::from(u32::from_le_bytes(blocks)) / 256
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
fn sizes_of_a_stopped_machine_change_at_once_and_its_disks_grow() {
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
        "work disk 9GiB: at once",
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
    assert!(!again.stderr.contains("at once"), "{}", again.stderr);
}

#[test]
fn sizes_of_a_machine_that_runs_change_with_the_next_start_whatever_comes_in_between() {
    let world = World::simulated();
    start(&world, "v");
    let before = mib(&world, "v", "work.ext4");
    let said = world.run([
        "vm",
        "set",
        "v",
        "--disk-size",
        "9GiB",
        "--memory",
        "512MiB",
    ]);
    let said = said.good();
    assert!(
        said.stderr.contains("work disk 9GiB: with the next start"),
        "{}",
        said.stderr
    );
    assert_eq!(
        mib(&world, "v", "work.ext4"),
        before,
        "its guest has it open"
    );
    world.kill_daemon();
    let _ = world.run(["vm", "restart", "v"]).good();
    assert_eq!(mib(&world, "v", "work.ext4"), 9 << 10);
    let vmm = world.vmms()[0];
    let line = std::fs::read(format!("/proc/{vmm}/cmdline")).expect("it runs");
    assert!(
        String::from_utf8_lossy(&line).contains("-m\x00512M"),
        "its memory is new"
    );
    let _ = world.run(["vm", "stop", "v"]).good();
    is_clean(&world, "v", "work.ext4");
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
fn a_disk_that_cannot_grow_leaves_the_record_as_it_was_and_the_machine_starts_with_it() {
    use std::os::unix::fs::FileExt;
    let world = World::simulated();
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "v"])
        .good();
    let before = world.show("v")["disk_mib"].clone();
    let disk = disk_path(&world, "v", "work.ext4");
    let file = std::fs::File::options()
        .write(true)
        .open(&disk)
        .expect("there");
    // Group descriptors that lead nowhere.
    file.write_all_at(&[0xff; 4096], 4096).expect("written");
    let failed = world.run(["vm", "set", "v", "--nat", "--disk-size", "9GiB"]);
    assert_eq!(failed.code, Some(1));
    assert!(
        failed.stderr.contains("the work disk cannot grow"),
        "{}",
        failed.stderr
    );
    let after = world.show("v");
    assert_eq!(
        (&after["disk_mib"], &after["nat"]),
        (&before, &false.into())
    );
    assert_eq!(file.metadata().expect("there").len(), 8 << 30);
    let _ = world.run(["vm", "start", "v"]).good();
}
