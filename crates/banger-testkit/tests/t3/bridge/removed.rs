//! The bridge removed under its guests, and another subnet chosen for it.

use super::outside::{HOST, SERVER, connect_the_host, serve_in};
use super::*;
use banger_testkit::namespaces::own_network;

/// `a` and `b` reach each other, and `a` the outside, over both families.
fn all_is_well(world: &World, servers: [SocketAddr; 2]) {
    for (family, server) in servers.into_iter().enumerate() {
        let (a, b) = (addresses(world, "a")[family], addresses(world, "b")[family]);
        assert_eq!(told(world, "b", a, PORT), Ok(b.to_string()));
        let seen = told(world, "a", server.ip(), server.port());
        assert_eq!(seen.as_deref(), Ok(HOST[family]), "{server}");
    }
    let name = sh(world, "b", "getent ahostsv4 a.vm").text();
    assert!(
        name.starts_with(&addresses(world, "a")[0].to_string()),
        "{name}"
    );
}

#[test]
fn guests_outlive_their_bridge_and_have_new_addresses_when_it_has_another_subnet() {
    own_network(|| {
        connect_the_host();
        let before = network();
        let servers = SERVER.map(|address| serve_in("internet", address));
        let world = World::bridged();
        guest(&world, "a", &["--nat"]);
        guest(&world, "b", &["--link", "a"]);
        serve(&world, "a");
        all_is_well(&world, servers);

        // Another program removes it: the next start brings it back, with those that run on it.
        tool("ip link delete br-fc");
        let doctor = world.run(["doctor"]).text();
        assert!(doctor.contains("br-fc was removed"), "{doctor}");
        guest(&world, "c", &[]);
        all_is_well(&world, servers);
        assert!(pings(&world, "c", bridge_addresses()[0]));
        assert!(!pings(&world, "c", addresses(&world, "a")[0]));

        // The same while no daemon is there.
        world.stop_daemon();
        tool("ip link delete br-fc");
        let _ = world.run(["vm", "list"]).good();
        eventually("the next daemon to have made it", LIMIT, || {
            let links = tool("ip -o link show");
            let ports = links.lines().filter(|line| line.contains("master br-fc"));
            if ports.count() >= 3 {
                Ok(())
            } else {
                Err(links)
            }
        });
        all_is_well(&world, servers);
        let _ = world.run(["vm", "rm", "c"]).good();

        // Another subnet: guests keep their places in it.
        let addresses_before = addresses(&world, "a");
        world.configure("network = \"bridge\"\nbridge_ip = \"10.77.0.1\"\ncidr = 20\n");
        let _ = world.run(["vm", "stop", "a", "b"]).good();
        world.stop_daemon();
        let _ = world.run(["vm", "start", "a", "b"]).good();
        serve(&world, "a");
        all_is_well(&world, servers);
        let now = addresses(&world, "a");
        assert_eq!(now[0].to_string(), "10.77.0.2");
        assert_ne!(now[0], addresses_before[0]);
        assert_eq!(bridge_addresses()[0].to_string(), "10.77.0.1");

        let _ = world.run(["vm", "rm", "a", "b"]).good();
        everything_goes(&world, &before);
    });
}
