use crate::world::{alone, bridge, json, tool};
use banger_linux::Outcome;
use banger_linux::links::{Change, change};
use banger_linux::{addresses, routes};
use std::net::IpAddr;

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

#[test]
fn addresses_come_and_go_as_ip_sees_it() {
    alone(|netlink| {
        let link = bridge(netlink, "br-t");
        let up = Change {
            up: Some(true),
            ..Change::default()
        };
        change(netlink, &link, up).expect("up");
        for (address, prefix) in [("172.16.0.1", 24), ("fd00:1::1", 64)] {
            let address = ip(address);
            let seen = || {
                let shown = json("ip -j address show dev br-t");
                let list = shown[0]["addr_info"].as_array().expect("a list").clone();
                list.into_iter()
                    .find(|entry| entry["local"] == address.to_string())
            };
            assert_eq!(
                addresses::add(netlink, &link, address, prefix),
                Ok(Outcome::Made)
            );
            assert_eq!(
                addresses::add(netlink, &link, address, prefix),
                Ok(Outcome::WasSoAlready)
            );
            let entry = seen().expect("ip sees it");
            assert_eq!(entry["prefixlen"], prefix);
            assert_eq!(
                entry["tentative"],
                serde_json::Value::Null,
                "usable at once"
            );
            let listed = addresses::list(netlink).expect("read");
            assert!(listed.iter().any(|found| found.address == address
                && found.prefix == prefix
                && found.interface == link.index()));
            assert_eq!(
                addresses::delete(netlink, &link, address, prefix),
                Ok(Outcome::Made)
            );
            assert_eq!(
                addresses::delete(netlink, &link, address, prefix),
                Ok(Outcome::WasSoAlready)
            );
            assert_eq!(seen(), None);
        }
    });
}

#[test]
fn an_address_that_cannot_be_is_refused_in_words() {
    alone(|netlink| {
        let link = bridge(netlink, "br-t");
        let refused = addresses::add(netlink, &link, ip("10.0.0.1"), 33).expect_err("33 bits");
        let text = refused.to_string();
        assert!(
            text.starts_with("cannot add 10.0.0.1/33 to br-t: Invalid argument"),
            "{text}"
        );
    });
}

#[test]
fn the_default_route_with_the_lowest_metric_is_the_uplink() {
    alone(|netlink| {
        for (name, address) in [
            ("d0", "10.1.0.2/24"),
            ("d1", "10.2.0.2/24"),
            ("d2", "fd00:2::2/64"),
        ] {
            tool(&format!("ip link add name {name} type bridge"));
            tool(&format!("ip link set {name} up"));
            tool(&format!("ip address add {address} dev {name}"));
        }
        let index = |name: &str| {
            let shown = json(&format!("ip -j link show dev {name}"));
            u32::try_from(shown[0]["ifindex"].as_u64().expect("a number")).expect("an index")
        };
        assert_eq!(routes::uplink(&routes::list(netlink).expect("read")), None);
        tool("ip -6 route add default dev d2 metric 1");
        assert_eq!(
            routes::uplink(&routes::list(netlink).expect("read")),
            Some(index("d2"))
        );
        tool("ip route add default via 10.1.0.1 metric 200");
        tool("ip route add default via 10.2.0.1 metric 100");
        tool("ip route add 10.9.0.0/16 via 10.1.0.1 table 77");
        tool("ip route add blackhole 10.8.0.0/16");
        tool("ip route add 10.7.0.0/16 nexthop via 10.1.0.1 nexthop via 10.2.0.1");
        let listed = routes::list(netlink).expect("read");
        assert_eq!(routes::uplink(&listed), Some(index("d1")));
        let to = |text: &str| listed.iter().find(|route| route.destination == ip(text));
        assert!(to("10.9.0.0").is_none() && to("10.8.0.0").is_none());
        assert_eq!(
            to("10.7.0.0").expect("several ways").interface,
            Some(index("d0"))
        );
        let default = listed
            .iter()
            .find(|route| route.metric == 100)
            .expect("default");
        assert_eq!((default.prefix, default.gateway), (0, Some(ip("10.2.0.1"))));
        assert_eq!(to("10.1.0.0").expect("connected").prefix, 24);
    });
}
