use crate::world::{alone, json, tool};
use banger_linux::names::TableName;
use banger_linux::nftables::{Family, Nft, NftError, Trace};
use banger_linux::programs::{Cancel, Programs};
use std::time::{Duration, Instant};

fn programs() -> Programs {
    Programs::find().expect("nft; `cargo xtask setup`")
}

const TABLE: &str = "add table inet t
add chain inet t c { type filter hook output priority 0 ; policy accept ; }
add rule inet t c udp dport 9 drop
";

#[test]
fn a_transaction_is_applied_whole_or_not_at_all() {
    alone(|_| {
        let programs = programs();
        let nft = Nft::new(&programs, Cancel::Never);
        nft.apply(TABLE).expect("applied");
        let seen = json("nft -j list table inet t");
        let objects = seen["nftables"].as_array().expect("a list").len();
        assert_eq!(objects, 4, "metainfo, table, chain, rule");
        let half = "add table inet u\nadd rule inet u nowhere drop\n";
        let refused = nft.apply(half).expect_err("no such chain");
        assert_eq!(
            refused.to_string(),
            "nft cannot load rules: Could not process rule: No such file or directory"
        );
        assert_eq!(tool("nft list tables").trim(), "table inet t");
    });
}

#[test]
fn what_is_only_checked_changes_nothing() {
    alone(|_| {
        let programs = programs();
        let nft = Nft::new(&programs, Cancel::Never);
        nft.check(TABLE).expect("it would work");
        assert_eq!(tool("nft list tables"), "");
        let refused = nft.check("add frob inet t");
        assert!(
            matches!(refused, Err(NftError::Refused { .. })),
            "{refused:?}"
        );
    });
}

#[test]
fn input_that_is_no_command_is_refused() {
    alone(|_| {
        let programs = programs();
        let nft = Nft::new(&programs, Cancel::Never);
        for odd in [
            "add table inet",
            "table inet t {",
            "{}",
            "add table inet t\nx",
        ] {
            let refused = nft.apply(odd);
            assert!(matches!(refused, Err(NftError::Refused { .. })), "{odd}");
        }
        nft.apply("").expect("nothing to do");
        assert_eq!(tool("nft list tables"), "");
    });
}

#[test]
fn a_table_is_listed_and_an_absent_one_is_none() {
    alone(|_| {
        let programs = programs();
        let nft = Nft::new(&programs, Cancel::Never);
        let name = TableName::parse("t").expect("a name");
        assert_eq!(nft.table(Family::Inet, &name), Ok(None));
        tool("nft add table inet t { comment \"hello\" ; }");
        let table = nft
            .table(Family::Inet, &name)
            .expect("listed")
            .expect("there");
        assert_eq!(table, json("nft -j list table inet t"));
        for family in [Family::Bridge, Family::Ip, Family::Ip6] {
            assert_eq!(nft.table(family, &name), Ok(None), "{}", family.name());
        }
    });
}

#[test]
fn two_tables_of_one_name_are_listed_each_as_its_own() {
    alone(|_| {
        let programs = programs();
        let nft = Nft::new(&programs, Cancel::Never);
        let name = TableName::parse("t").expect("a name");
        let both = || nft.both_listed::<serde_json::Value>(&name, [Family::Bridge, Family::Inet]);
        assert_eq!(both(), Ok([None, None]));
        tool("nft add table inet t");
        assert_eq!(both(), Ok([None, Some(json("nft -j list table inet t"))]));
        tool("nft add table bridge t");
        let bridge = json("nft -j list table bridge t");
        assert_eq!(
            both(),
            Ok([Some(bridge), Some(json("nft -j list table inet t"))])
        );
    });
}

#[test]
fn a_traced_packet_names_the_rule_that_dropped_it() {
    alone(|_| {
        let programs = programs();
        tool("ip link set lo up");
        tool("nft add table inet t");
        tool("nft add chain inet t c { type filter hook output priority 0 ; }");
        tool("nft add rule inet t c udp dport 9 meta nftrace set 1");
        tool("nft add rule inet t c udp dport 9 drop comment \"culprit\"");
        let mut trace = Trace::start(&programs).expect("it listens");
        let early = trace.line(Instant::now()).expect("nothing wrong");
        assert_eq!(early, None, "nothing was sent yet");
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bound");
        let _ = socket.send_to(b"x", "127.0.0.1:9");
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut seen = Vec::new();
        while let Some(line) = trace.line(deadline).expect("it goes on") {
            let found =
                line.contains("inet t c rule udp dport 9 drop comment \"culprit\" (verdict drop)");
            seen.push(line);
            if found {
                return;
            }
        }
        panic!("the rule was not named: {seen:?}");
    });
}
