use super::*;
use crate::kernel::{Address, Switch};

fn tap(number: u16, did: Did) -> (Object, Did) {
    (Object::Tap(slot(number)), did)
}

#[test]
fn the_bridge_is_made_once_with_its_addresses_and_switches() {
    let world = World::new();
    assert_eq!(world.done(bridge(0, 1400)), [(Object::Bridge, Did::Made)]);
    assert_eq!(world.done(bridge(0, 1400)), [(Object::Bridge, Did::WasSo)]);
    let found = world.survey().bridge.unwrap();
    let addresses: Vec<_> = found.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["172.16.0.1/24", "fd01:101:101::1/64"]);
    assert!(found.whose.is_ours() && found.up);
    assert_eq!((found.mtu, found.ports), (1400, 0));
    let state = world.kernel.state();
    assert_eq!(state.switches[&Switch::BridgeIpv4], 1);
    assert_eq!(state.switches[&Switch::BridgeRedirects], 0);
    assert_eq!(state.switches[&Switch::BridgeAcceptRa], 0);
    assert_eq!(
        state.switches[&Switch::Ipv4Forward],
        0,
        "the rest of the host is left alone"
    );
}

#[test]
fn a_host_without_ipv6_gets_a_bridge_without() {
    let world = World::new();
    world.kernel.state().switches.remove(&Switch::Ipv6Forward);
    world.done(bridge(0, 1500));
    assert_eq!(world.survey().bridge.unwrap().addresses.len(), 1);
}

#[test]
fn a_bridge_of_ours_is_adjusted_while_nobody_uses_it() {
    let world = World::ready();
    assert_eq!(
        world.done(bridge(0, 1280)),
        [(Object::Bridge, Did::Adjusted)]
    );
    assert_eq!(
        world.done(bridge(7, 1280)),
        [(Object::Bridge, Did::Adjusted)]
    );
    assert_eq!(
        world.survey().bridge.unwrap().addresses[0].to_string(),
        "172.16.7.1/24"
    );
    world.kernel.state().link("tap-fc-1").unwrap().carrier = true;
    let why = world.refused(bridge(8, 1280));
    assert!(
        why.contains("172.16.7.1/24") && why.contains("tap-fc-1 is in use"),
        "{why}"
    );
}

#[test]
fn a_bridge_that_is_down_is_set_up() {
    let world = World::ready();
    world.kernel.state().link("br-fc").unwrap().up = false;
    assert_eq!(
        world.done(bridge(0, 1500)),
        [(Object::Bridge, Did::Adjusted)]
    );
    assert!(world.survey().bridge.unwrap().up);
}

#[test]
fn a_foreign_bridge_is_named_and_not_touched() {
    let world = World::new();
    world.kernel.state().add_link("br-fc");
    world.kernel.state().link("br-fc").unwrap().alias = Some("banger:0202020202020202".to_owned());
    for verb in [
        bridge(0, 1500),
        Verb::RemoveBridge {},
        make([1]),
        Verb::ProbePath {
            kind: banger_proto::root::PathKind::OutIpv4,
        },
    ] {
        let why = world.refused(verb);
        assert!(
            why.contains("br-fc is not banger's") && why.contains("0202020202020202"),
            "{why}"
        );
    }
    let dns_port = NonZeroU16::new(42069).unwrap();
    assert!(
        world
            .refused(Verb::SetResolver { dns_port })
            .contains("br-fc is not banger's")
    );
    world.done(sweep([], false, false));
    assert!(world.kernel.state().link("br-fc").is_some());
}

#[test]
fn a_subnet_that_collides_is_refused_with_what_it_collides_with() {
    let world = World::new();
    let other = world.kernel.state().add_link("br-fc-2");
    let address = Address {
        interface: other,
        address: "172.16.0.1/24".parse().unwrap(),
    };
    world.kernel.state().addresses.push(address);
    let why = world.refused(bridge(0, 1500));
    assert!(
        why.contains("collides with the address 172.16.0.1/24 of br-fc-2"),
        "{why}"
    );
    assert_eq!(world.done(bridge(1, 1500)), [(Object::Bridge, Did::Made)]);
}

#[test]
fn a_bridge_with_ports_stays() {
    let world = World::ready();
    assert!(
        world
            .refused(Verb::RemoveBridge {})
            .contains("has ports, tap-fc-1 among them")
    );
    world.done(Verb::DeleteTaps {
        slots: slots([1, 2]),
    });
    assert_eq!(
        world.done(Verb::RemoveBridge {}),
        [(Object::Bridge, Did::Removed)]
    );
    assert_eq!(
        world.done(Verb::RemoveBridge {}),
        [(Object::Bridge, Did::WasSo)]
    );
}

#[test]
fn taps_are_made_and_deleted_once() {
    let world = World::new();
    world.done(bridge(0, 1500));
    assert_eq!(
        world.done(make([1, 7])),
        [tap(1, Did::Made), tap(7, Did::Made)]
    );
    assert_eq!(
        world.done(make([1, 7, 8])),
        [tap(1, Did::WasSo), tap(7, Did::WasSo), tap(8, Did::Made)]
    );
    assert!(
        world
            .survey()
            .taps
            .iter()
            .all(|tap| tap.is_ready_for(OWNER))
    );
    let gone = Verb::DeleteTaps {
        slots: slots([1, 2]),
    };
    assert_eq!(world.done(gone), [tap(1, Did::Removed), tap(2, Did::WasSo)]);
}

#[test]
fn without_a_bridge_there_are_no_taps() {
    assert!(
        World::new()
            .refused(make([1]))
            .contains("there is no bridge br-fc")
    );
}

#[test]
fn a_stale_tap_is_taken_over_or_made_anew() {
    let world = World::ready();
    world.kernel.state().link("tap-fc-1").unwrap().master = None;
    world.kernel.state().link("tap-fc-2").unwrap().owner = Some(4711);
    assert_eq!(
        world.done(make([1, 2])),
        [tap(1, Did::Adjusted), tap(2, Did::Adjusted)]
    );
    assert!(
        world
            .survey()
            .taps
            .iter()
            .all(|tap| tap.is_ready_for(OWNER))
    );
    world.kernel.state().link("tap-fc-2").unwrap().owner = None;
    world.kernel.state().link("tap-fc-2").unwrap().carrier = true;
    assert!(
        world
            .refused(make([1, 2]))
            .contains("tap-fc-2 is not a TAP of user 1000, and is in use")
    );
}

#[test]
fn a_foreign_tap_keeps_its_whole_batch_from_being_touched() {
    let world = World::ready();
    world.kernel.state().add_link("tap-fc-3");
    assert!(
        world
            .refused(make([3, 4]))
            .contains("tap-fc-3 is not banger's")
    );
    assert!(
        world
            .refused(Verb::DeleteTaps {
                slots: slots([1, 3])
            })
            .contains("tap-fc-3 is not banger's")
    );
    let swept = world.done(sweep([2], true, true));
    assert_eq!(swept, [tap(1, Did::Removed)]);
    assert!(world.kernel.state().link("tap-fc-3").is_some());
}

#[test]
fn the_limit_of_ports_is_said_before_it_is_reached() {
    let world = World::ready();
    let bridge = world
        .survey()
        .bridge
        .map(|_| world.kernel.state().link("br-fc").unwrap().index);
    for number in 0..1019 {
        let mut state = world.kernel.state();
        let name = format!("veth{number}");
        state.add_link(&name);
        state.link(&name).unwrap().master = bridge;
    }
    assert_eq!(
        world.done(make([3])),
        [tap(3, Did::Made)],
        "the last that leaves one for the probe"
    );
    let why = world.refused(make([4]));
    assert!(
        why.contains("1022 of 1023 ports, 1 more do not fit"),
        "{why}"
    );
}

#[test]
fn a_sweep_removes_what_nobody_lives_in_even_if_it_is_held_open() {
    let world = World::ready();
    world.done(policy(vec![guest(1, false)]));
    for name in ["tap-fc-1", "tap-fc-2"] {
        world.kernel.state().link(name).unwrap().carrier = true;
    }
    assert_eq!(world.done(sweep([1], true, true)), [tap(2, Did::Removed)]);
    assert_eq!(
        world.done(sweep([1], true, true)),
        [(Object::Bridge, Did::WasSo)]
    );
    let all = world.done(sweep([], false, false));
    assert_eq!(
        all,
        [
            tap(1, Did::Removed),
            (Object::Policy, Did::Removed),
            (Object::Bridge, Did::Removed)
        ]
    );
}

#[test]
fn a_sweep_removes_what_a_killed_probe_has_left() {
    let world = World::ready();
    world.kernel.state().add_link("tap-fc-probe");
    world.done(sweep([1, 2], true, true));
    assert!(
        world.kernel.state().link("tap-fc-probe").is_some(),
        "a foreign one stays"
    );
    world.kernel.state().link("tap-fc-probe").unwrap().ours = true;
    world.done(sweep([1, 2], true, true));
    assert!(world.kernel.state().link("tap-fc-probe").is_none());
}

#[test]
fn a_sweep_goes_on_after_a_failure_and_tells_it() {
    let world = World::ready();
    world.kernel.state().load("add table inet banger").unwrap();
    let fault = world.ask(sweep([], false, false)).unwrap_err();
    assert!(
        fault.to_string().contains("do not carry banger's mark"),
        "{fault}"
    );
    assert!(
        world.survey().bridge.is_none(),
        "TAPs and bridge are gone all the same"
    );
}
