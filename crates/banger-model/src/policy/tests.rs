use super::snapshot_tests::{guest, member, policy_of};
use super::*;
use crate::host_names::TapSlot;
use crate::subnet::HostPart;
use proptest::prelude::*;

fn transaction(policy: &Policy) -> String {
    Ruleset::new(policy, &Switched::default()).transaction(policy)
}

/// A thousand guests with a way out, each in two pairs and a network of ten.
fn full() -> Policy {
    let guests = (1..=1000).map(|number| {
        let n = u32::from(number);
        let networks = [n / 2, 1_000_000 + n.div_ceil(2), 4_000_000_000 + n / 10];
        Guest {
            nat: true,
            ..member(number, &networks)
        }
    });
    policy_of(16, Some(42069), guests.collect()).unwrap()
}

#[test]
fn a_thousand_guests_fit_a_packet_and_a_transaction() {
    let policy = full();
    let wire = serde_json::to_string(&policy).unwrap();
    assert!(wire.len() < 256 * 1024, "{}", wire.len());
    let text = transaction(&policy);
    assert!(text.len() < 2 * 1024 * 1024, "{}", text.len());
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
}

#[test]
fn the_most_memberships_fit_a_packet() {
    let guests = (1..=1000).map(|number| {
        let first = 4_000_000_000 + 8 * u32::from(number);
        member(
            number,
            &std::array::from_fn::<_, 8, _>(|n| first + u32::try_from(n).unwrap()),
        )
    });
    let policy = policy_of(16, Some(42069), guests.collect()).unwrap();
    assert!(serde_json::to_string(&policy).unwrap().len() < 256 * 1024);
    let one_more = member(
        1,
        &std::array::from_fn::<_, 8001, _>(|n| u32::try_from(n).unwrap()),
    );
    assert!(matches!(
        policy_of(16, None, vec![one_more]),
        Err(BadPolicy::TooManyMemberships { given: 8001 })
    ));
}

#[test]
fn guests_that_share_what_only_one_may_have_are_refused() {
    let mut same_card = guest(2);
    same_card.id = guest(1).id;
    let mut same_tap = guest(2);
    same_tap.slot = TapSlot::try_from(1).unwrap();
    let mut same_address = guest(2);
    same_address.host_part = HostPart::try_from(2).unwrap();
    for (other, what) in [
        (same_card, "hardware address"),
        (same_tap, "TAP 1"),
        (same_address, "host part"),
    ] {
        let error = policy_of(24, None, vec![guest(1), other])
            .unwrap_err()
            .to_string();
        assert!(error.replace(": ", " ").contains(what), "{error}");
    }
}

#[test]
fn guests_outside_of_the_subnet_and_too_many_are_refused() {
    assert!(policy_of(24, None, vec![guest(252)]).is_ok());
    assert!(matches!(
        policy_of(24, None, vec![guest(253)]),
        Err(BadPolicy::OutsideSubnet { part: 254, .. })
    ));
    let many = vec![guest(1); 1001];
    assert!(matches!(
        policy_of(16, None, many),
        Err(BadPolicy::TooManyGuests { given: 1001 })
    ));
}

#[test]
fn a_policy_for_the_subnet_of_another_installation_is_refused() {
    let other = Installation::from_random([9; 8]);
    let subnet = Subnet::new([172, 16, 0, 0].into(), 24, &other).unwrap();
    let mine = Installation::from_random([1; 8]);
    let policy = Policy::new(mine, BridgeName::default(), subnet, None, vec![]);
    assert!(matches!(policy, Err(BadPolicy::ForeignSubnet { .. })));
}

#[test]
fn the_order_of_guests_changes_nothing_and_everything_else_does() {
    let one = policy_of(24, None, vec![member(1, &[1]), member(2, &[1])]).unwrap();
    let other = policy_of(24, None, vec![member(2, &[1]), member(1, &[1])]).unwrap();
    assert_eq!(transaction(&one), transaction(&other));
    let mut digests = BTreeSet::from([one.digest()]);
    for changed in [
        policy_of(24, None, vec![member(1, &[1]), member(2, &[])]),
        policy_of(24, None, vec![member(1, &[1])]),
        policy_of(23, None, vec![member(1, &[1]), member(2, &[1])]),
        policy_of(24, Some(53), vec![member(1, &[1]), member(2, &[1])]),
    ] {
        assert!(digests.insert(changed.unwrap().digest()));
    }
}

#[test]
fn forwarding_is_wanted_only_where_something_needs_it() {
    let wants = |guests| {
        let policy = policy_of(24, None, guests).unwrap();
        (policy.wants_nat(), policy.wants_ipv6_forwarding())
    };
    assert_eq!(wants(vec![guest(1)]), (false, false));
    assert_eq!(wants(vec![member(1, &[1])]), (false, true));
    assert_eq!(
        wants(vec![Guest {
            nat: true,
            ..guest(1)
        }]),
        (true, true)
    );
}

#[test]
fn what_was_switched_on_is_read_back_from_the_skeleton() {
    let policy = policy_of(24, None, vec![]).unwrap();
    let switched = Switched {
        ipv4: true,
        ipv6: false,
        accept_ra: BTreeSet::from(["eth0".to_owned(), "wlan0".to_owned()]),
    };
    for state in [switched, Switched::default()] {
        assert_eq!(
            Switched::of(&Ruleset::new(&policy, &state).skeleton()),
            state
        );
    }
}

#[test]
fn a_mark_reads_back_and_other_comments_are_no_mark() {
    let policy = policy_of(24, None, vec![]).unwrap();
    let mark = Ruleset::new(&policy, &Switched::default()).mark(&policy);
    let text = transaction(&policy);
    let comment = text
        .split("\"comment\":\"")
        .find(|rest| rest.starts_with("banger:"))
        .unwrap();
    let comment = comment.split('"').next().unwrap();
    assert_eq!(Mark::parse(comment), Some(mark));
    assert!(comment.len() <= 128);
    for other in [
        "",
        "banger:",
        "banger:0123456789abcdef",
        "x",
        &format!("{comment} x"),
        &comment[1..],
    ] {
        assert_eq!(Mark::parse(other), None, "{other}");
    }
}

#[test]
fn comments_of_rules_fit_the_kernel() {
    let policy = full();
    for comment in transaction(&policy).split("\"comment\":\"").skip(1) {
        assert!(comment.split('"').next().unwrap().len() <= 128);
    }
}

proptest! {
    #[test]
    fn a_policy_reads_back_and_renders_as_json(numbers in prop::collection::btree_set(1_u16..250, 0..20), nets in prop::collection::btree_set(0_u32..5, 0..3), nat: bool) {
        let nets: Vec<_> = nets.into_iter().collect();
        let guests = numbers.iter().map(|n| Guest { nat, ..member(*n, &nets) });
        let policy = policy_of(24, Some(5353), guests.collect()).unwrap();
        let text = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy.clone());
        let tree: serde_json::Value = serde_json::from_str(&transaction(&policy)).unwrap();
        prop_assert!(tree["nftables"].as_array().unwrap().len() > 20);
    }
}
