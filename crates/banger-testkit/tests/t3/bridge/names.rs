//! Names of guests, asked with `dig`; and published ports, which need no network of the guest.

use super::*;
use banger_testkit::checks::publish::{self, endpoint, free_port};
use banger_testkit::namespaces::own_network;
use std::io::Read;

/// The whole answer of the name server.
fn dig(question: &str) -> String {
    tool(&format!(
        "dig @127.0.0.1 -p 42069 +tries=2 +time=10 {question}"
    ))
}

/// Demands that the only answer to a question ends so.
fn answers(question: &str, wanted: &str) {
    let short = dig(&format!("+short {question}"));
    assert_eq!(short.trim(), wanted, "{question}");
    assert!(dig(question).contains(" aa "), "{question}: with authority");
}

fn is_unknown(question: &str) {
    let said = dig(question);
    assert!(
        said.contains("NXDOMAIN") && said.contains(" aa"),
        "{question}: {said}"
    );
}

fn all_of(world: &World, name: &str) {
    let [four, six] = addresses(world, name);
    answers(&format!("{name}.vm A"), &four.to_string());
    answers(&format!("{name}.vm AAAA"), &six.to_string());
    answers(&format!("api.{name}.vm A"), &four.to_string());
    answers(&format!("-x {four}"), &format!("{name}.vm."));
    answers(&format!("-x {six}"), &format!("{name}.vm."));
}

#[test]
fn guests_have_names_that_the_host_and_their_friends_see_and_ports_are_published_beside() {
    own_network(|| {
        let before = network();
        let world = World::bridged();
        let published = format!("{}:{PORT}", free_port());
        guest(&world, "a", &["-p", &published]);
        guest(&world, "b", &["--link", "a"]);
        guest(&world, "c", &[]);
        ["a", "b", "c"].iter().for_each(|name| all_of(&world, name));
        is_unknown("nobody.vm A");

        // Inside, each sees whom it may talk to.
        let looks_up = |from: &str, name: &str| {
            let ran = sh(&world, from, &format!("getent ahostsv4 {name}.vm"));
            ran.text().split_whitespace().next().map(str::to_owned)
        };
        let of = |name: &str| Some(addresses(&world, name)[0].to_string());
        assert_eq!(looks_up("b", "a"), of("a"));
        assert_eq!(looks_up("a", "b"), of("b"));
        assert_eq!(looks_up("a", "a"), of("a"));
        assert_eq!(looks_up("a", "c"), None);
        assert_eq!(looks_up("c", "a"), None);

        let _ = world.run(["vm", "stop", "b"]).good();
        is_unknown("b.vm A");
        all_of(&world, "a");

        // The next daemon has them again.
        world.kill_daemon();
        let _ = world.run(["vm", "list"]).good();
        all_of(&world, "a");
        all_of(&world, "c");
        is_unknown("b.vm A");
        assert_eq!(looks_up("a", "a"), of("a"));

        serve(&world, "a");
        let mut told = String::new();
        let mut stream = TcpStream::connect(endpoint(&world, "a")).expect("published");
        stream.read_to_string(&mut told).expect("told");
        assert!(told.starts_with("you are "), "{told}");

        let _ = world.run(["vm", "rm", "a", "b", "c"]).good();
        everything_goes(&world, &before);
    });
}

#[test]
fn a_server_in_a_guest_on_the_bridge_is_reached_until_its_port_is_published_no_longer() {
    own_network(|| {
        let world = World::bridged();
        publish::a_server_in_the_guest_is_reached_until_its_port_is_published_no_longer(
            &world, "bridge",
        );
    });
}
