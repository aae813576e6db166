//! What a daemon makes of what it finds at its start: reboots, clocks, files that are gone, processes that
//! took a pid over.

use banger_testkit::checks::{run, start};
use banger_testkit::world::{LIMIT, kill};
use banger_testkit::{World, eventually};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Ten years.
const FAR: u64 = 10 * 365 * 86_400;
/// What a guest has written to its work disk, far behind what its file system uses.
const PRECIOUS: &[u8] = b"precious";
const PLACE: u64 = 1 << 30;

fn write_precious(directory: &Path) {
    let disk = fs::File::options()
        .write(true)
        .open(directory.join("work.ext4"));
    disk.expect("a disk")
        .write_all_at(PRECIOUS, PLACE)
        .expect("written");
}

fn assert_precious(directory: &Path) {
    let disk = fs::File::open(directory.join("work.ext4")).expect("a disk");
    let mut found = [0; PRECIOUS.len()];
    disk.read_exact_at(&mut found, PLACE).expect("read");
    assert_eq!(found, PRECIOUS);
}

#[expect(
    clippy::disallowed_methods,
    reason = "what a reboot or a user takes away, in the test's own world"
)]
fn remove_tree(directory: &Path) {
    fs::remove_dir_all(directory).expect("removed");
}

/// A process that is nobody's business, until it is dropped.
struct Bystander(Child);

impl Bystander {
    fn start() -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "read line"]).stdin(Stdio::piped());
        Self(command.spawn().expect("started"))
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().expect("waited").is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        // It has ended, or ends now.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The state and the reason, once the daemon has looked after it.
fn settled(world: &World, name: &str, wanted: &str) -> String {
    eventually("the state", LIMIT, || {
        let shown = world.show(name);
        match shown["state"].as_str() {
            Some(state) if state == wanted => {
                Ok(shown["reason"].as_str().unwrap_or_default().to_owned())
            }
            other => Err(other.map(str::to_owned)),
        }
    })
}

/// The reason that a daemon finds at its start.
fn told(world: &World, name: &str) -> String {
    eventually("the reason", LIMIT, || {
        let shown = world.show(name);
        shown["reason"].as_str().map(str::to_owned).ok_or(shown)
    })
}

fn is_removed(world: &World, name: &str) {
    let _ = world.run(["vm", "rm", name]).good();
    world.assert_nothing_left();
    start(world, name);
    let _ = world.run(["vm", "rm", name]).good();
    world.assert_nothing_left();
}

#[test]
fn after_a_reboot_of_the_host_machines_are_stopped_and_whoever_has_their_pids_is_left_alone() {
    let world = World::simulated();
    start(&world, "v");
    write_precious(&world.directory("v"));
    world.kill_daemon();
    world.vmms().into_iter().for_each(kill);
    let mut bystander = Bystander::start();
    world.change_record("v", |record| {
        let process = &mut record.run.as_mut().expect("a run").process;
        process.boot_id = "00000000-0000-4000-8000-000000000000".into();
        process.pid = bystander.0.id();
    });
    remove_tree(&world.path("run").join("banger"));
    assert_eq!(settled(&world, "v", "stopped"), "the host was restarted");
    assert!(bystander.lives());
    let _ = world.run(["vm", "start", "v"]).good();
    let _ = world.run(["vm", "exec", "v", "--", "true"]).good();
    assert_precious(&world.directory("v"));
    is_removed(&world, "v");
}

#[test]
fn a_process_that_took_over_the_pid_of_a_vmm_is_not_taken_for_it() {
    let world = World::simulated();
    start(&world, "v");
    world.kill_daemon();
    world.vmms().into_iter().for_each(kill);
    let mut bystander = Bystander::start();
    world.change_record("v", |record| {
        let process = &mut record.run.as_mut().expect("a run").process;
        process.pid = bystander.0.id();
    });
    let reason = settled(&world, "v", "stopped");
    assert!(reason.contains("while no daemon ran"), "{reason}");
    for verb in ["kill", "stop"] {
        let _ = world.run(["vm", verb, "v"]).good();
    }
    assert!(bystander.lives());
    is_removed(&world, "v");
    assert!(bystander.lives());
}

#[test]
fn a_vmm_that_was_started_and_never_recorded_is_ended() {
    let world = World::simulated();
    start(&world, "v");
    world.kill_daemon();
    world.change_record("v", |record| {
        record.run = None;
        record.state = banger_model::SandboxState::Starting;
    });
    let reason = settled(&world, "v", "created");
    assert!(reason.contains("while it was starting"), "{reason}");
    assert!(world.vmms().is_empty());
    let _ = world.run(["vm", "start", "v"]).good();
    is_removed(&world, "v");
}

#[test]
fn a_deletion_that_was_recorded_is_finished_by_the_next_daemon() {
    let world = World::simulated();
    start(&world, "runs");
    start(&world, "stopped");
    let _ = world.run(["vm", "stop", "stopped"]).good();
    world.kill_daemon();
    for name in ["runs", "stopped"] {
        world.change_record(name, |record| {
            record.state = banger_model::SandboxState::Deleting;
        });
    }
    world.assert_nothing_left();
}

#[test]
fn a_clock_that_jumped_changes_nothing_but_what_is_shown() {
    let world = World::simulated();
    start(&world, "runs");
    let _ = world.run(run(&["-d", "--name", "later"])).good();
    let _ = world.run(["vm", "stop", "later"]).good();
    for jump in [|time: &mut u64| *time += FAR, |time: &mut u64| *time = 0] {
        world.kill_daemon();
        for name in ["runs", "later"] {
            world.change_record(name, |record| {
                jump(&mut record.created_at);
                jump(&mut record.run.as_mut().expect("a run").started_at);
            });
        }
        assert_eq!(world.show("runs")["state"], "running");
        let _ = world.run(["vm", "exec", "runs", "--", "true"]).good();
        let table = world.run(["ps", "-a"]).good().text();
        assert!(table.contains("runs") && table.contains("later"), "{table}");
        let _ = world.run(["vm", "restart", "later"]).good();
        let _ = world.run(["vm", "stop", "later"]).good();
    }
    let _ = world.run(["vm", "rm", "runs", "later"]).good();
    world.assert_nothing_left();
}

#[test]
fn a_stopped_machine_whose_files_are_gone_says_so_and_nothing_is_made_in_their_place() {
    let world = World::simulated();
    for lost in ["work.ext4", "."] {
        start(&world, "v");
        let directory = world.directory("v");
        let _ = world.run(["vm", "stop", "v"]).good();
        world.stop_daemon();
        let (place, kept) = (directory.join(lost), world.path("kept"));
        fs::rename(place.canonicalize().expect("there"), &kept).expect("moved");
        let reason = told(&world, "v");
        assert!(
            reason.contains("a disk is gone: ") && reason.contains("work.ext4"),
            "{reason}"
        );
        for verb in [&["vm", "start", "v"][..], &["repair", "v"]] {
            let ran = world.run(verb);
            assert_eq!(ran.code, Some(1), "{ran:?}");
            assert!(ran.stderr.contains("put it back"), "{}", ran.stderr);
        }
        assert!(!directory.join("work.ext4").exists());
        fs::rename(
            &kept,
            if lost == "." {
                directory
            } else {
                directory.join(lost)
            },
        )
        .expect("moved");
        let _ = world.run(["repair", "v"]).good();
        assert_eq!(settled(&world, "v", "stopped"), "");
        let _ = world.run(["vm", "start", "v"]).good();
        is_removed(&world, "v");
    }
}

#[test]
fn a_running_machine_whose_files_are_gone_goes_on_and_says_so() {
    let world = World::simulated();
    start(&world, "v");
    let directory = world.directory("v");
    world.kill_daemon();
    remove_tree(&directory);
    let reason = told(&world, "v");
    assert!(reason.contains("a disk is gone: "), "{reason}");
    assert_eq!(world.show("v")["state"], "running");
    let _ = world.run(["vm", "exec", "v", "--", "true"]).good();
    let _ = world.run(["vm", "stop", "v"]).good();
    is_removed(&world, "v");
}

#[test]
fn machines_whose_image_or_kernel_is_gone_are_kept_and_start_when_it_is_back() {
    let world = World::simulated();
    let [tar, kernel] = ["root.tar", "vmlinux"].map(|file| world.path(file).display().to_string());
    let _ = world.run(["image", "import", &tar, "lost"]).good();
    let _ = world
        .run(["kernel", "import", "lost", "--file", &kernel])
        .good();
    for name in ["runs", "stops"] {
        let options = ["-d", "--name", name, "--image", "lost", "--kernel", "lost"];
        let _ = world.run(run(&options)).good();
    }
    for gone in ["images", "kernels"] {
        let _ = world.run(["vm", "stop", "stops"]).good();
        world.kill_daemon();
        let (place, kept) = (world.state().join(gone).join("lost"), world.path("kept"));
        fs::rename(&place, &kept).expect("moved");
        let _ = world.run(["vm", "exec", "runs", "--", "true"]).good();
        assert_eq!(world.show("stops")["state"], "stopped");
        let ran = world.run(["vm", "start", "stops"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        for said in ["lost", "remedy"] {
            assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
        }
        assert_eq!(world.show("stops")["state"], "stopped");
        fs::rename(&kept, &place).expect("moved");
        let _ = world.run(["vm", "start", "stops"]).good();
        let _ = world.run(["vm", "restart", "runs"]).good();
    }
    let _ = world.run(["vm", "rm", "runs", "stops"]).good();
    world.assert_nothing_left();
}
