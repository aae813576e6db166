//! `vm rename`: a name that nobody else has, and everything that knew the one before goes on.

use banger_testkit::checks::start;
use banger_testkit::{World, eventually, run};
use std::net::UdpSocket;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_renamed_machine_has_its_new_name_everywhere_and_the_old_one_is_free() {
    let world = World::simulated();
    start(&world, "web");
    let id = world.show("web")["id"].clone();
    let renamed = world.run(["vm", "rename", "web", "shop"]).good();
    assert_eq!(renamed.text(), "shop\n");
    assert!(
        renamed.stderr.contains("host name is shop"),
        "{}",
        renamed.stderr
    );
    assert_eq!(world.show("shop")["id"], id);
    assert_ne!(world.run(["vm", "show", "web"]).code, Some(0));
    // Its guest was told.
    let log = world.run(["vm", "logs", "--source", "vmm", "shop"]).good();
    assert!(
        log.text().contains("guest shop is configured"),
        "{}",
        log.text()
    );
    let events = world.run(["vm", "events", "--json", "shop"]).good().text();
    assert!(
        events.contains(r#""event":"renamed","from":"web""#),
        "{events}"
    );
    // Another may have it now; and it is so for the next daemon.
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "web"])
        .good();
    world.kill_daemon();
    assert_eq!(world.show("shop")["id"], id);
    assert_eq!(world.names(), ["shop", "web"]);
}

#[test]
fn a_name_that_is_taken_or_is_none_is_refused_and_nothing_changes() {
    let world = World::simulated();
    for name in ["one", "two"] {
        let _ = world
            .run(["vm", "create", "--no-start", "--name", name])
            .good();
    }
    let taken = world.run(["vm", "rename", "one", "two"]);
    assert_eq!(taken.code, Some(1));
    assert!(
        taken.stderr.contains("there is a sandbox two already") && taken.stderr.contains("remedy"),
        "{}",
        taken.stderr
    );
    for name in ["Two", "-x", "42", "", "a.b"] {
        assert_eq!(
            world.run(["vm", "rename", "one", "--", name]).code,
            Some(2),
            "{name}"
        );
    }
    assert_eq!(world.run(["vm", "rename", "nobody", "three"]).code, Some(1));
    let same = world.run(["vm", "rename", "one", "one"]).good();
    assert!(same.stderr.contains("already"), "{}", same.stderr);
    let mut names = world.names();
    names.sort();
    assert_eq!(names, ["one", "two"]);
    // A request that failed has given the name back.
    let _ = world.run(["vm", "rename", "two", "three"]).good();
    let _ = world.run(["vm", "rename", "one", "two"]).good();
}

#[test]
fn a_command_that_runs_goes_on_over_a_new_name_and_a_new_daemon() {
    let world = World::simulated();
    start(&world, "web");
    let go = world.path("go");
    let script = format!(
        "echo begun; until [ -e {} ]; do sleep 0.05; done; echo done",
        go.display()
    );
    let begun = world.path("begun");
    let script = format!("touch {}; {script}", begun.display());
    let child = run::start(&mut world.banger(["exec", "web", "--", "sh", "-c", &script]));
    eventually("the command", LIMIT, || {
        begun.exists().then_some(()).ok_or("not yet")
    });
    let _ = world.run(["vm", "rename", "web", "shop"]).good();
    // Whoever has the old name now is not whom the command runs in.
    let _ = world
        .run(["vm", "create", "--no-start", "--name", "web"])
        .good();
    world.kill_daemon();
    let _ = world.run(["vm", "list"]).good();
    std::fs::write(&go, "").expect("written");
    let ended = run::finish(child, Vec::new(), LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.text(), "begun\ndone\n");
}

#[test]
fn a_published_port_stays_open_and_is_the_renamed_machines() {
    let world = World::simulated();
    start(&world, "web");
    let _ = world.run(["vm", "publish", "web", "0:80"]).good();
    let port = world.show("web")["publish"][0]["port"].clone();
    let _ = world.run(["vm", "rename", "web", "shop"]).good();
    let published = world.show("shop")["publish"][0].clone();
    assert_eq!(
        (&published["port"], &published["open"]),
        (&port, &true.into())
    );
    start(&world, "other");
    let taken = world.run(["vm", "publish", "other", &format!("{port}:80")]);
    assert!(
        taken.stderr.contains("by the sandbox shop"),
        "{}",
        taken.stderr
    );
}

#[test]
fn a_guest_that_cannot_be_told_is_renamed_and_follows_with_the_next_start() {
    let world = World::simulated();
    start(&world, "web");
    let vmm = world.vmms()[0];
    banger_testkit::world::signal(vmm, rustix::process::Signal::STOP);
    let renamed = world.run(["vm", "rename", "web", "shop"]).good();
    banger_testkit::world::signal(vmm, rustix::process::Signal::CONT);
    assert!(
        renamed.stderr.contains("with the next start"),
        "{}",
        renamed.stderr
    );
    assert_eq!(world.show("shop")["name"], "shop");
}

/// How many answers the name server has for `NAME.vm` (RFC 1035 section 4.1).
fn answers(server: &str, name: &str) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let limit = Some(Duration::from_secs(10));
    socket.set_read_timeout(limit).expect("a limit");
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [name, "vm"] {
        query.push(u8::try_from(label.len()).expect("short"));
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    socket.send_to(&query, server).expect("sent");
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).expect("an answer");
    assert!(length >= 12 && answer[..2] == query[..2], "{answer:?}");
    u16::from_be_bytes([answer[6], answer[7]])
}

#[test]
fn on_the_bridge_the_new_name_is_served_at_once_and_the_old_one_no_longer() {
    let world = World::simulated_bridged();
    let free = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let server = free.local_addr().expect("an address").to_string();
    drop(free);
    world.configure(&format!(
        "accelerator = \"tcg\"\nstart_limit_seconds = 20\nnetwork = \"bridge\"\n\
         dns_address = \"{server}\"\nroot_helper = \"{}\"\n",
        world.path("banger-root").display()
    ));
    start(&world, "web");
    assert_eq!((answers(&server, "web"), answers(&server, "shop")), (1, 0));
    let _ = world.run(["vm", "rename", "web", "shop"]).good();
    assert_eq!((answers(&server, "web"), answers(&server, "shop")), (0, 1));
    let _ = world.run(["vm", "rm", "shop"]).good();
}
