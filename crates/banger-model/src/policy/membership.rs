//! Which networks each guest belongs to, by number, from names and links.

use super::{Digest, NetworkId};
use crate::{SandboxId, SandboxName};
use std::collections::{BTreeMap, BTreeSet};

/// What one sandbox's spec says about whom it may talk to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The sandbox.
    pub id: SandboxId,
    /// The shared networks that it belongs to.
    pub networks: BTreeSet<SandboxName>,
    /// The sandboxes that it may talk to, and they to it.
    pub links: BTreeSet<SandboxId>,
}

/// The numbers of all networks that have at least two of these members: a shared network is one, each
/// pair that is linked is one. A shared network keeps its number whoever joins or leaves it, so that the
/// rules for it stay; a collision of two names is the exception.
#[must_use]
pub fn numbered(members: &[Membership]) -> BTreeMap<SandboxId, BTreeSet<NetworkId>> {
    let mut numbers = BTreeMap::<SandboxId, BTreeSet<_>>::new();
    let mut give = |number, group: BTreeSet<SandboxId>| {
        for id in group {
            numbers.entry(id).or_default().insert(NetworkId(number));
        }
    };
    let names: BTreeSet<_> = members.iter().flat_map(|member| &member.networks).collect();
    let mut taken = BTreeSet::new();
    for name in names {
        let of_name = members.iter().filter(|m| m.networks.contains(name));
        let group: BTreeSet<_> = of_name.map(|member| member.id).collect();
        if group.len() > 1 {
            let mut number = number_of(name);
            while !taken.insert(number) {
                number = number.wrapping_add(1) | OF_NAMES;
            }
            give(number, group);
        }
    }
    let present: BTreeSet<_> = members.iter().map(|member| member.id).collect();
    let links = members.iter().flat_map(|member| {
        let others = member.links.intersection(&present);
        others.map(|other| BTreeSet::from([member.id, *other]))
    });
    let pairs: BTreeSet<_> = links.filter(|pair| pair.len() > 1).collect();
    (1..)
        .zip(pairs)
        .for_each(|(number, pair)| give(number, pair));
    numbers
}

/// Numbers from here on are of shared networks, those below of pairs.
const OF_NAMES: u32 = 1 << 31;

fn number_of(name: &SandboxName) -> u32 {
    let [.., a, b, c, d] = Digest::of(|out| write!(out, "{name}")).to_bytes();
    u32::from_be_bytes([a, b, c, d]) | OF_NAMES
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: u8) -> SandboxId {
        SandboxId::from_random([number; 16])
    }

    fn member(number: u8, networks: &[&str], links: &[u8]) -> Membership {
        Membership {
            id: id(number),
            networks: networks.iter().map(|n| n.parse().unwrap()).collect(),
            links: links.iter().map(|other| id(*other)).collect(),
        }
    }

    fn may_talk(members: &[Membership], one: u8, two: u8) -> bool {
        let numbers = numbered(members);
        match (numbers.get(&id(one)), numbers.get(&id(two))) {
            (Some(a), Some(b)) => !a.is_disjoint(b),
            _ => false,
        }
    }

    #[test]
    fn members_of_one_network_may_talk_and_others_may_not() {
        let all = [
            member(1, &["shop"], &[]),
            member(2, &["shop", "other"], &[]),
            member(3, &["other"], &[]),
            member(4, &[], &[]),
        ];
        assert!(may_talk(&all, 1, 2) && may_talk(&all, 2, 3));
        assert!(!may_talk(&all, 1, 3) && !may_talk(&all, 1, 4));
    }

    #[test]
    fn a_link_holds_for_both_whoever_asked_for_it_and_for_nobody_else() {
        let all = [
            member(1, &[], &[2]),
            member(2, &[], &[]),
            member(3, &[], &[2]),
        ];
        assert!(may_talk(&all, 1, 2) && may_talk(&all, 3, 2));
        assert!(!may_talk(&all, 1, 3));
    }

    #[test]
    fn who_is_alone_or_linked_to_nobody_that_runs_has_no_network() {
        assert!(numbered(&[member(1, &["shop"], &[1, 9])]).is_empty());
    }

    #[test]
    fn a_shared_network_keeps_its_number_whoever_joins_or_leaves() {
        let number = |members: &[Membership]| numbered(members)[&id(1)].clone();
        let two = [member(1, &["shop"], &[]), member(2, &["shop"], &[])];
        let others = [
            member(0, &["a", "shop"], &[]),
            member(3, &["a"], &[0]),
            member(9, &["z"], &[3]),
        ];
        let all: Vec<_> = two.iter().chain(&others).cloned().collect();
        assert_eq!(number(&two), number(&all));
        assert_ne!(
            number(&two),
            number(
                &all.iter()
                    .map(|m| Membership {
                        networks: m
                            .networks
                            .iter()
                            .map(|n| format!("{n}x").parse().unwrap())
                            .collect(),
                        ..m.clone()
                    })
                    .collect::<Vec<_>>()
            )
        );
    }

    proptest! {
        #[test]
        fn two_may_talk_exactly_if_they_share_a_name_or_a_link(
            networks in proptest::collection::vec(proptest::collection::btree_set(0_u8..4, 0..3), 2..6),
            links in proptest::collection::vec((0_u8..6, 0_u8..6), 0..5),
        ) {
            let names = ["a", "b", "c", "d"];
            let members: Vec<_> = (0_u8..).zip(&networks).map(|(number, of)| {
                let of: Vec<_> = of.iter().map(|n| names[usize::from(*n)]).collect();
                let to: Vec<_> = links.iter().filter(|(from, _)| *from == number).map(|(_, to)| *to).collect();
                member(number, &of, &to)
            }).collect();
            for (one, a) in (0_u8..).zip(&networks) {
                for (two, b) in (0_u8..).zip(&networks).filter(|(two, _)| *two != one) {
                    let linked = links.contains(&(one, two)) || links.contains(&(two, one));
                    prop_assert_eq!(may_talk(&members, one, two), linked || !a.is_disjoint(b));
                }
            }
        }
    }
}
