//! Disks that grow under a real guest, and before one boots.

use banger_testkit::checks::{disks, run};
use banger_testkit::{Ran, World};

fn sh(world: &World, script: &str) -> Ran {
    world.run(["vm", "exec", "v", "--", "sh", "-ec", script])
}

fn set(world: &World, work: &str, system: &str) -> String {
    let sizes = ["--disk-size", work, "--system-disk-size", system];
    let set = [&["vm", "set", "v"], &sizes[..]].concat();
    world.run(set).good().stderr
}

/// What the guest says of its file systems, in MiB: `/root`, and `/`, which is as large as the system disk.
fn sizes(world: &World) -> [u64; 2] {
    let text = sh(world, "df -m --output=size /root /").good().text();
    let mut sizes = text.lines().filter_map(|line| line.trim().parse().ok());
    [sizes.next().expect("a size"), sizes.next().expect("a size")]
}

/// Whether file systems are as large as their disks, in MiB, but for what they need themselves.
fn assert_sizes(world: &World, disks: [u64; 2]) {
    let found = sizes(world);
    for (found, disk) in found.into_iter().zip(disks) {
        assert!((disk * 8 / 10..=disk).contains(&found), "{found} {disk}");
    }
}

#[test]
fn a_guest_grows_what_is_in_its_disks_while_it_runs_and_at_boot_and_loses_nothing() {
    let world = World::real();
    let small = ["--disk-size", "128MiB", "--system-disk-size", "256MiB"];
    let _ = world
        .run(run(&[&["-d", "--name", "v"], &small[..]].concat()))
        .good();
    assert_sizes(&world, [128, 256]);
    let sum = "cat /root/kept /srv/kept | sha256sum";
    let write = "head -c 16M /dev/urandom > /root/kept; head -c 8M /dev/urandom > /srv/kept";
    let before = sh(&world, &format!("{write}; {sum}")).good().text();
    // Somebody writes meanwhile. The last group of a disk of 513 MiB is too small to be of use.
    let writing = "i=0; while [ ! -e /tmp/enough ]; do i=$((i+1)); echo $i >> /root/lines; done";
    let _ = sh(&world, &format!("({writing}) >/dev/null 2>&1 &")).good();
    let said = set(&world, "1GiB", "513MiB");
    for what in ["work disk 1GiB: at once", "system disk 513MiB: at once"] {
        assert!(said.contains(what), "{said}");
    }
    assert_sizes(&world, [1024, 513]);
    let fill = "touch /tmp/enough; dd if=/dev/zero of=/root/large bs=1M count=160 2>/dev/null; rm /root/large";
    let _ = sh(
        &world,
        &format!("{fill}; seq $(wc -l < /root/lines) | cmp - /root/lines"),
    )
    .good();
    assert_eq!(sh(&world, sum).good().text(), before);
    let _ = world.run(["vm", "stop", "v"]).good();
    disks::are_clean(&world, "v");

    let said = set(&world, "2GiB", "1GiB");
    assert!(
        said.contains("work disk 2GiB: with the next start"),
        "{said}"
    );
    let started = world.run(["vm", "start", "v"]).good();
    assert!(!started.stderr.contains("grow"), "{}", started.stderr);
    assert_sizes(&world, [2048, 1024]);
    assert_eq!(sh(&world, sum).good().text(), before);
    let _ = world.run(["vm", "stop", "v"]).good();
    disks::are_clean(&world, "v");
}

#[test]
fn what_a_guest_cannot_grow_while_it_runs_grows_with_its_next_start() {
    let world = World::real();
    let _ = world
        .run(run(&["-d", "--name", "v", "--disk-size", "256MiB"]))
        .good();
    let _ = sh(&world, "echo kept > /root/kept; cd /; umount -l /root").good();
    let said = world.run(["vm", "set", "v", "--disk-size", "1GiB"]).good();
    let why = "with the next start: `banger vm restart` (cannot grow the work disk: it is not mounted in its place)";
    assert!(said.stderr.contains(why), "{}", said.stderr);
    let _ = world.run(["vm", "restart", "v"]).good();
    let [work, _] = sizes(&world);
    assert!((900..=1024).contains(&work), "{work}");
    assert_eq!(sh(&world, "cat /root/kept").good().text(), "kept\n");
    let _ = world.run(["vm", "stop", "v"]).good();
    disks::are_clean(&world, "v");
}
