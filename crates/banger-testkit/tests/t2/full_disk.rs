//! A disk that is full, nearly full, or fills while something is under way.

use banger_testkit::checks::{run, start};
use banger_testkit::run as program;
use banger_testkit::{Ran, World, eventually, fixtures, namespaces};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Room for two sandboxes, an import, and what is kept free for others.
const MIB: u64 = 256;

fn world() -> World {
    World::simulated_on_small_disk(MIB)
}

/// All that is kept, but for the place where things are made and the room that the database gives up.
pub(crate) fn kept(world: &World) -> Vec<PathBuf> {
    let passing = |path: &PathBuf| path.ends_with("staging") || path.ends_with("state.reserve");
    let kept = world.kept().into_keys();
    kept.filter(|path| !passing(path)).collect()
}

/// An error that says that there is no room, and what to do.
pub(crate) fn says_full(ran: &Ran) {
    assert!(matches!(ran.code, Some(1 | 125)), "{ran:?}");
    assert!(ran.stderr.contains("no room"), "{}", ran.stderr);
    assert!(ran.stderr.contains("remedy"), "{}", ran.stderr);
    assert!(ran.stderr.contains("free room"), "{}", ran.stderr);
}

#[test]
fn nothing_is_created_on_a_full_or_nearly_full_disk() {
    namespaces::own_mounts(|| {
        let world = world();
        assert!(world.names().is_empty());
        let before = world.kept();
        for leave in [32 << 20, 1 << 20, 4096, 0] {
            world.small_disk().fill(leave);
            let ran = world.run(run(&["--rm", "--name", "v", "--", "true"]));
            assert_eq!(ran.code, Some(125), "{ran:?}");
            says_full(&ran);
            let ran = world.run(["vm", "create", "--no-start", "--name", "v"]);
            assert_eq!(ran.code, Some(1), "{ran:?}");
            says_full(&ran);
            assert_eq!(world.kept(), before, "{leave} bytes free");
            world.assert_nothing_left();
        }
        world.small_disk().make_room();
        let ran = world.run(run(&["--rm", "--name", "v", "--", "echo", "there"]));
        assert_eq!(ran.good().text(), "there\n");
    });
}

#[test]
fn a_disk_that_fills_while_disks_are_made_leaves_nothing() {
    namespaces::own_mounts(|| {
        let world = world();
        let ballast = world.small_disk().ballast();
        // The program that makes the disks finds that somebody was quicker.
        let programs = world.path("bin");
        fs::create_dir(&programs).expect("made");
        let script = format!(
            "#!/bin/sh\ndd if=/dev/zero of={} bs=64k 2>/dev/null\nexec /sbin/mke2fs \"$@\"\n",
            ballast.display()
        );
        let mke2fs = programs.join("mke2fs");
        fs::write(&mke2fs, script).expect("written");
        fs::set_permissions(&mke2fs, PermissionsExt::from_mode(0o755)).expect("set");
        let path = std::env::var("PATH").expect("a path");
        let mut first = world.banger(["vm", "list"]);
        first.env("PATH", format!("{}:{path}", programs.display()));
        assert!(first.status().expect("ran").success());
        let before = kept(&world);
        let ran = world.run(run(&["--rm", "--name", "v", "--", "true"]));
        assert_eq!(ran.code, Some(125), "{ran:?}");
        says_full(&ran);
        assert!(ballast.exists(), "the daemon used another mke2fs");
        world.assert_nothing_left();
        assert_eq!(kept(&world), before);
        world.small_disk().make_room();
        fs::remove_file(mke2fs).expect("removed");
        let _ = world.run(run(&["--rm", "--", "true"])).good();
    });
}

#[test]
fn what_frees_room_works_on_a_full_disk() {
    namespaces::own_mounts(|| {
        let world = world();
        start(&world, "runs");
        let _ = world
            .run(["vm", "create", "--no-start", "--name", "made"])
            .good();
        world.small_disk().fill(0);
        // Nothing that is there is disturbed.
        let ran = world.run(["vm", "exec", "runs", "--", "echo", "there"]);
        assert_eq!(ran.good().text(), "there\n");
        let mut names = world.names();
        // Both may be of the same second.
        names.sort();
        assert_eq!(names, ["made", "runs"]);
        says_full(&world.run(["vm", "start", "made"]));
        assert_eq!(world.show("made")["state"], "created");
        let _ = world.run(["vm", "stop", "runs"]).good();
        assert_eq!(world.show("runs")["state"], "stopped");
        let _ = world.run(["vm", "rm", "made"]).good();
        assert_eq!(world.names(), ["runs"]);
        world.small_disk().make_room();
        let _ = world.run(["vm", "start", "runs"]).good();
        world.small_disk().fill(0);
        let _ = world.run(["vm", "kill", "runs"]).good();
        assert_eq!(world.show("runs")["state"], "stopped");
        let _ = world.run(["vm", "rm", "runs"]).good();
        world.assert_nothing_left();
    });
}

#[test]
fn a_daemon_that_starts_on_a_full_disk_finds_everything() {
    namespaces::own_mounts(|| {
        let world = world();
        start(&world, "runs");
        let _ = world
            .run(["vm", "create", "--no-start", "--name", "made"])
            .good();
        let before = world.vmms();
        world.small_disk().fill(0);
        world.kill_daemon();
        assert_eq!(world.names(), ["made", "runs"]);
        assert_eq!(world.vmms(), before);
        let ran = world.run(["vm", "exec", "runs", "--", "echo", "there"]);
        assert_eq!(ran.good().text(), "there\n");
        let _ = world.run(["vm", "rm", "made"]).good();
        let _ = world.run(["vm", "rm", "runs"]).good();
        world.assert_nothing_left();
        // One that left in order took its database's log with it: the next needs room for another.
        world.small_disk().make_room();
        let _ = world.run(run(&["--rm", "--", "true"])).good();
        world.stop_daemon();
        world.small_disk().fill(0);
        assert_eq!(world.names(), [""; 0]);
    });
}

/// A full disk of another kind: bytes are free, and not even a directory can be made.
#[test]
fn a_disk_that_takes_no_more_files_is_told_and_can_be_cleared() {
    namespaces::own_mounts(|| {
        let world = world();
        let spare = world.path("vmlinux");
        let spare = spare.to_str().expect("text");
        let _ = world
            .run(["kernel", "import", "spare", "--file", spare])
            .good();
        world.small_disk().fill_with_files();
        for arguments in [
            run(&["--rm", "--", "true"]),
            vec!["kernel", "import", "another", "--file", spare],
        ] {
            let ran = world.run(arguments);
            says_full(&ran);
            world.assert_nothing_left();
        }
        let _ = world.run(["kernel", "rm", "spare"]).good();
        let kernels = world.run(["kernel", "list", "--json"]).good().json();
        assert_eq!(kernels.as_array().map(Vec::len), Some(1), "{kernels}");
        world.small_disk().make_room();
        let _ = world.run(run(&["--rm", "--", "true"])).good();
    });
}

#[test]
fn imports_onto_a_full_disk_publish_nothing() {
    namespaces::own_mounts(|| {
        // An image needs room twice while it is made.
        let world = World::simulated_on_small_disk(MIB + 128);
        assert!(world.names().is_empty());
        let before = kept(&world);
        let tar = world.path("large.tar");
        let mut bytes = fixtures::tar_entry("large", b'0', &vec![7; 80 << 20]);
        bytes.extend([0; 1024]);
        fs::write(&tar, bytes).expect("written");
        let kernel = world.path("large-kernel");
        let mut bytes = fixtures::kernel_elf();
        bytes.resize(20 << 20, 7);
        fs::write(&kernel, bytes).expect("written");
        let image = ["image", "import", tar.to_str().expect("text"), "large"];
        let kernel = [
            "kernel",
            "import",
            "large",
            "--file",
            kernel.to_str().expect("text"),
        ];
        for leave in [180 << 20, 80 << 20, 32 << 20, 4096, 0] {
            world.small_disk().fill(leave);
            says_full(&world.run(image));
            if leave < 80 << 20 {
                says_full(&world.run(kernel));
            }
            assert_eq!(kept(&world), before, "{leave} bytes free");
        }
        world.small_disk().make_room();
        let _ = world.run(kernel).good();
        let _ = world.run(image).good();
    });
}

/// The reason that is shown of a sandbox, once it is as wanted.
fn reason(world: &World, name: &str, wanted: fn(Option<&str>) -> bool) -> String {
    eventually("the reason", LIMIT, || {
        let shown = world.show(name);
        assert_eq!(shown["state"], "running");
        let reason = shown["reason"].as_str();
        if wanted(reason) {
            Ok(reason.unwrap_or_default().to_owned())
        } else {
            Err(shown["reason"].to_string())
        }
    })
}

#[test]
fn a_guest_that_waits_for_room_is_told_and_goes_on_when_there_is_some() {
    namespaces::own_mounts(|| {
        let world = world();
        start(&world, "v");
        let paused = world.path("io-error");
        world.small_disk().fill(0);
        fs::write(&paused, "").expect("written");
        let told = reason(&world, "v", |reason| reason.is_some());
        let place = world.state().display().to_string();
        assert!(
            told.contains("no room left") && told.contains(&place),
            "{told}"
        );
        let table = world.run(["ps"]).good().text();
        assert!(table.contains("no room left"), "{table}");
        // It could not answer, and is not waited for.
        let ran = world.run(["vm", "exec", "v", "--", "true"]);
        assert_eq!(ran.code, Some(125), "{ran:?}");
        assert!(ran.stderr.contains("no room left"), "{}", ran.stderr);
        assert!(ran.stderr.contains("free room"), "{}", ran.stderr);
        // A daemon that starts anew finds it out for itself.
        world.kill_daemon();
        let _ = reason(&world, "v", |reason| reason.is_some());
        assert!(paused.exists(), "there is no room to go on");
        world.small_disk().make_room();
        let _ = reason(&world, "v", |reason| reason.is_none());
        assert!(!paused.exists(), "nobody let it go on");
        let _ = world.run(["vm", "exec", "v", "--", "true"]).good();
    });
}

#[test]
fn a_guest_that_waits_for_room_can_be_stopped_at_once() {
    namespaces::own_mounts(|| {
        let world = world();
        start(&world, "v");
        world.small_disk().fill(0);
        fs::write(world.path("io-error"), "").expect("written");
        let _ = reason(&world, "v", |reason| reason.is_some());
        let begin = Instant::now();
        let ran = world.run(["vm", "stop", "v"]).good();
        assert!(ran.stderr.contains("is lost"), "{}", ran.stderr);
        assert!(
            begin.elapsed() < Duration::from_secs(12),
            "no limit is waited for"
        );
        assert_eq!(world.show("v")["state"], "stopped");
        assert_eq!(world.show("v")["reason"], serde_json::Value::Null);
        assert!(world.vmms().is_empty());
    });
}

#[test]
fn a_guest_that_finds_no_room_while_it_boots_is_given_up() {
    namespaces::own_mounts(|| {
        let world = world();
        world.scenario("silent");
        let paused = world.path("io-error");
        let child = program::start(&mut world.banger(run(&["--rm", "--", "true"])));
        eventually("the VMM", LIMIT, || {
            if world.vmms().is_empty() {
                Err("none")
            } else {
                Ok(())
            }
        });
        fs::write(&paused, "").expect("written");
        let ran = program::finish(child, Vec::new(), LIMIT);
        says_full(&ran);
        world.assert_nothing_left();
    });
}
