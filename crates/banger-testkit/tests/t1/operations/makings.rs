//! Images that several ask for at the same time. The host's `mmdebstrap` is a script of the test's, which
//! waits until it may go on.

use super::*;
use std::os::unix::fs::PermissionsExt;

const SCRIPT: &str = r#"#!/bin/sh
echo begun >> "@/begun"
echo "I: working" >&2
while [ ! -e "@/go-on" ]; do sleep 0.05; done
exec cat "@/root.tar"
"#;

/// A package manager whose downloads never end, with a child as the real one has.
const APT_CACHE: &str = r#"#!/bin/sh
case "$1" in
show) echo "Package: x" ;;
*) echo "  Depends: linux-image-6.1.0-1-cloud-amd64" ;;
esac
"#;
const APT_GET: &str = r#"#!/bin/sh
echo begun >> "@/begun"
sh -c 'while [ -e "@/begun" ]; do sleep 0.05; done' &
wait
"#;

/// Waits until the program runs; the operation's id.
pub(super) fn working(world: &World, kind: &str) -> String {
    eventually("the program to run", LIMIT, || match begun(world) {
        0 => Err("not begun"),
        _ => Ok(()),
    });
    reached(world, kind, "")
}

pub(super) fn world() -> World {
    let mut world = World::simulated();
    let programs = world.path("programs");
    std::fs::create_dir(&programs).expect("made");
    for (name, script) in [
        ("mmdebstrap", SCRIPT),
        ("apt-cache", APT_CACHE),
        ("apt-get", APT_GET),
    ] {
        let path = programs.join(name);
        let text = script.replace('@', world.path("").to_str().expect("text"));
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("set");
    }
    let path = std::env::var("PATH").expect("text");
    let path = format!("{}:{path}", programs.display());
    world.set_variable("PATH", path.into());
    world
}

pub(super) fn begun(world: &World) -> usize {
    let text = std::fs::read_to_string(world.path("begun")).unwrap_or_default();
    text.lines().count()
}

pub(super) fn staged(world: &World) -> usize {
    let entries = std::fs::read_dir(world.state().join("staging"));
    entries.map_or(0, Iterator::count)
}

#[test]
fn an_image_that_two_ask_for_is_made_once_and_for_the_one_who_stays() {
    let world = world();
    let first = begin(&world, &["image", "make", "x"]);
    let op = working(&world, "image-make");
    let second = begin(&world, &["image", "make", "x"]);
    eventually("the second to wait for the first", LIMIT, || {
        let all = list(&world, &[]);
        let waits = |one: &Value| {
            let stage = one["stage"].as_str().unwrap_or_default();
            stage.contains("another request that makes the image x")
        };
        if all.iter().any(waits) {
            Ok(())
        } else {
            Err(all)
        }
    });
    let _ = world.run(["operations", "cancel", &op]).good();
    assert_eq!(end(first).code, Some(1));
    go_on(&world);
    let ran = end(second).good();
    assert_eq!(ran.text(), "x\n");
    let stage = "laying out the image";
    assert!(ran.stderr.contains(stage), "{}", ran.stderr);
    assert_eq!(begun(&world), 1);
    let taken = world.run(["image", "make", "x"]);
    assert!(taken.stderr.contains("already"), "{}", taken.stderr);
}

#[test]
fn an_image_that_nobody_wants_any_more_is_not_made() {
    let world = world();
    let making = begin(&world, &["image", "make", "x"]);
    let op = working(&world, "image-make");
    let _ = world.run(["operations", "cancel", &op]).good();
    let ran = end(making);
    assert!(ran.stderr.contains("cancelled"), "{}", ran.stderr);
    eventually("nothing to be staged", LIMIT, || match staged(&world) {
        0 => Ok(()),
        some => Err(some),
    });
    go_on(&world);
    let images = world.run(["image", "list", "-q"]).good().text();
    assert_eq!(images, "debian\n");
}

#[test]
fn an_image_is_made_by_the_next_daemon_when_the_first_is_killed() {
    let world = world();
    let making = begin(&world, &["image", "make", "x"]);
    working(&world, "image-make");
    world.kill_daemon();
    go_on(&world);
    assert_eq!(end(making).good().text(), "x\n");
    assert_eq!(outcomes(&world, "image-make"), ["done"]);
    assert_eq!(staged(&world), 0);
}

#[test]
fn a_kernel_that_nobody_wants_any_more_ends_its_download_with_all_that_it_started() {
    let world = world();
    let importing = begin(&world, &["kernel", "import", "x", "--default"]);
    let op = working(&world, "kernel-import");
    let _ = world.run(["operations", "cancel", &op]).good();
    let ran = end(importing);
    assert!(ran.stderr.contains("cancelled"), "{}", ran.stderr);
    eventually("nothing to be staged", LIMIT, || match staged(&world) {
        0 => Ok(()),
        some => Err(some),
    });
    let waiting = world.path("begun").display().to_string();
    let is_left = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&waiting)
    };
    let left: Vec<u32> = world.processes().into_iter().filter(is_left).collect();
    assert_eq!(left, [] as [u32; 0]);
    let kernels = world.run(["kernel", "list", "-q"]).good().text();
    assert_eq!(kernels, "default\n");
}
