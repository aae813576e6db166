//! `vm health` and `vm ping`: a verdict on each machine.

use banger_testkit::World;
use banger_testkit::checks::start;
use banger_testkit::world::signal;
use rustix::process::Signal;

#[test]
fn machines_that_answer_are_healthy_and_say_how_they_are() {
    let world = World::simulated();
    start(&world, "a");
    start(&world, "b");
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "off"])
        .good();
    let all = world.run(["vm", "health", "--json"]).good().json();
    let verdict = |at: usize| (all[at]["name"].clone(), all[at]["verdict"].clone());
    assert_eq!(verdict(0), ("a".into(), "healthy".into()), "{all}");
    assert_eq!(verdict(1), ("b".into(), "healthy".into()), "{all}");
    assert_eq!(
        all.as_array().map(Vec::len),
        Some(2),
        "those that run: {all}"
    );
    let pinged = world.run(["vm", "ping", "a", "b"]).good().text();
    let lines: Vec<_> = pinged.lines().collect();
    assert_eq!(lines.len(), 2, "{pinged}");
    assert!(
        lines[0].starts_with("a answered in ") && lines[0].ends_with(" ms"),
        "{pinged}"
    );
}

#[test]
fn one_of_several_that_does_not_answer_is_unhealthy_and_the_status_says_so() {
    let world = World::simulated();
    start(&world, "fine");
    start(&world, "stuck");
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "off"])
        .good();
    let pid = world.show("stuck")["run"]["pid"].as_u64().expect("a pid");
    let pid = u32::try_from(pid).expect("a pid");
    signal(pid, Signal::STOP);
    let ran = world.run(["vm", "health", "fine", "stuck", "off"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let verdicts: Vec<Vec<&str>> = std::str::from_utf8(&ran.stdout)
        .expect("text")
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().take(2).collect())
        .collect();
    let expected = [
        ["fine", "healthy"],
        ["stuck", "unhealthy"],
        ["off", "unhealthy"],
    ];
    assert_eq!(verdicts, expected, "{ran:?}");
    assert!(
        ran.stderr.contains("did not answer within 5 s"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("banger vm start off"),
        "a remedy: {}",
        ran.stderr
    );
    let quiet = world.run(["vm", "health", "-q", "fine", "off"]);
    assert_eq!((quiet.code, quiet.text().as_str()), (Some(1), "fine\n"));
    assert_eq!(world.run(["vm", "ping", "stuck"]).code, Some(1));
    let unknown = world.run(["vm", "health", "nobody"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    signal(pid, Signal::CONT);
    banger_testkit::eventually(
        "the machine to answer again",
        banger_testkit::world::LIMIT,
        || match world.run(["vm", "health", "stuck"]).code {
            Some(0) => Ok(()),
            other => Err(other),
        },
    );
}
