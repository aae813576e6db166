//! Labels, filters by them and by what else is known of machines, and pruning.

use banger_testkit::checks::start;
use banger_testkit::{World, api, run};
use rustix::process::Signal;

fn create(world: &World, name: &str, labels: &[&str]) {
    let mut arguments = vec!["vm", "create", "--no-start", "--name", name];
    labels
        .iter()
        .for_each(|label| arguments.extend(["--label", label]));
    let _ = world.run(arguments).good();
}

fn names(world: &World, arguments: &[&str]) -> Vec<String> {
    let all = world.run([arguments, &["--json"]].concat()).good().json();
    let all = all.as_array().expect("a list").clone();
    let name = |one: &serde_json::Value| one["name"].as_str().map(str::to_owned);
    let mut names: Vec<_> = all.iter().filter_map(name).collect();
    names.sort();
    names
}

#[test]
fn labels_are_kept_changed_and_shown() {
    let world = World::simulated();
    create(&world, "web", &["role=web", "ci"]);
    let after = world.run(["vm", "label", "web", "role=db", "ci-", "note=a b=c"]);
    assert_eq!(after.good().text(), "note=a b=c\nrole=db\n");
    world.kill_daemon();
    let labels = world.show("web")["labels"].clone();
    assert_eq!(labels, serde_json::json!({"note": "a b=c", "role": "db"}));
    let shown = world.run(["vm", "show", "web"]).good().text();
    assert!(shown.contains("role=db"), "{shown}");
    let events = world.run(["vm", "events", "--json", "web"]).good().text();
    assert!(
        events.contains(r#""event":"set","fields":["labels"]"#),
        "{events}"
    );
    for bad in ["-x", "a b", "k=\u{1b}[31m", "="] {
        let refused = world.run(["vm", "label", "web", "--", bad]);
        assert_eq!(refused.code, Some(2), "{bad:?}");
    }
    let many: Vec<String> = (0..65).map(|number| format!("k{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let refused = world.run([["vm", "label", "web"].as_slice(), &many].concat());
    assert!(refused.stderr.contains("at most 64"), "{}", refused.stderr);
    assert_eq!(world.show("web")["labels"], labels, "nothing has changed");
    let mut arguments = vec!["vm", "create", "--no-start"];
    many.iter()
        .for_each(|label| arguments.extend(["--label", label]));
    assert!(world.run(arguments).stderr.contains("at most 64"));
    assert_eq!(world.names(), ["web"]);
}

#[test]
fn verbs_are_about_those_that_match_and_say_which() {
    let world = World::simulated();
    create(&world, "web-1", &["role=web"]);
    create(&world, "web-2", &["role=web", "old"]);
    create(&world, "db", &["role=db"]);
    let list = |filter: &str| names(&world, &["vm", "list", "--filter", filter]);
    assert_eq!(list("label=role=web"), ["web-1", "web-2"]);
    assert_eq!(list("label=old"), ["web-2"]);
    assert_eq!(list("name=?b"), ["db"]);
    assert_eq!(list("image=deb*"), ["db", "web-1", "web-2"]);
    assert!(list("state=running").is_empty());
    assert_eq!(names(&world, &["ps", "--filter", "state=created"]).len(), 3);
    let started = world.run(["vm", "start", "--filter", "name=web-*"]).good();
    assert_eq!(started.text(), "web-1 started\nweb-2 started\n");
    assert!(
        started.stderr.contains("name=web-* matches web-1, web-2"),
        "{}",
        started.stderr
    );
    assert_eq!(list("state=running"), ["web-1", "web-2"]);
    // Of one that matches it is a list all the same.
    let stopped = world
        .run(["vm", "stop", "--json", "--filter", "label=old"])
        .good();
    assert_eq!(stopped.json()[0]["name"], "web-2");
    let nothing = world.run(["vm", "rm", "--filter", "label=none"]).good();
    assert!(
        nothing.stderr.contains("no machine matches label=none"),
        "{}",
        nothing.stderr
    );
    assert_eq!(
        world
            .run(["vm", "rm", "--json", "--filter", "label=none"])
            .good()
            .text(),
        "[]\n"
    );
    let removed = world.run(["rm", "--filter", "label=role=web", "--filter", "label=old"]);
    assert_eq!(removed.good().text(), "web-2\n");
    for bad in [
        &["vm", "rm"][..],
        &["vm", "rm", "db", "--filter", "label=role"],
        &["vm", "rm", "--filter", "role=web"],
        &["vm", "ls", "--filter", "state=runing"],
    ] {
        assert_eq!(world.run(bad.iter().copied()).code, Some(2), "{bad:?}");
    }
    assert_eq!(names(&world, &["vm", "list"]), ["db", "web-1"]);
}

#[test]
fn prune_deletes_what_matches_and_does_not_run_and_says_how_much_room_that_gave() {
    let world = World::simulated();
    create(&world, "old", &["ci"]);
    create(&world, "kept", &[]);
    start(&world, "runs");
    let _ = world.run(["vm", "label", "runs", "ci"]).good();
    let asked = world.run(["vm", "prune"]);
    assert!(asked.stderr.contains("nobody to ask"), "{}", asked.stderr);
    let pruned = world
        .run(["vm", "prune", "-f", "--filter", "label=ci"])
        .good();
    assert_eq!(pruned.text(), "old\n");
    assert!(pruned.stderr.contains("freed"), "{}", pruned.stderr);
    assert_eq!(names(&world, &["vm", "list"]), ["kept", "runs"]);
    let all = world.run(["vm", "prune", "-f", "--json"]).good().json();
    assert_eq!(all[0]["name"], "kept");
    assert_eq!(names(&world, &["vm", "list"]), ["runs"]);
    assert_eq!(
        world.run(["vm", "prune", "-f", "--json"]).good().text(),
        "[]\n"
    );
}

/// Whoever asks may have an old list: the daemon looks when it is the machine's turn.
#[test]
fn a_machine_that_runs_or_is_being_made_is_not_pruned_whatever_an_old_list_says() {
    let world = World::simulated();
    let prune = |name: &str| {
        let path = format!("/v1/sandboxes/{name}/prune");
        let answer = api::request(&world, "POST", &path, None).expect("an answer");
        String::from_utf8_lossy(&answer.body).into_owned()
    };
    start(&world, "runs");
    let said = prune("runs");
    assert!(said.contains("it is in use"), "{said}");
    assert_eq!(world.show("runs")["state"], "running");
    // Being started: its VMM stands still, so that it stays so.
    world.scenario("silent");
    let starting = run::start(&mut world.banger(["vm", "create", "--name", "new"]));
    banger_testkit::eventually("the start", std::time::Duration::from_secs(60), || {
        let shown = world.run(["vm", "show", "--json", "new"]);
        match shown.code {
            Some(0) if shown.json()["state"] == "starting" => Ok(()),
            _ => Err(shown.stderr),
        }
    });
    let said = prune("new");
    assert!(said.contains("it is in use"), "{said}");
    assert_eq!(world.show("new")["state"], "starting");
    let pid = i32::try_from(starting.id()).expect("a pid");
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, Signal::INT).expect("there");
    let _cancelled = run::finish(starting, Vec::new(), banger_testkit::world::LIMIT);
}
