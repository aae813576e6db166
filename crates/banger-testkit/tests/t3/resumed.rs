//! What a guest that was booted does, one that goes on from saved memory does as well.

use crate::snapshots::{SMALL, goes_on_counting, sh, text};
use banger_testkit::checks::{command, copying, publish, terminal};
use banger_testkit::{World, eventually};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(180);

type Check = fn(&World);

/// Of each kind of what a client does with a guest; each makes the machine `v` and uses it.
const CHECKS: [(&str, Check); 7] = [
    ("statuses", command::exit_statuses_are_the_commands_own),
    ("bytes", |world| {
        command::random_bytes_come_back_equal(world, 10_000_000);
    }),
    ("files", copying::a_tree_comes_back_as_it_went),
    (
        "size",
        terminal::a_terminal_has_the_right_size_after_a_resize,
    ),
    (
        "interrupt",
        terminal::an_interrupt_reaches_the_guests_process,
    ),
    (
        "hangup",
        terminal::losing_the_terminal_kills_the_session_and_nothing_else,
    ),
    ("ports", |world| {
        publish::a_server_in_the_guest_is_reached_until_its_port_is_published_no_longer(
            world, "user",
        );
    }),
];

#[test]
fn a_machine_made_from_a_template_passes_what_one_that_was_booted_passes() {
    let world = World::real();
    world.configure("templates = \"prepared\"\n");
    let _ = world.run(["image", "prepare", "--init", "none"]).good();
    for (what, check) in CHECKS {
        println!("{what}");
        check(&world);
        assert_eq!(world.show("v")["run"]["resumed"], true, "{what}");
        let _ = world.run(["vm", "rm", "v"]).good();
    }
    world.assert_nothing_left();
}

/// Two ends of one connection on loopback hand each other numbers, which one of them writes to a file that it keeps open. Either
/// ends the unit when the connection ends or brings something else.
const TALK: &str = r#"
use IO::Socket::INET;
my $at = '127.0.0.1:7001';
my $listener = IO::Socket::INET->new(LocalAddr => $at, Listen => 1) or die;
if (my $child = fork) {
    my $other = IO::Socket::INET->new(PeerAddr => $at) or die;
    for (my $n = 1; ; $n++) { print $other "$n\n"; <$other> == $n or die; select undef, undef, undef, 0.1 }
}
my $other = $listener->accept or die;
open my $file, '>', '/root/lines' or die; $file->autoflush(1);
while (my $line = <$other>) { print $file $line; print $other $line }
kill 'TERM', getppid;
"#;

/// One timer that goes by `CLOCK_MONOTONIC`, and one that goes by the time of day; not so often that systemd refuses.
const TIMERS: &str = "systemd-run -q --unit=by-monotonic --on-active=1s --on-unit-active=3s --timer-property=AccuracySec=100ms \
    sh -c 'echo beat >> /root/by-monotonic'; \
    systemd-run -q --unit=by-calendar --on-calendar='*:*:0/3' --timer-property=AccuracySec=100ms \
    sh -c 'echo beat >> /root/by-calendar'";

fn units_go_on(world: &World, name: &str) {
    goes_on_counting(world, name);
    let beats = || {
        let told = text(
            world,
            name,
            "for timer in by-monotonic by-calendar; do wc -l < /root/$timer; done",
        );
        let counts: Vec<u64> = told.lines().flat_map(str::parse).collect();
        assert_eq!(counts.len(), 2, "{name}: {told}");
        counts
    };
    let before = beats();
    eventually("both timers to go on", LIMIT, || {
        let now = beats();
        match now[0] > before[0] + 1 && now[1] > before[1] + 1 {
            true => Ok(()),
            false => Err((before.clone(), now)),
        }
    });
    let state = "systemctl is-active talk by-monotonic.timer by-calendar.timer; systemctl is-system-running; \
                 systemctl --failed --plain --no-legend";
    assert_eq!(
        sh(world, name, state).text(),
        "active\nactive\nactive\nrunning\n",
        "{name}"
    );
}

#[test]
fn units_timers_and_connections_on_loopback_go_on_in_a_fork_and_after_a_suspend() {
    let world = World::real();
    let create = ["vm", "create", "--name", "v", "--wait", "init"];
    let _ = world.run([&create[..], &SMALL[..]].concat()).good();
    let unit =
        "systemd-run -q --unit=talk perl -e \"$1\"; until test -s /root/lines; do sleep 0.1; done";
    let arguments = ["vm", "exec", "v", "--", "sh", "-ec", unit, "sh", TALK];
    let _ = world.run(arguments).good();
    let _ = sh(&world, "v", TIMERS).good();
    eventually("both timers", LIMIT, || {
        let ran = sh(
            &world,
            "v",
            "test -s /root/by-monotonic && test -s /root/by-calendar",
        );
        match ran.code == Some(0) {
            true => Ok(()),
            false => Err(ran),
        }
    });
    let _ = world.run(["vm", "fork", "v", "--name", "w"]).good();
    units_go_on(&world, "w");
    units_go_on(&world, "v");
    let _ = world.run(["vm", "suspend", "v"]).good();
    units_go_on(&world, "v");
    let _ = world.run(["vm", "rm", "v", "w"]).good();
    world.assert_nothing_left();
}
