//! `vm stats`: what machines take, and what a machine that says nothing leaves unsaid.

use banger_testkit::World;
use banger_testkit::checks::start;
use banger_testkit::world::signal;
use rustix::process::Signal;
use serde_json::Value;
use std::time::{Duration, Instant};

fn stats(world: &World, name: &str) -> Value {
    world.run(["vm", "stats", "--json", name]).good().json()
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn a_running_machine_is_measured_by_the_host_and_says_what_it_uses() {
    let world = World::simulated();
    start(&world, "v");
    let first = stats(&world, "v");
    let shown = world.show("v");
    assert_eq!(
        (&first["id"], &first["state"]),
        (&shown["id"], &"running".into())
    );
    assert_eq!(first["vmm"]["pid"], shown["run"]["pid"]);
    assert!(number(&first["vmm"]["resident_bytes"]) > 0, "{first}");
    let memory = &first["vmm"]["memory"];
    assert!(number(&memory["own_dirty_bytes"]) > 0, "{first}");
    assert!(number(&memory["shared_bytes"]) > 0, "{first}");
    assert!(number(&first["disk_used"]) > 0, "{first}");
    assert!(
        first["cpu_percent"]
            .as_f64()
            .is_some_and(|percent| percent >= 0.0)
    );
    let guest = &first["guest"];
    assert!(number(&guest["memory_total_bytes"]) >= number(&guest["memory_used_bytes"]));
    assert!(number(&guest["usage"]["threads"]) > 0, "{first}");
    let later = stats(&world, "v");
    assert!(number(&later["taken_ms"]) > number(&first["taken_ms"]));
    assert_eq!(later["vmm"]["started_ms"], first["vmm"]["started_ms"]);
    assert!(number(&later["vmm"]["cpu_ms"]) >= number(&first["vmm"]["cpu_ms"]));
}

#[test]
fn without_names_all_that_run_are_told_and_a_stopped_one_by_its_name() {
    let world = World::simulated();
    start(&world, "a");
    start(&world, "b");
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "off"])
        .good();
    let table = world.run(["vm", "stats"]).good().text();
    let names: Vec<_> = table
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names, ["NAME", "a", "b"], "{table}");
    assert_eq!(world.run(["vm", "stats", "-q"]).good().text(), "a\nb\n");
    let off = stats(&world, "off");
    assert_eq!(
        (&off["state"], off.get("vmm")),
        (&"created".into(), None),
        "{off}"
    );
    let several = world.run(["vm", "stats", "off", "nobody", "a"]);
    assert_eq!(several.code, Some(1), "{several:?}");
    assert!(
        several.stderr.contains("nobody") && several.text().contains("off"),
        "{several:?}"
    );
}

#[test]
fn an_agent_of_an_older_banger_tells_memory_and_uptime() {
    let world = World::simulated();
    world.scenario("old-agent");
    start(&world, "v");
    let old = stats(&world, "v");
    assert_eq!(old["guest"]["memory_total_bytes"], 1024, "{old}");
    assert_eq!(old["guest"].get("usage"), None, "{old}");
    assert_eq!(old.get("guest_trouble"), None, "{old}");
}

#[test]
fn a_machine_that_does_not_answer_holds_nobody_up_and_has_the_hosts_figures() {
    let world = World::simulated();
    start(&world, "stuck");
    start(&world, "fine");
    let pid = world.show("stuck")["run"]["pid"].as_u64().expect("a pid");
    let pid = u32::try_from(pid).expect("a pid");
    signal(pid, Signal::STOP);
    let begun = Instant::now();
    let all = world.run(["vm", "stats", "--json"]).good().json();
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "a second is the guest's limit"
    );
    let of = |name: &str| {
        let all = all.as_array().expect("a list");
        let found = all.iter().find(|one| one["name"] == name);
        found.unwrap_or_else(|| panic!("no {name}: {all:?}"))
    };
    let stuck = of("stuck");
    assert_eq!(stuck.get("guest"), None, "{stuck}");
    let trouble = stuck["guest_trouble"].as_str().expect("a reason");
    assert!(trouble.contains("did not answer within 1 s"), "{trouble}");
    assert!(number(&stuck["vmm"]["resident_bytes"]) > 0, "{stuck}");
    assert!(number(&of("fine")["guest"]["memory_total_bytes"]) > 0);
    let table = world.run(["vm", "stats", "stuck"]).good();
    assert!(table.text().contains("no answer"), "{}", table.text());
    signal(pid, Signal::CONT);
}
