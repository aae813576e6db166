use super::*;
use crate::config::BridgeConfig;
use crate::host_network::fixtures::NotingHost;
use crate::host_network::{Dependencies, Helper};
use crate::store::Store;
use banger_proto::fault::FaultCode;
use banger_proto::root::{BridgeState, PolicyState, Uplink, Whose};
use std::sync::Arc;

fn network(helper: Helper) -> (tempfile::TempDir, HostNetwork) {
    let directory = tempfile::tempdir().unwrap();
    let network = HostNetwork::new(Dependencies {
        config: BridgeConfig {
            name: BridgeName::default(),
            subnet: None,
            tap_pool_size: 0,
            default_dns: None,
            root_helper: None,
            // A port that is privileged: nothing of a test is there.
            dns_address: ([127, 0, 0, 1], 1).into(),
        },
        store: Store::open(&directory.path().join("state.db")).unwrap(),
        helper,
    });
    (directory, network)
}

async fn examined(host: &Arc<NotingHost>) -> Examined {
    let host: Arc<dyn Host> = host.clone();
    let (_directory, network) = network(Helper::There(host));
    network.examine().await.host.unwrap()
}

fn ours() -> Survey {
    Survey {
        bridge: Some(BridgeState {
            whose: Whose::Ours,
            addresses: vec![],
            mtu: 1500,
            up: true,
            ports: 1,
        }),
        policy: Some(PolicyState {
            whose: Whose::Ours,
            digest: None,
            changed: None,
        }),
        uplink: Some(Uplink {
            name: "eth0".into(),
            mtu: 1500,
            addresses: vec![],
        }),
        ..Survey::default()
    }
}

fn asked(host: &NotingHost) -> Vec<&'static str> {
    host.asked().iter().map(Verb::name).collect()
}

#[tokio::test]
async fn nothing_is_made_for_it_and_nothing_probed_where_there_is_no_bridge() {
    let host = NotingHost::new();
    let found = examined(&host).await;
    assert_eq!(asked(&host), ["survey"]);
    assert_eq!(found.subnet.unwrap().v4().to_string(), "172.16.0.0/24");
    assert!(found.paths.is_empty() && found.wanted.is_none());
    assert_eq!(found.names.asked, Asked::Silent);
}

#[tokio::test]
async fn a_bridge_of_ours_is_probed_and_a_foreign_one_is_not() {
    let host = NotingHost::new();
    *host.survey.lock().unwrap() = ours();
    host.fail("probe_path", true);
    let found = examined(&host).await;
    let kinds: Vec<_> = found.paths.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(
        kinds,
        [PathKind::OutIpv4, PathKind::OutIpv6, PathKind::HostIpv4]
    );
    assert!(found.paths.iter().all(|(_, outcome)| outcome.is_err()));
    let without_uplink = Survey {
        uplink: None,
        ..ours()
    };
    *host.survey.lock().unwrap() = without_uplink;
    let found = examined(&host).await;
    assert_eq!(found.paths.len(), 1, "only the way to the host");
    let mut foreign = ours();
    foreign.bridge.as_mut().unwrap().whose = Whose::Foreign(None);
    *host.survey.lock().unwrap() = foreign;
    assert!(examined(&host).await.paths.is_empty());
}

#[tokio::test]
async fn without_a_helper_nothing_is_noted() {
    let nobody = Fault::new(FaultCode::Unavailable, "nobody");
    let (_directory, network) = network(Helper::Nobody(nobody.clone()));
    assert_eq!(network.examine().await.host.unwrap_err(), nobody);
    assert_eq!(network.store.setting("installation").await.unwrap(), None);
}

#[tokio::test]
async fn a_helper_that_cannot_survey_is_told() {
    let host = NotingHost::new();
    host.fail("survey", true);
    let helper: Arc<dyn Host> = host;
    let (_directory, network) = network(Helper::There(helper));
    let fault = network.examine().await.host.unwrap_err();
    assert!(fault.message.contains("cannot survey"), "{fault}");
}
