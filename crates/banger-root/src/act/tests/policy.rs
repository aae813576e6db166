use super::*;
use crate::kernel::Switch;
use crate::listing::Loaded;
use banger_model::policy::{Listed, NetworkId, Policy, Ruleset, Switched};
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
    let rule = "add rule inet banger to_host accept";
    world.kernel.state().load(rule).unwrap();
    assert!(world.survey().policy.unwrap().changed.is_some());
    assert_eq!(
        world.done(policy(vec![guest(1, false)])),
        [(POLICY, Did::Adjusted)]
    );
    assert_eq!(world.survey().policy.unwrap().changed, None);
}

/// As somebody does who saves the host's rules, edits the file and loads it again.
#[test]
fn a_rule_that_says_something_else_under_the_same_comment_is_seen_and_loaded_again() {
    let world = World::ready();
    let Verb::SetPolicy { policy: set } = policy(vec![guest(1, false)]) else {
        panic!("it is one");
    };
    world.done(policy(vec![guest(1, false)]));
    let loaded = Loaded::read(&world.kernel).unwrap();
    let text = Ruleset::new(&set, &Switched::default()).transaction();
    let edited = text.replace("icmp type echo-request accept", "accept");
    assert_ne!(text, edited);
    let edited = edited + &Listed::transaction(&loaded.noted);
    world.kernel.state().load(&edited).unwrap();
    let changed = world.survey().policy.unwrap().changed;
    assert_eq!(
        changed.as_deref(),
        Some("a chain, rule or set of table inet banger")
    );
    assert_eq!(
        world.done(policy(vec![guest(1, false)])),
        [(POLICY, Did::Adjusted)]
    );
    assert_eq!(Loaded::read(&world.kernel).unwrap(), loaded);
}

#[test]
fn a_load_that_was_not_checked_is_no_whole_one() {
    let world = World::ready();
    let before = world.kernel.state().changes;
    world.done(policy(vec![]));
    let changes = world.kernel.state().changes - before;
    assert_eq!(changes, 2, "the rules, and what was listed of them");
    world.done(Verb::ClearPolicy {});
    world.kernel.state().changes_left = Some(1);
    world.ask(policy(vec![])).unwrap_err();
    world.kernel.state().changes_left = None;
    assert!(world.survey().policy.unwrap().changed.is_some());
    assert_eq!(world.done(policy(vec![])), [(POLICY, Did::Adjusted)]);
    assert_eq!(world.survey().policy.unwrap().changed, None);
}

#[test]
fn guests_that_come_and_go_change_elements_alone_and_once() {
    let world = World::ready();
    world.done(policy(vec![guest(1, false)]));
    let objects = |world: &World| {
        let mut loaded = Loaded::read(&world.kernel).unwrap();
        loaded.skeleton = Default::default();
        loaded
    };
    let before = objects(&world);
    for guests in [
        vec![guest(1, false), guest(2, false)],
        vec![guest(2, true), guest(3, false)],
        vec![],
    ] {
        let changes = world.kernel.state().changes;
        let did = world.done(policy(guests.clone()));
        assert_eq!(did[0], (POLICY, Did::Adjusted));
        if did.len() == 1 {
            assert_eq!(world.kernel.state().changes, changes + 1, "one transaction");
        }
        assert_eq!(objects(&world), before);
        assert_eq!(world.done(policy(guests)), [(POLICY, Did::WasSo)]);
    }
}

#[test]
fn another_port_of_names_is_loaded_though_every_comment_is_the_same() {
    let world = World::ready();
    world.done(policy(vec![guest(1, false)]));
    let Verb::SetPolicy { policy: set } = policy(vec![guest(1, false)]) else {
        panic!("it is one");
    };
    let port = NonZeroU16::new(42070);
    let (bridge, guests) = (set.bridge().clone(), set.guests().to_vec());
    let other = Policy::new(set.installation(), bridge, *set.subnet(), port, guests).unwrap();
    let digest = other.digest();
    let did = world.done(Verb::SetPolicy { policy: other });
    assert_eq!(did, [(POLICY, Did::Adjusted)]);
    assert_eq!(world.survey().policy.unwrap().digest, Some(digest));
}

#[test]
fn rules_that_are_not_as_they_were_loaded_open_no_way_out() {
    let world = World::ready();
    // Another program that is always a little later.
    world.kernel.state().after_next_apply = Some("add rule inet banger to_host accept".to_owned());
    let fault = world.ask(policy(vec![guest(1, true)])).unwrap_err();
    let said = "the chain to_host of table inet banger is not what was loaded a moment ago";
    assert!(fault.to_string().contains(said), "{fault}");
    assert_eq!(switches(&world), (0, 0, 1));
    world.done(policy(vec![guest(1, true)]));
    assert_eq!(switches(&world), (1, 1, 2));
}

#[test]
fn elements_that_another_takes_away_in_between_do_not_keep_the_rules_from_being_loaded() {
    let world = World::ready();
    world.done(policy(vec![guest(1, false), guest(2, false)]));
    world.kernel.state().before_next_apply =
        Some("delete element bridge banger cards { \"tap-fc-2\" . 06:00:02:00:00:00 }".to_owned());
    assert_eq!(
        world.done(policy(vec![guest(1, false)])),
        [(POLICY, Did::Adjusted)]
    );
    assert_eq!(
        world.done(policy(vec![guest(1, false)])),
        [(POLICY, Did::WasSo)]
    );
}

#[test]
fn tables_of_another_installation_or_program_are_not_touched() {
    let other = "add table inet banger\nadd chain inet banger installation\n\
        add rule inet banger installation return comment \"banger:0202020202020202 0000000000000000\"";
    let nobodys = "add table bridge banger";
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
