//! `banger top`: live on a terminal, plain tables elsewhere.

use banger_testkit::World;
use banger_testkit::checks::start;
use rexpect::session::spawn_command;
use serde_json::Value;

#[test]
fn without_a_terminal_tables_are_plain_and_each_look_is_taken_since_the_one_before() {
    let world = World::simulated();
    start(&world, "a");
    start(&world, "b");
    let once = world.run(["top"]).good().text();
    assert!(
        once.starts_with("NAME ") && !once.contains('\u{1b}'),
        "{once}"
    );
    assert_eq!(
        once.lines()
            .filter(|line| line.starts_with(['a', 'b']))
            .count(),
        2,
        "{once}"
    );
    let lines = world
        .run(["top", "-n", "2", "-d", "0.2", "--json"])
        .good()
        .text();
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 4, "a line for each machine and look");
    let looks: Vec<_> = lines.iter().filter(|line| line["name"] == "a").collect();
    let over = |at: usize| looks[at]["over_ms"].as_u64().expect("a number");
    let taken = |at: usize| looks[at]["taken_ms"].as_u64().expect("a number");
    assert_eq!(over(1), taken(1) - taken(0), "the second look: {looks:?}");
    assert!(looks[1]["cpu_percent"].as_f64().is_some(), "{looks:?}");
    for wrong in [
        &["top", "-n", "0"][..],
        &["top", "-d", "0"],
        &["top", "--once", "-n", "2"],
    ] {
        assert_eq!(world.run(wrong.iter().copied()).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn a_terminal_is_drawn_upon_until_q_over_the_daemons_end() {
    let world = World::simulated();
    start(&world, "web");
    let mut command = world.banger(["top", "-d", "0.2"]);
    command.env("TERM", "xterm");
    let mut session = spawn_command(command, Some(20_000)).expect("a terminal");
    session
        .exp_string("\u{1b}[?1049h")
        .expect("the other screen");
    session.exp_string("web").expect("the machine");
    session.send("m").expect("typed");
    session.flush().expect("sent");
    session
        .exp_string("by memory (c: by cpu)")
        .expect("sorted by memory");
    world.kill_daemon();
    session
        .exp_string("waiting for the next one")
        .expect("told");
    assert_eq!(world.daemon(), None, "who only looks starts none");
    let _ = world.run(["ps"]).good();
    // Only while a daemon answers is the line below the head empty.
    session
        .exp_string("q: leave\u{1b}[0m\u{1b}[K\r\n\u{1b}[K")
        .expect("the next daemon");
    session.send("q").expect("typed");
    session.flush().expect("sent");
    session
        .exp_string("\u{1b}[?25h\u{1b}[?1049l")
        .expect("given back");
    let ended = session.process().wait().expect("ended");
    assert!(
        format!("{ended:?}").contains("Exited(") && format!("{ended:?}").contains(", 0)"),
        "{ended:?}"
    );
}
