use super::*;
use crate::kernel::Switch;
use banger_model::policy::NetworkId;
use banger_proto::root::{ResolverState, Whose};

const POLICY: Object = Object::Policy;
const FORWARDING: Object = Object::Forwarding;

fn switches(world: &World) -> (i32, i32, i32) {
    let state = world.kernel.state();
    let value = |switch: Switch| state.switches[&switch];
    (
        value(Switch::Ipv4Forward),
        value(Switch::Ipv6Forward),
        value(Switch::AcceptRa("eth0".to_owned())),
    )
}

#[test]
fn rules_are_loaded_once_and_removed_once() {
    let world = World::ready();
    assert_eq!(
        world.done(policy(vec![guest(1, false)])),
        [(POLICY, Did::Made)]
    );
    assert_eq!(
        world.done(policy(vec![guest(1, false)])),
        [(POLICY, Did::WasSo)]
    );
    assert_eq!(world.done(policy(vec![])), [(POLICY, Did::Adjusted)]);
    let found = world.survey().policy.unwrap();
    assert_eq!((found.whose, found.changed), (Whose::Ours, None));
    assert!(found.digest.is_some());
    assert_eq!(world.done(Verb::ClearPolicy {}), [(POLICY, Did::Removed)]);
    assert_eq!(world.done(Verb::ClearPolicy {}), [(POLICY, Did::WasSo)]);
    assert_eq!(world.survey().policy, None);
}

#[test]
fn the_survey_knows_the_policy_by_the_digest_that_the_daemon_computes() {
    let world = World::ready();
    let Verb::SetPolicy { policy: set } = policy(vec![guest(1, true)]) else {
        panic!("it is one");
    };
    world.done(policy(vec![guest(1, true)]));
    assert_eq!(world.survey().policy.unwrap().digest, Some(set.digest()));
}

#[test]
fn rules_that_another_has_changed_are_seen_and_loaded_again() {
    let world = World::ready();
    world.done(policy(vec![guest(1, false)]));
    let rule = r#"{"nftables":[{"add":{"rule":{"family":"inet","table":"banger","chain":"to_host","expr":[{"accept":null}]}}}]}"#;
    world.kernel.state().load(rule).unwrap();
    assert!(world.survey().policy.unwrap().changed.is_some());
    assert_eq!(
        world.done(policy(vec![guest(1, false)])),
        [(POLICY, Did::Adjusted)]
    );
    assert_eq!(world.survey().policy.unwrap().changed, None);
}

#[test]
fn tables_of_another_installation_or_program_are_not_touched() {
    let other = r#"{"nftables":[{"add":{"table":{"family":"inet","name":"banger"}}},{"add":{"chain":{"family":"inet","table":"banger","name":"installation"}}},{"add":{"rule":{"family":"inet","table":"banger","chain":"installation","comment":"banger:0202020202020202 0000000000000000 0000000000000000","expr":[]}}}]}"#;
    let nobodys = r#"{"nftables":[{"add":{"table":{"family":"bridge","name":"banger"}}}]}"#;
    for (table, why) in [
        (other, "belong to installation 0202020202020202"),
        (nobodys, "do not carry banger's mark"),
    ] {
        let world = World::ready();
        world.kernel.state().load(table).unwrap();
        for verb in [policy(vec![]), Verb::ClearPolicy {}] {
            let said = world.refused(verb);
            assert!(said.contains(why), "{said}");
        }
        assert!(!world.survey().policy.unwrap().whose.is_ours());
    }
}

#[test]
fn forwarding_is_switched_on_for_the_first_way_out_and_off_with_the_last() {
    let world = World::ready();
    world.done(policy(vec![guest(1, false)]));
    assert_eq!(switches(&world), (0, 0, 1));
    assert_eq!(
        world.done(policy(vec![guest(1, true)])),
        [(POLICY, Did::Adjusted), (FORWARDING, Did::Adjusted)]
    );
    assert_eq!(
        switches(&world),
        (1, 1, 2),
        "and the host still listens to its router"
    );
    let forwarding = world.survey().forwarding;
    assert!(forwarding.ipv4 && forwarding.ipv4_by_us && forwarding.ipv6_by_us);
    assert_eq!(
        world.done(policy(vec![guest(1, true), guest(2, true)])),
        [(POLICY, Did::Adjusted)]
    );
    assert_eq!(
        world.done(policy(vec![guest(1, false)])),
        [(POLICY, Did::Adjusted), (FORWARDING, Did::Adjusted)]
    );
    assert_eq!(switches(&world), (0, 0, 1));
    assert_eq!(
        world.kernel.state().switches[&Switch::BridgeIpv4],
        1,
        "the bridge goes on"
    );
}

#[test]
fn clearing_the_policy_takes_the_forwarding_back() {
    let world = World::ready();
    world.done(policy(vec![guest(1, true)]));
    assert_eq!(
        world.done(Verb::ClearPolicy {}),
        [(POLICY, Did::Removed), (FORWARDING, Did::Removed)]
    );
    assert_eq!(switches(&world), (0, 0, 1));
}

#[test]
fn forwarding_that_was_on_before_stays_on() {
    let world = World::ready();
    for switch in [Switch::Ipv4Forward, Switch::Ipv6Forward] {
        world.kernel.state().switches.insert(switch, 1);
    }
    assert_eq!(
        world.done(policy(vec![guest(1, true)])),
        [(POLICY, Did::Made)]
    );
    world.done(Verb::ClearPolicy {});
    assert_eq!(switches(&world), (1, 1, 1));
}

#[test]
fn linked_guests_need_ipv6_forwarding_only() {
    let world = World::ready();
    let linked = |number| Guest {
        networks: BTreeSet::from([NetworkId(1)]),
        ..guest(number, false)
    };
    world.done(policy(vec![linked(1), linked(2)]));
    assert_eq!(switches(&world), (0, 1, 2));
}

#[test]
fn the_resolver_is_told_once_and_forgets_once() {
    let world = World::ready();
    let dns_port = NonZeroU16::new(42069).unwrap();
    let set = || Verb::SetResolver { dns_port };
    assert_eq!(world.survey().resolver, ResolverState::Unset);
    assert_eq!(world.done(set()), [(Object::Resolver, Did::Made)]);
    assert_eq!(world.done(set()), [(Object::Resolver, Did::WasSo)]);
    assert_eq!(world.survey().resolver, ResolverState::Set(dns_port));
    assert_eq!(
        world.kernel.state().resolved.as_ref().unwrap()["default-route"],
        "no"
    );
    assert_eq!(
        world.done(Verb::ClearResolver {}),
        [(Object::Resolver, Did::Removed)]
    );
    assert_eq!(
        world.done(Verb::ClearResolver {}),
        [(Object::Resolver, Did::WasSo)]
    );
}

#[test]
fn a_host_without_resolved_is_told_so() {
    let world = World::ready();
    world.kernel.state().resolved = None;
    let dns_port = NonZeroU16::new(42069).unwrap();
    assert_eq!(
        world.done(Verb::SetResolver { dns_port }),
        [(Object::Resolver, Did::Unavailable)]
    );
    assert_eq!(
        world.done(Verb::ClearResolver {}),
        [(Object::Resolver, Did::Unavailable)]
    );
    assert_eq!(world.survey().resolver, ResolverState::Unavailable);
}

#[test]
fn a_link_with_other_servers_is_known_as_such() {
    let world = World::ready();
    let other = [("dns", "9.9.9.9"), ("domain", "~vm")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    world.kernel.state().resolved = Some(other.into());
    assert_eq!(world.survey().resolver, ResolverState::Other);
}
