//! A fork of a guest on the bridge: connected as the first one is, as another.

use super::outside::{HOST, SERVER, connect_the_host, serve_in};
use super::*;
use banger_testkit::checks::publish::endpoint;
use banger_testkit::namespaces::own_network;
use std::io::Read;

fn told_at_published(world: &World, name: &str) -> String {
    let mut told = String::new();
    let mut stream = TcpStream::connect(endpoint(world, name)).expect("published");
    stream.set_read_timeout(Some(LIMIT)).expect("set");
    stream.read_to_string(&mut told).expect("told");
    told
}

/// Its server is reached by its friend, by address and by name, and at its published port; it reaches the outside as the host.
fn is_connected(world: &World, name: &str, servers: [SocketAddr; 2]) {
    let published = told_at_published(world, name);
    assert!(published.starts_with("you are "), "{name}: {published}");
    let own = addresses(world, name);
    for (family, server) in servers.into_iter().enumerate() {
        let friend = addresses(world, "friend")[family].to_string();
        assert_eq!(told(world, "friend", own[family], PORT), Ok(friend));
        let seen = told(world, name, server.ip(), server.port());
        assert_eq!(seen.as_deref(), Ok(HOST[family]), "{name} at {server}");
    }
    let found = sh(world, "friend", &format!("getent ahostsv4 {name}.vm")).text();
    let found = found.split_whitespace().next().map(str::to_owned);
    assert_eq!(found, Some(own[0].to_string()), "{name}");
    let answer = tool(&format!(
        "dig @127.0.0.1 -p 42069 +tries=2 +time=10 +short {name}.vm AAAA"
    ));
    assert_eq!(answer.trim(), own[1].to_string());
}

#[test]
fn a_fork_has_addresses_a_name_and_a_way_out_of_its_own_and_a_suspended_one_those_that_it_had() {
    own_network(|| {
        connect_the_host();
        let before = network();
        let servers = SERVER.map(|address| serve_in("internet", address));
        let world = World::bridged();
        guest(&world, "friend", &["--join", "shop"]);
        let published = format!("0:{PORT}");
        let options = ["--nat", "--join", "shop", "-p", &published];
        guest(&world, "a", &options);
        serve(&world, "a");
        is_connected(&world, "a", servers);
        let first = addresses(&world, "a");

        let fork = ["vm", "fork", "a", "--name", "b", "-p", &published];
        let _ = world.run(fork).good();
        is_connected(&world, "b", servers);
        is_connected(&world, "a", servers);
        let forked = addresses(&world, "b");
        assert_eq!(addresses(&world, "a"), first);
        assert!(forked[0] != first[0] && forked[1] != first[1]);
        assert_ne!(endpoint(&world, "a"), endpoint(&world, "b"));

        let _ = world.run(["vm", "suspend", "a"]).good();
        is_connected(&world, "a", servers);
        assert_eq!(addresses(&world, "a"), first);
        let _ = world.run(["vm", "rm", "a", "b", "friend"]).good();
        everything_goes(&world, &before);
    });
}
