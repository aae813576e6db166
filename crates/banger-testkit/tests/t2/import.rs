//! A machine that comes from a file, to a disk that is full or fills meanwhile.

use crate::full_disk::{LIMIT, kept, says_full};
use banger_testkit::checks::disks;
use banger_testkit::run as program;
use banger_testkit::{World, eventually, namespaces};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Room for a machine and what is in its file twice, and what is kept free for others.
const MIB: u64 = 256;
/// What the machine has on its disk, in bytes: nothing makes it smaller.
const NOISE: u64 = 24 << 20;

/// A file with a machine that was on this disk, and the rest of its noise.
fn exported(world: &World) -> PathBuf {
    let create = ["vm", "create", "--no-start", "--name", "dev"];
    let _ = world.run(create).good();
    let noise = world.path("noise");
    let random = File::open("/dev/urandom").expect("there");
    let mut file = File::create(&noise).expect("made");
    std::io::copy(&mut random.take(NOISE), &mut file).expect("written");
    let work = disks::path(world, "dev", "work.ext4");
    disks::debugfs(world, &work, &format!("write {} noise\n", noise.display()));
    let file = world.path("dev.banger");
    let path = file.display().to_string();
    let _ = world.run(["vm", "export", "dev", &path]).good();
    let _ = world.run(["vm", "rm", "dev"]).good();
    file
}

/// What is on a disk below a directory, in bytes.
fn taken(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => taken(&entry.path()),
            Ok(found) => found.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

#[test]
fn an_import_on_a_full_disk_is_refused_and_leaves_nothing() {
    namespaces::own_mounts(|| {
        let world = World::simulated_on_small_disk(MIB);
        let file = exported(&world).display().to_string();
        let before = kept(&world);
        for leave in [32 << 20, 1 << 20, 0] {
            world.small_disk().fill(leave);
            says_full(&world.run(["vm", "import", &file]));
            world.small_disk().make_room();
            assert_eq!(kept(&world), before, "{leave} bytes free");
        }
        let _ = world.run(["vm", "import", &file]).good();
        assert_eq!(world.names(), ["dev"]);
    });
}

#[test]
fn a_disk_that_fills_while_a_machine_comes_leaves_nothing_of_it() {
    namespaces::own_mounts(|| {
        let world = World::simulated_on_small_disk(MIB);
        let file = exported(&world);
        let before = kept(&world);
        let bytes = fs::read(&file).expect("read");
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        let mut child = program::start(&mut world.banger(["vm", "import", "-", "--name", "dev"]));
        let stdin = child.stdin.as_mut().expect("a pipe");
        stdin.write_all(first).expect("it reads");
        let staging = world.state().join("staging");
        eventually("the first half to be there", LIMIT, || {
            match taken(&staging) {
                most if most >= NOISE / 4 => Ok(()),
                little => Err(little),
            }
        });
        world.small_disk().fill(0);
        says_full(&program::finish(child, rest.to_vec(), LIMIT));
        world.small_disk().make_room();
        eventually("nothing of it to be left", LIMIT, || {
            match (kept(&world) == before, taken(&staging)) {
                (true, 0) => Ok(()),
                found => Err(found),
            }
        });
        world.assert_nothing_left();
        // It lost nothing of the file, and there is room again.
        let path = file.display().to_string();
        let _ = world.run(["vm", "import", &path]).good();
        assert_eq!(world.names(), ["dev"]);
    });
}
