//! Who reaches whom.

use super::*;
use banger_testkit::namespaces::own_network;

#[test]
fn guests_reach_those_that_they_are_linked_with_and_nobody_else() {
    own_network(|| {
        tool("ip link add other type veth peer name peer");
        tool("ip link set peer up");
        tool("ip addr add 192.0.2.9/24 dev other");
        tool("ip -6 addr add 2001:db8:9::9/64 dev other nodad");
        tool("ip link set other up");
        let before = network();
        let world = World::bridged();
        guest(&world, "a", &[]);
        guest(&world, "b", &["--link", "a", "--join", "shop"]);
        guest(&world, "c", &["--join", "shop"]);
        ["a", "b", "c"].iter().for_each(|name| serve(&world, name));
        for (from, to, may) in [
            ("a", "b", true),
            ("b", "a", true),
            ("b", "c", true),
            ("c", "b", true),
            ("a", "c", false),
            ("c", "a", false),
        ] {
            for family in 0..2 {
                let (own, other) = (
                    addresses(&world, from)[family],
                    addresses(&world, to)[family],
                );
                assert_eq!(
                    pings(&world, from, other),
                    may,
                    "{from} pings {to} at {other}"
                );
                match told(&world, from, other, PORT) {
                    Ok(seen) => {
                        assert!(may && seen == own.to_string(), "{from} is {seen} for {to}");
                    }
                    Err(why) => assert!(!may, "{from} does not reach {to}: {why}"),
                }
            }
        }
        guests_reach_nothing_of_the_host(&world);
        let _ = world.run(["vm", "rm", "a", "b", "c"]).good();
        everything_goes(&world, &before);
    });
}

fn guests_reach_nothing_of_the_host(world: &World) {
    let bridge = bridge_addresses();
    for address in bridge {
        assert!(
            pings(world, "a", address),
            "the bridge answers at {address}"
        );
    }
    let others = ["192.0.2.9", "2001:db8:9::9"].map(|text| text.parse().expect("an address"));
    for address in bridge.into_iter().chain(others) {
        let trap = Trap::at(address);
        let reached = told(world, "a", address, trap.place().port());
        assert!(
            reached.is_err() && trap.is_untouched(),
            "{address}: {reached:?}"
        );
        assert!(trap.works());
    }
    // To the host's loopback by way of the bridge: with a route, without the guest's own 127/8.
    let trap = Trap::at([127, 0, 0, 1].into());
    let script = format!(
        "ip route del local 127.0.0.0/8 table local; ip addr del 127.0.0.1/8 dev lo; \
         ip route add 127.0.0.0/8 via {} dev $(ls /sys/class/net | grep -v lo) onlink \
         && echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet",
        bridge[0]
    );
    let _ = sh(world, "a", &script).good();
    let reached = told(world, "a", [127, 0, 0, 1].into(), trap.place().port());
    assert!(reached.is_err() && trap.is_untouched(), "{reached:?}");
    assert!(trap.works());
}
