//! Real guests that try several ways at once, and what each of them takes of the host.

use banger_testkit::{World, eventually};
use serde_json::Value;
use std::time::Duration;

/// How long forks may take until they have what they will have.
const LIMIT: Duration = Duration::from_secs(180);

fn text(world: &World, name: &str, script: &str) -> String {
    let ran = world.run(["vm", "exec", name, "--", "sh", "-ec", script]);
    ran.good().text()
}

fn create(world: &World) {
    world.configure("templates = \"off\"\n");
    let create = ["vm", "create", "--name", "v", "--init", "none"];
    let small = ["--memory", "512MiB", "--disk-size", "256MiB"];
    let _ = world.run([&create[..], &small[..]].concat()).good();
}

#[test]
fn a_guest_goes_on_as_the_best_of_its_forks() {
    let world = World::real();
    create(&world);
    let _ = text(
        &world,
        "v",
        "echo first > /root/word; sleep 1000 > /dev/null 2>&1 &",
    );
    let before = world.show("v")["id"].clone();
    let script = "echo $WAY > /root/word; echo $WAY > /srv/word; test $WAY = good";
    let tried = world.run([
        "vm",
        "try",
        "v",
        "--vary",
        "WAY=bad,good,worse",
        "--promote",
        "--",
        "sh",
        "-ec",
        script,
    ]);
    assert!(tried.stderr.contains("v goes on as attempt 2"), "{tried:?}");
    assert_eq!(tried.code, Some(0), "{tried:?}");
    assert_eq!(world.names(), ["v"]);
    assert_eq!(world.show("v")["id"], before);
    let words = text(
        &world,
        "v",
        "cat /root/word /srv/word; hostname; pgrep -c sleep",
    );
    assert_eq!(words, "good\ngood\nv\n1\n");
    let _ = world.run(["vm", "rm", "v"]).good();
    world.assert_nothing_left();
}

/// Of the machine as it was when it was forked: what it had changed before is no attempt's.
#[test]
fn what_the_best_one_has_changed_is_read_from_its_disks_where_there_is_no_repository() {
    let world = World::real();
    create(&world);
    let _ = text(
        &world,
        "v",
        "echo before > /srv/before; echo one > /root/word; sync",
    );
    let script = "test $BANGER_TRY_INDEX = 2 && echo two > /root/word && echo new > /srv/new";
    let tried = [
        "vm", "try", "v", "-n", "2", "--diff", "--", "sh", "-c", script,
    ];
    let told = world.run(tried).good().text();
    let lines: Vec<_> = told.lines().collect();
    for line in ["A /srv/new", "M /root/word (content)"] {
        assert!(lines.contains(&line), "{told}");
    }
    assert!(!told.contains("/srv/before"), "{told}");
    assert_eq!(text(&world, "v", "cat /root/word"), "one\n");
    let _ = world.run(["vm", "rm", "v"]).good();
    world.assert_nothing_left();
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn what_the_next_forks_take_is_what_capacity_has_said() {
    let world = World::real();
    create(&world);
    let fork = |number: &str, name: &str| {
        let _ = world
            .run(["vm", "fork", "v", "-n", number, "--name", name])
            .good();
    };
    fork("3", "a");
    fork("3", "b");
    let own = |name: &str| {
        let stats = world.run(["vm", "stats", "--json", name]).good().json();
        number(&stats["vmm"]["memory"]["own_dirty_bytes"])
    };
    eventually("figures within a tenth", LIMIT, || {
        let found = world.run(["capacity", "--json", "--of", "v"]).good().json();
        assert_eq!(found["measured"], 6, "{found}");
        let each = number(&found["memory"]["each_bytes"]);
        let all = ["b-1", "b-2", "b-3"].map(own);
        let mean = all.iter().sum::<u64>() / 3;
        if each.abs_diff(mean) * 10 <= mean {
            Ok(())
        } else {
            Err(format!("{each} was said, {all:?} were found"))
        }
    });
    let stats = world.run(["vm", "stats", "--json", "b-1"]).good().json();
    let memory = &stats["vmm"]["memory"];
    assert!(number(&memory["shared_bytes"]) > 16 << 20, "{stats}");
}
