//! What is different on a machine's disks, through the whole daemon. What a guest would have written is written by
//! `debugfs`.

use banger_testkit::checks::disks::{self, debugfs};
use banger_testkit::checks::start;
use banger_testkit::{World, api, run};

fn diff(world: &World, arguments: &[&str]) -> run::Ran {
    world.run([&["vm", "diff"], arguments].concat())
}

/// A machine that has written to both disks.
fn written(world: &World) {
    world.configure_small("");
    start(world, "dev");
    let content = world.path("content");
    std::fs::write(&content, "ID=other").expect("written");
    let write = format!("write {} os-release\n", content.display());
    let system = format!(
        "mkdir upper\ncd upper\nmkdir etc\nmkdir srv\ncd etc\n{write}sif os-release mode 0100600\n"
    );
    debugfs(world, &disks::path(world, "dev", "system.ext4"), &system);
    debugfs(
        world,
        &disks::path(world, "dev", "work.ext4"),
        "mkdir src\n",
    );
}

const WRITTEN: &str = "M /etc/os-release (content, mode)\nA /root/src/\nA /srv/\n";

#[test]
fn what_a_machine_has_written_is_told_whether_it_runs_or_not() {
    let world = World::simulated();
    written(&world);
    assert_eq!(diff(&world, &["dev"]).good().text(), WRITTEN);
    let found = diff(&world, &["dev", "--json"]).good().json();
    assert_eq!(found["changes"][0]["path"], "/etc/os-release");
    assert_eq!(found["changes"][0]["what"][1], "mode");
    assert_eq!((&found["added"], &found["changed"]), (&2.into(), &1.into()));
    assert!(found["paused_ms"].is_u64(), "{found}");
    // It goes on.
    let _ = world.run(["exec", "dev", "--", "true"]).good();
    for verb in ["suspend", "stop"] {
        let _ = world.run(["vm", verb, "dev"]).good();
        assert_eq!(diff(&world, &["dev"]).good().text(), WRITTEN, "{verb}");
        let found = diff(&world, &["dev", "--json"]).good().json();
        assert!(found["paused_ms"].is_null(), "{found}");
    }
    assert_eq!(
        diff(&world, &["dev", "-q"]).good().text(),
        "/etc/os-release\n/root/src/\n/srv/\n"
    );
    let counted = diff(&world, &["dev", "--stat"]).good().text();
    assert!(
        counted.contains("/etc/") && counted.contains("all"),
        "{counted}"
    );
    world.assert_nothing_corrupted();
    let _ = world.run(["rm", "dev"]).good();
    world.assert_nothing_left();
}

#[test]
fn against_a_snapshot_only_what_came_later_is_told_and_the_exit_status_says_whether() {
    let world = World::simulated();
    written(&world);
    let _ = world.run(["vm", "snapshot", "dev", "good"]).good();
    assert_eq!(diff(&world, &["dev", "good"]).good().text(), "");
    assert_eq!(diff(&world, &["dev", "good", "--exit-code"]).code, Some(0));
    debugfs(
        &world,
        &disks::path(&world, "dev", "work.ext4"),
        "rmdir src\n",
    );
    let ran = diff(&world, &["dev", "good", "--exit-code"]);
    assert_eq!((ran.code, ran.text()), (Some(1), "D /root/src/\n".into()));
    assert_eq!(diff(&world, &["dev", "good"]).code, Some(0));
    let none = diff(&world, &["dev", "none", "--exit-code"]);
    assert_eq!(none.code, Some(125));
    assert!(
        none.stderr.contains("no snapshot none") && none.stderr.contains("remedy"),
        "{}",
        none.stderr
    );
    assert_eq!(diff(&world, &["nobody"]).code, Some(1));
}

#[test]
fn a_disk_that_cannot_be_read_is_named_and_its_machine_goes_on() {
    let world = World::simulated();
    written(&world);
    let work = disks::path(&world, "dev", "work.ext4");
    debugfs(&world, &work, "sif <2> generation 77\n");
    let whole = std::fs::read(&work).expect("read");
    let mut bytes = whole.clone();
    // The superblock's checksum.
    bytes[1024 + 0x3fc] ^= 1;
    std::fs::write(&work, bytes).expect("written");
    let ran = diff(&world, &["dev"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("work disk") && ran.stderr.contains("checksum"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("banger exec dev"), "{}", ran.stderr);
    let _ = world.run(["exec", "dev", "--", "true"]).good();
    let asked = api::request(
        &world,
        "POST",
        "/v1/sandboxes/dev/diff",
        Some(&serde_json::json!({"since": "x"})),
    );
    assert_eq!(asked.expect("an answer").status, 400);
}
