use super::snapshot_tests::{guest, member, policy_of};
use super::*;
use crate::host_names::TapSlot;
use crate::subnet::HostPart;
use proptest::prelude::*;

fn transaction(policy: &Policy) -> String {
    Ruleset::new(policy, &Switched::default()).transaction()
}

fn comments(text: &str) -> impl Iterator<Item = &str> {
    let rest = text
        .lines()
        .filter_map(|line| line.split_once(" comment \""));
    rest.map(|(_, comment)| comment.trim_end_matches('"'))
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
    let mark = Ruleset::new(&policy, &Switched::default()).mark();
    let text = transaction(&policy);
    let comment = comments(&text).find(|c| c.starts_with("banger:")).unwrap();
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
    for comment in comments(&transaction(&policy)) {
        assert!(comment.len() <= 128);
    }
}

proptest! {
    #[test]
    fn a_policy_reads_back(numbers in prop::collection::btree_set(1_u16..250, 0..20), nets in prop::collection::btree_set(0_u32..5, 0..3), nat: bool) {
        let nets: Vec<_> = nets.into_iter().collect();
        let guests = numbers.iter().map(|n| Guest { nat, ..member(*n, &nets) });
        let policy = policy_of(24, Some(5353), guests.collect()).unwrap();
        let text = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy.clone());
    }

    #[test]
    fn elements_make_of_one_policy_any_other_with_the_same_networks(one in guests(), other in guests()) {
        let rules = |guests: Vec<Guest>| Ruleset::new(&policy_of(24, Some(5353), guests).unwrap(), &Switched::default());
        let (one, other) = (rules(one), rules(other));
        let text = other.elements(&one.skeleton()).unwrap();
        prop_assert_eq!(one.mark(), other.mark());
        prop_assert_eq!(text.is_empty(), one.skeleton() == other.skeleton());
        prop_assert_eq!(applied(one.skeleton(), &text), other.skeleton());
    }
}

/// Any guests, of which at most two are linked.
fn guests() -> impl Strategy<Value = Vec<Guest>> {
    let numbers = prop::collection::btree_map(1_u16..200, any::<bool>(), 0..12);
    numbers.prop_map(|numbers| {
        let linked: Vec<_> = numbers.keys().copied().take(2).collect();
        let guests = numbers.into_iter().map(|(number, nat)| Guest {
            nat,
            ..member(number, if linked.contains(&number) { &[3] } else { &[] })
        });
        guests.collect()
    })
}

/// What a text of additions and deletions of elements makes of a skeleton, each of which must matter.
fn applied(mut skeleton: Skeleton, text: &str) -> Skeleton {
    for line in text.lines() {
        let (head, elements) = line.split_once(" { ").unwrap();
        let [verb, "element", family, "banger", name] = head.split(' ').collect::<Vec<_>>()[..]
        else {
            panic!("{line}");
        };
        let family = Family::ALL
            .into_iter()
            .find(|f| f.name() == family)
            .unwrap();
        let mut set = skeleton.elements(family, name).unwrap().clone();
        for element in elements.strip_suffix(" }").unwrap().split(", ") {
            let parts = element.replace('"', "");
            let parts: Vec<_> = parts.split(" . ").map(str::to_owned).collect();
            assert!(match verb {
                "add" => set.insert(parts),
                "delete" => set.remove(&parts),
                _ => false,
            });
        }
        skeleton.set(family, name, set);
    }
    skeleton
}

#[test]
fn what_is_no_element_cannot_be_changed_by_elements() {
    let rules =
        |port, guests| Ruleset::new(&policy_of(24, port, guests).unwrap(), &Switched::default());
    let one = rules(Some(5353), vec![guest(1)]);
    let three = vec![member(1, &[7]), member(2, &[7]), member(3, &[7])];
    for other in [rules(Some(5354), vec![guest(1)]), rules(Some(5353), three)] {
        assert_ne!(one.mark().frame, other.mark().frame);
    }
    // The frame's digest tells a port from another, the skeleton only what is listed.
    assert_eq!(
        rules(
            Some(5353),
            vec![member(1, &[7]), member(2, &[7]), member(3, &[7])]
        )
        .elements(&one.skeleton()),
        None
    );
    assert_eq!(one.elements(&Skeleton::default()), None);
}

#[test]
fn a_note_of_what_was_listed_reads_back_and_other_comments_are_none() {
    let digest = policy_of(24, None, vec![]).unwrap().digest();
    let text = Listed::transaction(&Family::ALL.map(|family| (family, Listed(digest))));
    let [one, other] = comments(&text).collect::<Vec<_>>()[..] else {
        panic!("{text}");
    };
    assert_eq!(
        (Listed::parse(one), Listed::parse(other)),
        (Some(Listed(digest)), Some(Listed(digest)))
    );
    assert_eq!(
        (
            Listed::parse("listed:"),
            Listed::parse("banger:"),
            Mark::parse(one)
        ),
        (None, None, None)
    );
}
