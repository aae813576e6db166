use super::*;
use crate::kernel::{Address, Route};
use banger_proto::root::Whose;

#[test]
fn an_empty_host_has_an_uplink_and_nothing_of_ours() {
    let survey = World::new().survey();
    assert_eq!((survey.bridge, survey.policy), (None, None));
    assert!(survey.taps.is_empty() && survey.taken.is_empty() && !survey.taken_cut);
    let uplink = survey.uplink.unwrap();
    assert_eq!((uplink.name.as_str(), uplink.mtu), ("eth0", 1500));
    assert_eq!(uplink.addresses[0].to_string(), "192.0.2.7/24");
}

#[test]
fn a_survey_changes_nothing() {
    let world = World::ready();
    world.done(policy(vec![guest(1, true)]));
    let before = world.kernel.state().clone();
    world.survey();
    assert_eq!(*world.kernel.state(), before);
}

#[test]
fn what_is_foreign_is_said_to_be_and_whose() {
    let world = World::ready();
    let mut state = world.kernel.state();
    state.add_link("tap-fc-3");
    state.add_link("tap-fc-9");
    state.link("tap-fc-9").unwrap().alias = Some("banger:0202020202020202".to_owned());
    state.add_link("tap-fc-mine");
    drop(state);
    let survey = world.survey();
    let whose = |number| {
        survey
            .taps
            .iter()
            .find(|tap| tap.slot == slot(number))
            .map(|tap| tap.whose.clone())
    };
    assert_eq!(whose(1), Some(Whose::Ours));
    assert_eq!(whose(3), Some(Whose::Foreign(None)));
    assert_eq!(
        whose(9),
        Some(Whose::Foreign(Some(Installation::from_random([2; 8]))))
    );
    assert_eq!(survey.strays, ["tap-fc-mine"]);
}

#[test]
fn ranges_that_a_subnet_could_have_are_listed_and_the_list_is_bounded() {
    let world = World::ready();
    let mut state = world.kernel.state();
    let office = state.add_link("wg0");
    let cidr = |text: &str| text.parse().unwrap();
    state.addresses.push(Address {
        interface: office,
        address: cidr("10.9.0.7/16"),
    });
    for n in 0..600 {
        let to = cidr(&format!("192.168.{}.{}/32", n / 250, n % 250));
        state.routes.push(Route {
            to,
            interface: Some(office),
            metric: 0,
        });
    }
    state.routes.push(Route {
        to: cidr("203.0.113.0/24"),
        interface: Some(office),
        metric: 0,
    });
    drop(state);
    let survey = world.survey();
    assert_eq!((survey.taken.len(), survey.taken_cut), (512, true));
    assert!(
        survey
            .taken
            .iter()
            .any(|taken| taken.range == cidr("10.9.0.7/16"))
    );
    assert!(
        survey.taken.iter().all(|taken| taken.device == "wg0"),
        "neither the bridge's nor the internet's"
    );
}
