use super::*;
use crate::judge::Place;
use crate::simulated::SimulatedKernel;
use banger_model::host_names::{BridgeName, Installation};
use banger_model::policy::{Policy, Ruleset, Switched};
use banger_model::subnet::Subnet;

fn installation() -> Installation {
    Installation::from_random([1; 8])
}

fn host() -> SimulatedKernel {
    SimulatedKernel::new(Place {
        owner: 1000,
        installation: installation(),
        bridge: BridgeName::default(),
        version: String::new(),
    })
}

fn policy() -> Policy {
    let subnet = Subnet::new([172, 16, 0, 0].into(), 24, &installation()).unwrap();
    Policy::new(installation(), BridgeName::default(), subnet, None, vec![]).unwrap()
}

fn loaded(extra: &[&str]) -> Loaded {
    let host = host();
    let policy = policy();
    let rules = Ruleset::new(&policy, &Switched::default());
    host.state().load(&rules.transaction()).unwrap();
    for object in extra {
        host.state().load(object).unwrap();
    }
    Loaded::read(&host).unwrap()
}

#[test]
fn what_was_loaded_is_read_back_whole() {
    let rules = Ruleset::new(&policy(), &Switched::default());
    let loaded = loaded(&[]);
    assert_eq!(loaded.mark(), Some(rules.mark()));
    assert_eq!(loaded.skeleton, rules.skeleton());
    assert_eq!(Loaded::read(&host()).unwrap(), Loaded::default());
}

#[test]
fn every_change_by_another_is_seen() {
    let whole = loaded(&[]);
    for change in [
        "add rule inet banger to_host accept",
        "add chain inet banger more",
        "add element inet banger nat4 { 172.16.0.2 }",
        "delete element inet banger nat4 { 172.16.0.254 }",
        "add set inet banger odd { type ipv4_addr ; elements = { 1.1.1.1-1.1.1.9 } ; }",
        "add rule inet banger installation return comment \"banger:0101010101010101 0000000000000000\"",
        "add rule inet banger installation return comment \"listed:0000000000000000\"",
        "add rule inet banger installation return",
    ] {
        assert_ne!(loaded(&[change]), whole, "{change}");
    }
}

#[test]
fn a_dormant_table_is_not_whole() {
    let mut loaded = Loaded::default();
    let table = serde_json::json!({"nftables": [{"metainfo": {}}, {"table": {"family": "inet", "name": "banger", "flags": "dormant"}}]});
    loaded.add(Family::Inet, Listing::from_json(table).unwrap());
    assert_ne!(loaded.skeleton, Skeleton::default());
}

#[test]
fn a_listing_that_is_none_is_an_error() {
    for text in [
        "{}",
        "[]",
        r#"{"nftables": 1}"#,
        r#"{"nftables": [{"rule": {}}]}"#,
    ] {
        let table = serde_json::from_str(text).unwrap();
        assert!(Listing::from_json(table).is_err(), "{text}");
    }
}
