//! The way out: an uplink's router, and a server behind it.

use super::*;
use banger_linux::namespaces::NetworkNamespace;
use banger_testkit::namespaces::own_network;
use serde_json::Value;
use std::path::Path;

pub(super) const HOST: [&str; 2] = ["192.0.2.2", "2001:db8:1::2"];
pub(super) const SERVER: [&str; 2] = ["198.51.100.80", "2001:db8:2::80"];
/// Where clouds tell a machine its secrets.
const METADATA: &str = "169.254.169.254";
/// The uplink's MTU: another than what every network begins with.
const MTU: u16 = 1400;

/// The host is connected with a router `uplink`, which is connected with `internet`. No way back is
/// known for addresses of guests.
pub(super) fn connect_the_host() {
    for name in ["uplink", "internet"] {
        tool(&format!("ip netns add {name}"));
        tool(&format!("ip -n {name} link set lo up"));
    }
    tool("ip link add wan0 type veth peer name lan netns uplink");
    tool(&format!("ip link set wan0 mtu {MTU}"));
    tool("ip -n uplink link add wan type veth peer name eth0 netns internet");
    for (place, link, addresses) in [
        ("", "wan0", ["192.0.2.2/24", "2001:db8:1::2/64"]),
        ("-n uplink", "lan", ["192.0.2.1/24", "2001:db8:1::1/64"]),
        ("-n uplink", "wan", ["198.51.100.1/24", "2001:db8:2::1/64"]),
        (
            "-n internet",
            "eth0",
            ["198.51.100.80/24", "2001:db8:2::80/64"],
        ),
    ] {
        for address in addresses {
            tool(&format!("ip {place} addr add {address} dev {link} nodad"));
        }
        tool(&format!("ip {place} link set {link} up"));
    }
    tool(&format!("ip -n uplink addr add {METADATA}/32 dev lo"));
    for switch in ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"] {
        tool(&format!("ip netns exec uplink sysctl -q -w {switch}"));
    }
    tool("ip route add default via 192.0.2.1");
    tool("ip route add default via 2001:db8:1::1");
    tool("ip -n internet route add 192.0.2.0/24 via 198.51.100.1");
    tool("ip -n internet route add 2001:db8:1::/64 via 2001:db8:2::1");
}

/// Serves in a network; where it listens.
pub(super) fn serve_in(network: &str, address: &str) -> SocketAddr {
    let there = NetworkNamespace::open(&Path::new("/run/netns").join(network)).expect("a network");
    let listener = there.run(|| TcpListener::bind((address, 0)).expect("bound"));
    let listener = listener.expect("entered");
    let place = listener.local_addr().expect("an address");
    tell_all(listener);
    place
}

fn told_to_host(place: SocketAddr) -> String {
    let mut stream = TcpStream::connect_timeout(&place, LIMIT).expect("reached");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).expect("told");
    text
}

/// Elements of a set of ours.
fn elements(set: &str) -> Vec<String> {
    let listed = json(&format!("nft -j list set inet banger {set}"));
    let of = |object: &Value| object["set"]["elem"].as_array().cloned();
    let sets = listed["nftables"].as_array().into_iter().flatten();
    let all = sets.filter_map(of).flatten();
    all.filter_map(|element| element.as_str().map(str::to_owned))
        .collect()
}

/// What the rules of a chain of ours do, in their order.
fn rules(chain: &str) -> Vec<String> {
    let listed = json(&format!("nft -j list chain inet banger {chain}"));
    let all = listed["nftables"].as_array().into_iter().flatten();
    let rules = all.filter_map(|object| object.get("rule"));
    rules.map(|rule| rule["expr"].to_string()).collect()
}

#[test]
fn only_a_guest_with_nat_reaches_the_outside_and_it_does_as_the_host() {
    own_network(|| {
        connect_the_host();
        let before = network();
        let servers = SERVER.map(|address| serve_in("internet", address));
        let metadata = serve_in("uplink", METADATA);
        assert_eq!(told_to_host(servers[0]), format!("you are {}\n", HOST[0]));
        assert_eq!(told_to_host(metadata), format!("you are {}\n", HOST[0]));

        let world = World::bridged();
        guest(&world, "shut", &[]);
        assert!(before.contains("ipv4/ip_forward 0"), "{before}");
        guest(&world, "open", &["--nat"]);
        for (family, server) in servers.into_iter().enumerate() {
            let seen = told(&world, "open", server.ip(), server.port());
            assert_eq!(seen.as_deref(), Ok(HOST[family]), "{server}");
            let seen = told(&world, "shut", server.ip(), server.port());
            assert!(seen.is_err(), "{server}: {seen:?}");
        }
        let reached = told(&world, "open", metadata.ip(), metadata.port());
        assert!(reached.is_err(), "{reached:?}");
        let trap = Trap::at(HOST[0].parse().expect("an address"));
        let reached = told(&world, "open", trap.place().ip(), trap.place().port());
        assert!(reached.is_err() && trap.is_untouched(), "{reached:?}");
        the_rules_say_so(&world);
        let mtu = sh(&world, "open", "cat /sys/class/net/e*/mtu").text();
        assert_eq!(mtu.trim(), MTU.to_string());
        the_way_out_is_opened_and_closed_while_a_guest_runs(&world, servers);

        let _ = world.run(["vm", "rm", "open"]).good();
        eventually("the way out to be closed", LIMIT, || {
            let open = elements("nat4").contains(&addresses(&world, "shut")[0].to_string());
            let switched = network();
            let on = switched.contains("ip_forward 1") || switched.contains("all/forwarding 1");
            if open || on { Err(switched) } else { Ok(()) }
        });
        let _ = world.run(["vm", "rm", "shut"]).good();
        everything_goes(&world, &before);
    });
}

/// The guest without it gets it, and loses it again, without a new start.
fn the_way_out_is_opened_and_closed_while_a_guest_runs(world: &World, servers: [SocketAddr; 2]) {
    let since = world.show("shut")["run"]["pid"].clone();
    for (option, may) in [("--nat", true), ("--no-nat", false)] {
        let _ = world.run(["vm", "set", option, "shut"]).good();
        for (family, server) in servers.into_iter().enumerate() {
            let seen = told(world, "shut", server.ip(), server.port());
            let own = addresses(world, "shut")[family].to_string();
            let set = ["nat4", "nat6"][family];
            assert_eq!(seen.is_ok(), may, "{option} {server}: {seen:?}");
            assert_eq!(elements(set).contains(&own), may, "{option} {own}");
        }
    }
    assert_eq!(world.show("shut")["run"]["pid"], since);
}

/// Not only what comes back: that this guest, and no other, is let out and hidden behind the host.
fn the_rules_say_so(world: &World) {
    let (open, shut) = (addresses(world, "open"), addresses(world, "shut"));
    for (family, set) in ["nat4", "nat6"].into_iter().enumerate() {
        let elements = elements(set);
        assert!(elements.contains(&open[family].to_string()), "{elements:?}");
        assert!(
            !elements.contains(&shut[family].to_string()),
            "{elements:?}"
        );
        let of = |chain: &str, verdict: &str| {
            let rules = rules(chain);
            let with_both =
                |rule: &&String| rule.contains(&format!("@{set}")) && rule.contains(verdict);
            assert_eq!(
                rules.iter().filter(with_both).count(),
                1,
                "{chain}: {rules:?}"
            );
        };
        of("postrouting", "masquerade");
        of("from_guest", "to_outside");
        of("to_guest", "accept");
    }
    let leaving = rules("to_outside");
    assert_eq!(
        leaving.last().map(String::as_str),
        Some(r#"[{"accept":null}]"#),
        "{leaving:?}"
    );
}
