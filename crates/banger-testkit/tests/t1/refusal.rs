//! What is refused before anything is made.

use banger_testkit::World;
use banger_testkit::checks::refusal;
use banger_testkit::fixtures::{kernel_elf, small_tar, static_elf, tar_entry};
use std::fs;

/// The same program for another processor (`e_machine`: `EM_AARCH64`).
fn for_arm64(mut elf: Vec<u8>) -> Vec<u8> {
    elf[18] = 183;
    elf
}

fn arm64_tar() -> Vec<u8> {
    let mut tar = tar_entry("bin/sh", b'x', &for_arm64(static_elf()));
    tar.extend([0; 1024]);
    tar
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_made() {
    refusal::what_cannot_be_is_refused_before_anything_is_made(&World::simulated());
}

#[test]
fn a_name_is_given_once() {
    refusal::a_name_is_given_once(&World::simulated());
}

#[test]
fn a_missing_qemu_is_named_with_its_packages() {
    let world = World::simulated();
    fs::remove_file(world.path("qemu-system-x86_64")).expect("removed");
    refusal::refused(&world, &["--", "true"], "apt install qemu-system-x86");
}

#[test]
fn an_agent_that_is_missing_or_not_static_is_told() {
    let world = World::simulated();
    fs::copy("/bin/true", world.path("agent")).expect("copied");
    refusal::refused(&world, &["--", "true"], "static");
    fs::remove_file(world.path("agent")).expect("removed");
    refusal::refused(&world, &["--", "true"], "agent");
}

#[test]
fn a_kernel_or_image_that_was_damaged_is_told() {
    let world = World::simulated();
    let kernel = world.state().join("kernels/default/vmlinux");
    let whole = fs::read(&kernel).expect("there");
    fs::write(&kernel, &whole[..20]).expect("cut short");
    refusal::refused(&world, &["--", "true"], "vmlinux");
    fs::write(&kernel, whole).expect("restored");
    let image = world.state().join("images/debian/image.ext4");
    let length = image.metadata().expect("there").len();
    let file = fs::File::options().write(true).open(&image).expect("there");
    file.set_len(length - 4096).expect("cut short");
    refusal::refused(&world, &["--", "true"], "it is cut off");
    fs::remove_file(&image).expect("removed");
    refusal::refused(&world, &["--", "true"], "image");
}

#[test]
fn imports_of_what_is_no_kernel_or_image_are_refused_and_leave_nothing() {
    let world = World::simulated();
    let file = world.path("file");
    let path = file.to_str().expect("text");
    let refused = |arguments: &[&str], says: &str| {
        let ran = world.run(arguments);
        assert!(matches!(ran.code, Some(1 | 2)), "{ran:?}");
        let said = ran.stderr.to_lowercase();
        assert!(
            said.contains(&says.to_lowercase()),
            "{says:?}: {}",
            ran.stderr
        );
    };
    let kernel = ["kernel", "import", "k", "--file", path];
    let image = ["image", "import", path, "i"];
    for (content, of_kernel, of_image) in [
        (&b""[..], "empty", "empty"),
        (b"#!/bin/sh\necho no kernel\n", "kernel", "looks like"),
        (&[0x7f, b'E', b'L', b'F', 2, 1], "cut short", "looks like"),
        (&for_arm64(kernel_elf()), "it is for arm64", "looks like"),
        (&small_tar()[..700], "kernel", "truncated"),
        (&arm64_tar(), "kernel", "image is for aarch64"),
    ] {
        fs::write(&file, content).expect("written");
        refused(&kernel, of_kernel);
        refused(&image, of_image);
    }
    // What cannot be read at all: not there, and a directory.
    fs::remove_file(&file).expect("removed");
    refused(&kernel, path);
    refused(&image, path);
    fs::create_dir(&file).expect("made");
    refused(&kernel, path);
    refused(&image, path);
    for list in [["kernel", "list", "--json"], ["image", "list", "--json"]] {
        let all = world.run(list).good().json();
        assert_eq!(all.as_array().map(Vec::len), Some(1), "{all}");
    }
    let staging = fs::read_dir(world.state().join("staging"));
    assert_eq!(staging.map_or(0, Iterator::count), 0);
}

/// A lost disk must never pass for an empty one.
#[test]
fn a_disk_that_is_gone_is_told_and_not_made_again() {
    let world = World::simulated();
    banger_testkit::checks::start(&world, "v");
    let id = world.show("v")["id"].as_str().expect("an id").to_owned();
    for disk in ["work.ext4", "system.ext4"] {
        let path = world.state().join("sandboxes").join(&id).join(disk);
        fs::rename(&path, world.path("kept")).expect("moved");
        let _ = world.run(["vm", "stop", "v"]).good();
        let ran = world.run(["vm", "start", "v"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains(disk), "{}", ran.stderr);
        assert!(!path.exists(), "{disk} was made again");
        fs::rename(world.path("kept"), &path).expect("moved back");
        let _ = world.run(["vm", "start", "v"]).good();
    }
}

#[test]
fn an_image_or_kernel_in_use_is_not_deleted() {
    let world = World::simulated();
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "v"])
        .good();
    for arguments in [["image", "delete", "debian"], ["kernel", "rm", "default"]] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("used by: v"), "{}", ran.stderr);
    }
}

#[test]
fn a_configuration_that_is_wrong_is_told_and_nothing_starts() {
    let world = World::bare();
    world.configure("vcpus = 2\n");
    let ran = world.run(["vm", "list"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("vcpus") && ran.stderr.contains("config.toml"),
        "{}",
        ran.stderr
    );
}
