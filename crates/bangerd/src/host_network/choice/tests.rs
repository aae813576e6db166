use super::*;
use banger_model::subnet::{Taken, TakenBy};
use banger_proto::root::{BridgeState, PolicyState, Uplink};
use std::net::Ipv4Addr;

fn installation() -> Installation {
    Installation::from_random([5; 8])
}

fn config(subnet: Option<(Ipv4Addr, u8)>) -> BridgeConfig {
    BridgeConfig {
        name: BridgeName::default(),
        subnet,
        tap_pool_size: 0,
        default_dns: None,
        root_helper: None,
        dns_address: ([127, 0, 0, 1], 0).into(),
    }
}

fn route(range: &str) -> Survey {
    Survey {
        taken: vec![Taken {
            range: range.parse().unwrap(),
            by: TakenBy::Route,
            device: "eth0".into(),
        }],
        ..Survey::default()
    }
}

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("state.db")).unwrap();
    (directory, store)
}

async fn chosen(config: &BridgeConfig, store: &Store, found: &Survey) -> Result<String, Fault> {
    let subnet = subnet(config, store, found, installation()).await?;
    Ok(subnet.v4().to_string())
}

#[tokio::test]
async fn the_first_free_subnet_is_chosen_and_remembered() {
    let (_directory, store) = store();
    let first = chosen(&config(None), &store, &route("172.16.0.0/16"))
        .await
        .unwrap();
    assert_eq!(first, "10.213.0.0/24");
    let again = chosen(&config(None), &store, &Survey::default())
        .await
        .unwrap();
    assert_eq!(again, first, "the guests' addresses stay");
}

#[tokio::test]
async fn a_later_collision_is_told_with_what_it_is() {
    let (_directory, store) = store();
    chosen(&config(None), &store, &Survey::default())
        .await
        .unwrap();
    let fault = chosen(&config(None), &store, &route("172.16.0.128/25"))
        .await
        .unwrap_err();
    assert_eq!(fault.code, FaultCode::Conflict);
    assert!(fault.message.contains("172.16.0.128/25"), "{fault}");
    assert!(fault.remedy.unwrap().contains("bridge_ip"));
}

#[tokio::test]
async fn a_configured_subnet_has_the_last_word_and_is_judged() {
    let (_directory, store) = store();
    chosen(&config(None), &store, &Survey::default())
        .await
        .unwrap();
    let mine = config(Some((Ipv4Addr::new(10, 1, 0, 1), 20)));
    assert_eq!(
        chosen(&mine, &store, &Survey::default()).await.unwrap(),
        "10.1.0.0/20"
    );
    for (address, prefix, why) in [
        ([10, 1, 0, 2], 24, "first address, 10.1.0.1"),
        ([10, 1, 0, 1], 30, "16 to 29"),
        ([10, 1, 0, 1], 77, "16 to 29"),
        ([8, 8, 8, 1], 24, "private range"),
    ] {
        let bad = config(Some((address.into(), prefix)));
        let fault = chosen(&bad, &store, &Survey::default()).await.unwrap_err();
        assert!(fault.message.contains(why), "{fault}");
        assert!(fault.remedy.is_some());
    }
}

#[tokio::test]
async fn an_installation_is_made_once_and_a_damaged_one_is_told() {
    let (_directory, store) = store();
    let made = super::installation(&store).await.unwrap();
    assert_eq!(super::installation(&store).await.unwrap(), made);
    store
        .put_setting(INSTALLATION, "garbage".into())
        .await
        .unwrap();
    assert!(super::installation(&store).await.is_err());
}

#[test]
fn a_bridge_of_others_is_refused_by_name() {
    let mut found = Survey {
        bridge: Some(BridgeState {
            whose: Whose::Foreign(Some(installation())),
            addresses: vec![],
            mtu: 1500,
            up: true,
            ports: 0,
        }),
        ..Survey::default()
    };
    let fault = refuse_foreign(&found, &BridgeName::default()).unwrap_err();
    assert_eq!(
        fault.message,
        "the interface br-fc belongs to banger installation 0505050505050505"
    );
    found.bridge.as_mut().unwrap().whose = Whose::Foreign(None);
    assert!(refuse_foreign(&found, &BridgeName::default()).is_err());
    found.bridge.as_mut().unwrap().whose = Whose::Ours;
    assert_eq!(refuse_foreign(&found, &BridgeName::default()), Ok(()));
}

/// They would be found by the sweep, when there is a bridge already that stays then.
#[test]
fn rules_of_others_are_refused_before_there_is_a_bridge() {
    let mut found = Survey {
        policy: Some(PolicyState {
            whose: Whose::Foreign(Some(installation())),
            digest: None,
            changed: None,
        }),
        ..Survey::default()
    };
    let fault = refuse_foreign(&found, &BridgeName::default()).unwrap_err();
    assert_eq!(
        fault.message,
        "the nftables tables named banger belong to banger installation 0505050505050505"
    );
    let remedy = fault.remedy.expect("one");
    assert!(remedy.contains("nft delete table inet banger"), "{remedy}");
    found.policy.as_mut().unwrap().whose = Whose::Ours;
    assert_eq!(refuse_foreign(&found, &BridgeName::default()), Ok(()));
}

#[test]
fn the_bridge_is_as_wide_as_the_way_out() {
    let with = |mtu| Survey {
        uplink: Some(Uplink {
            name: "eth0".into(),
            mtu,
            addresses: vec![],
        }),
        ..Survey::default()
    };
    assert_eq!(mtu_of(&Survey::default()).get(), 1500);
    for (mtu, expected) in [(1420, 1420), (9000, 9000), (576, 1500), (100_000, 1500)] {
        assert_eq!(mtu_of(&with(mtu)).get(), expected, "{mtu}");
    }
}
