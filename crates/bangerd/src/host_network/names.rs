//! What the name server knows of the guests on the bridge: pure functions of their places.

use super::Wish;
use super::dns::{Addresses, Records, Sleeping, Visibility};
use super::rules::Place;
use banger_model::SandboxId;
use banger_model::policy::membership::{Membership, numbered};
use banger_model::subnet::Subnet;
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

fn addresses(subnet: &Subnet, place: &Place) -> [IpAddr; 2] {
    [
        subnet.guest_v4(place.host_part).into(),
        subnet.guest_v6(place.host_part).into(),
    ]
}

/// The records of all guests.
pub(super) fn records(subnet: &Subnet, places: &BTreeMap<SandboxId, Place>) -> Records {
    let record = |place: &Place| {
        let addresses = Addresses::new(addresses(subnet, place)).ok()?;
        Some((place.name.clone(), addresses))
    };
    places.values().filter_map(record).collect()
}

/// Those that are suspended, by name.
pub(super) fn sleeping(wishes: &[Wish]) -> Sleeping {
    let named = wishes
        .iter()
        .map(|wish| (wish.name.clone(), wish.membership.id));
    named.collect()
}

/// Each guest sees the names of those that it may talk to; of those that are suspended, too.
pub(super) fn visibility(
    subnet: &Subnet,
    places: &BTreeMap<SandboxId, Place>,
    asleep: &[Wish],
) -> Visibility {
    let awake = places.values().map(|p| (&p.name, &p.membership));
    let all: Vec<_> = awake
        .chain(asleep.iter().map(|w| (&w.name, &w.membership)))
        .collect();
    let members: Vec<Membership> = all.iter().map(|(_, member)| (*member).clone()).collect();
    let networks = numbered(&members);
    let mut names = BTreeMap::<_, Vec<_>>::new();
    for (name, member) in all {
        for network in networks.get(&member.id).into_iter().flatten() {
            names.entry(network).or_default().push(name);
        }
    }
    let sees = |id: &SandboxId| -> HashSet<_> {
        let shared = networks.get(id).into_iter().flatten();
        let seen = shared.filter_map(|network| names.get(network)).flatten();
        seen.map(|name| (*name).clone()).collect()
    };
    places
        .iter()
        .flat_map(|(id, place)| {
            let names = sees(id);
            addresses(subnet, place).map(|address| (address, names.clone()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_model::SandboxName;
    use banger_model::host_names::{Installation, TapSlot};

    fn place(number: u8, networks: &[&str]) -> (SandboxId, Place) {
        let id = SandboxId::from_random([number; 16]);
        let place = Place {
            slot: TapSlot::try_from(u16::from(number)).unwrap(),
            name: format!("m{number}").parse().unwrap(),
            host_part: u16::from(number + 1).try_into().unwrap(),
            nat: false,
            membership: Membership {
                id,
                networks: networks.iter().map(|n| n.parse().unwrap()).collect(),
                links: [].into(),
            },
        };
        (id, place)
    }

    #[test]
    fn each_guest_sees_those_that_it_may_talk_to_and_nobody_else() {
        let subnet = Subnet::new(
            [172, 16, 0, 0].into(),
            24,
            &Installation::from_random([1; 8]),
        );
        let subnet = subnet.unwrap();
        let places = [place(1, &["shop"]), place(2, &["shop"]), place(3, &[])].into();
        let seen = visibility(&subnet, &places, &[]);
        let of = |last: u8| {
            let names = seen.of(IpAddr::from([172, 16, 0, last])).unwrap();
            let mut names: Vec<_> = names.iter().map(SandboxName::to_string).collect();
            names.sort();
            names
        };
        assert_eq!(of(2), ["m1", "m2"]);
        assert_eq!(of(4), Vec::<String>::new());
        let records = records(&subnet, &places);
        let first = records
            .get("m1".parse::<SandboxName>().as_ref().unwrap())
            .unwrap();
        assert_eq!(first.iter().count(), 2);
    }
}
