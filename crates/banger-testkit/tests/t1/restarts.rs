//! Sessions and connections over the ends of many daemons.

use banger_testkit::checks::publish::endpoint;
use banger_testkit::checks::{carried, restarts, run as arguments};
use banger_testkit::world::LIMIT;
use banger_testkit::{World, run};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

#[test]
fn sessions_lose_and_double_no_line_over_a_hundred_ends_of_the_daemon() {
    let mut world = World::simulated();
    restarts::sessions_lose_and_double_no_line_however_often_the_daemon_ends(&mut world, 100);
}

#[test]
fn connections_lose_and_double_no_byte_over_a_hundred_ends_of_the_daemon() {
    let mut world = World::simulated();
    carried::connections_lose_and_double_no_byte_however_often_the_daemon_ends(&mut world, 100);
}

#[test]
fn an_upgrade_is_noticed_by_no_session_connection_or_followed_log() {
    let mut world = World::simulated();
    let programs = restarts::two_programs(&mut world);
    let server = TcpListener::bind("127.0.0.1:0").expect("bound");
    let asked = format!("0:{}", server.local_addr().expect("bound").port());
    let create = arguments(&["-d", "--name", "v", "-p", &asked]);
    let _ = world.run(create).good();
    let (carriers, vmms) = (world.carriers(), world.vmms());
    let mut client = TcpStream::connect(endpoint(&world, "v")).expect("connected");
    let (mut served, _) = server.accept().expect("accepted");
    for end in [&client, &served] {
        end.set_read_timeout(Some(LIMIT)).expect("set");
    }
    let mut session = run::start(&mut world.banger(["vm", "exec", "-i", "v", "--", "cat"]));
    let mut typed = session.stdin.take().expect("a pipe");
    let mut echoed = BufReader::new(session.stdout.take().expect("a pipe")).lines();
    let log = world.directory("v").join("console.log");
    let mut console = OpenOptions::new().append(true).create(true).open(&log);
    let console = console.as_mut().expect("opened");
    let mut following = run::start(&mut world.banger(["vm", "logs", "-f", "v"]));
    let mut logged = BufReader::new(following.stdout.take().expect("a pipe")).lines();

    let already = std::fs::read_to_string(&log).expect("text").lines().count();
    assert_eq!(logged.by_ref().take(already).count(), already);

    let mut before = restarts::serving_program(&world);
    for round in 0..3 {
        let line = format!("round {round}");
        writeln!(typed, "{line}").expect("typed");
        assert_eq!(echoed.next().expect("a line").expect("text"), line);
        restarts::upgrade_daemon(&world, &programs);
        // While nobody serves, and behind that.
        writeln!(console, "{line}").expect("written");
        writeln!(typed, "{line}").expect("typed");
        client.write_all(line.as_bytes()).expect("written");
        assert_eq!(echoed.next().expect("a line").expect("text"), line);
        let mut bytes = vec![0; line.len()];
        served.read_exact(&mut bytes).expect("read");
        assert_eq!(bytes, line.as_bytes());
        served.write_all(&bytes).expect("written");
        client.read_exact(&mut bytes).expect("read");
        assert_eq!(logged.next().expect("a line").expect("text"), line);
        let now = restarts::serving_program(&world);
        assert_ne!(now, before, "another build serves");
        before = now;
    }
    assert_eq!(world.carriers(), carriers, "the carrier is the same");
    assert_eq!(world.vmms(), vmms, "the guest is the same");
    drop(typed);
    assert!(session.wait().expect("ended").success());
    let _ = world.run(["vm", "rm", "v"]).good();
    assert!(following.wait().expect("ended").success());
}
