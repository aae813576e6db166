use crate::world::{alone, bridge, ip_link, json, mark, name, tool, until};
use banger_linux::Outcome;
use banger_linux::links::{
    self, Bridge, Change, ClaimError, Kind, Mac, OperState, change, claim, delete, isolate,
};
use banger_linux::names::Mark;
use rustix::io::Errno;

#[test]
fn a_bridge_is_made_as_asked_and_ip_sees_the_same() {
    alone(|netlink| {
        let made = bridge(netlink, "br-t");
        let seen = ip_link("br-t").expect("ip sees it");
        assert_eq!(seen["ifalias"], mark().as_str());
        assert_eq!(seen["address"], "06:00:00:00:00:01");
        assert_eq!(
            (&seen["mtu"], &seen["operstate"]),
            (&1400.into(), &"DOWN".into())
        );
        assert_eq!(seen["linkinfo"]["info_data"]["stp_state"], 0);
        assert_eq!(seen["ifindex"], made.index());
        assert_eq!(seen["group"], "default");

        let again = Bridge {
            name: &name("br-t"),
            mark: &mark(),
            mac: Mac([6, 0, 0, 0, 0, 2]),
            mtu: 1500,
        };
        let refused = links::create_bridge(netlink, &again).expect_err("it is there");
        assert!(
            matches!(&refused, ClaimError::Netlink(error) if error.refused() == Some(Errno::EXIST))
        );
        assert!(
            refused
                .to_string()
                .starts_with("cannot create bridge br-t: "),
            "{refused}"
        );
    });
}

#[test]
fn the_list_is_what_ip_lists() {
    alone(|netlink| {
        bridge(netlink, "br-t");
        tool("ip link add name veth-a type veth peer name veth-b");
        tool("ip link set veth-a master br-t up alias somebody's");
        tool("ip link set veth-b up");
        tool("ip link set br-t up");
        let state = || {
            links::find(netlink, &name("veth-a"))
                .expect("read")
                .expect("there")
                .operstate
        };
        until("veth-a works", || state() == OperState::Up);
        let listed = links::list(netlink).expect("links");
        let find = |name: &str| {
            listed
                .iter()
                .find(|link| link.name == name)
                .expect("listed")
        };
        let ip = json("ip -j link show");
        assert_eq!(listed.len(), ip.as_array().expect("a list").len());
        assert_eq!(find("br-t").kind, Kind::Bridge);
        let veth = find("veth-a");
        assert_eq!(veth.kind, Kind::Other("veth".to_owned()));
        assert_eq!(veth.alias.as_deref(), Some("somebody's"));
        assert_eq!(veth.master, Some(find("br-t").index));
        assert_eq!(veth.isolated, Some(false));
        assert!(veth.up && veth.carrier);
        assert!(!find("lo").up);
        assert_eq!(find("lo").kind, Kind::Other(String::new()));
    });
}

#[test]
fn a_link_is_changed_in_one_request() {
    alone(|netlink| {
        let made = bridge(netlink, "br-t");
        let wanted = Change {
            up: Some(true),
            mtu: Some(1280),
            master: None,
        };
        change(netlink, &made, wanted).expect("changed");
        let seen = ip_link("br-t").expect("there");
        assert_eq!(seen["mtu"], 1280);
        assert!(seen["flags"].to_string().contains("UP"));
        let down = Change {
            up: Some(false),
            ..Change::default()
        };
        change(netlink, &made, down).expect("down");
        assert!(
            !ip_link("br-t").expect("there")["flags"]
                .to_string()
                .contains("UP")
        );
        assert_eq!(
            ip_link("br-t").expect("there")["mtu"],
            1280,
            "what was not named stays"
        );
    });
}

#[test]
fn the_kernel_s_own_words_are_in_the_error() {
    alone(|netlink| {
        let made = bridge(netlink, "br-t");
        let small = Change {
            mtu: Some(1),
            ..Change::default()
        };
        let refused = change(netlink, &made, small).expect_err("too small");
        assert_eq!(
            refused.to_string(),
            "cannot change br-t: Invalid argument (os error 22): mtu less than device minimum"
        );
    });
}

#[test]
fn a_port_is_isolated_as_bridge_sees_it() {
    alone(|netlink| {
        let br = bridge(netlink, "br-t");
        tool("ip link add name veth-a type veth peer name veth-b");
        tool(&format!(
            "ip link set veth-a master br-t alias {}",
            mark().as_str()
        ));
        let port = claim(netlink, &name("veth-a"), &mark())
            .expect("ours")
            .expect("there");
        let isolated = || json("bridge -j -d link show dev veth-a")[0]["isolated"].clone();
        for wanted in [true, false] {
            isolate(netlink, &port, wanted).expect("set");
            assert_eq!(isolated(), wanted);
            let read = links::find(netlink, port.name())
                .expect("read")
                .expect("there");
            assert_eq!(read.isolated, Some(wanted));
        }
        assert!(isolate(netlink, &br, true).is_err(), "it is no port");
    });
}

#[test]
fn only_what_has_the_mark_can_be_claimed() {
    alone(|netlink| {
        tool("ip link add name br-t type bridge");
        let claimed = || claim(netlink, &name("br-t"), &mark());
        assert_eq!(
            claimed().expect_err("no mark").to_string(),
            "br-t is not ours: its alias is ''; remove or rename it, or use another name"
        );
        tool("ip link set br-t alias banger:fedcba9876543210");
        assert!(
            matches!(claimed(), Err(ClaimError::Foreign { alias, .. }) if alias == "banger:fedcba9876543210")
        );
        assert_eq!(claim(netlink, &name("br-u"), &mark()), Ok(None));
        assert!(ip_link("br-t").is_some(), "it was not touched");
    });
}

#[test]
fn a_link_that_changed_hands_is_not_deleted() {
    alone(|netlink| {
        let made = bridge(netlink, "br-t");
        tool("ip link set br-t alias other");
        assert!(matches!(
            delete(netlink, &made),
            Err(ClaimError::Foreign { .. })
        ));
        tool(&format!("ip link set br-t alias {}", mark().as_str()));
        tool("ip link set br-t name br-u");
        assert!(matches!(
            delete(netlink, &made),
            Err(ClaimError::Foreign { .. })
        ));
        tool("ip link set br-u name br-t");
        assert_eq!(delete(netlink, &made), Ok(Outcome::Made));
        assert_eq!(delete(netlink, &made), Ok(Outcome::WasSoAlready));
        assert_eq!(ip_link("br-t"), None);
    });
}

#[test]
fn a_new_link_of_the_same_name_is_not_the_old_one() {
    alone(|netlink| {
        let made = bridge(netlink, "br-t");
        tool("ip link del br-t");
        let successor = bridge(netlink, "br-t");
        assert_ne!(made.index(), successor.index());
        assert_eq!(delete(netlink, &made), Ok(Outcome::WasSoAlready));
        assert!(ip_link("br-t").is_some());
    });
}

#[test]
fn the_longest_name_and_mark_come_back_whole() {
    alone(|netlink| {
        let mark = Mark::parse(&"m".repeat(255)).expect("fits");
        let name = name("br-fc-456789012");
        let bridge = Bridge {
            name: &name,
            mark: &mark,
            mac: Mac([6, 0, 0, 0, 0, 3]),
            mtu: 1500,
        };
        let made = links::create_bridge(netlink, &bridge).expect("made");
        assert_eq!(claim(netlink, &name, &mark), Ok(Some(made)));
    });
}

#[test]
fn a_list_longer_than_one_datagram_is_complete_while_others_change_it() {
    alone(|netlink| {
        for chunk in 0..30 {
            bridge(netlink, &format!("br-{chunk}"));
        }
        std::thread::scope(|scope| {
            // Threads begin in their creator's namespace.
            scope.spawn(|| {
                for _ in 0..20 {
                    tool("ip link add name flicker type bridge");
                    tool("ip link del flicker");
                }
            });
            for _ in 0..200 {
                let listed = links::list(netlink).expect("complete");
                let ours = listed
                    .iter()
                    .filter(|link| link.name.starts_with("br-"))
                    .count();
                assert_eq!(ours, 30);
            }
        });
    });
}

#[test]
fn a_bridge_whose_maker_died_before_it_was_marked_is_known_and_gets_its_mark() {
    alone(|netlink| {
        bridge(netlink, "br-t");
        // What is left of it: the group that it was born in, and no alias.
        tool(&format!("ip link set br-t group {}", birth_group()));
        tool("ip link set br-t alias ''");
        let found = claim(netlink, &name("br-t"), &mark())
            .expect("ours")
            .expect("there");
        change(netlink, &found, Change::default()).expect("finished");
        assert_eq!(ip_link("br-t").expect("there")["ifalias"], mark().as_str());

        tool("ip link set br-t alias ''");
        let other = Mark::parse("banger:0123456789abcdee").expect("a mark");
        assert!(
            claim(netlink, &name("br-t"), &other).is_err(),
            "another installation's"
        );
        assert_eq!(delete(netlink, &found), Ok(Outcome::Made));
    });
}

/// FNV-1a of the mark, written down once more: what an older version left must stay known.
fn birth_group() -> String {
    let hash = mark().as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    (hash >> 1 | 1 << 30).to_string()
}
