//! Removing many links at once.

use crate::Outcome;
use crate::links::{self, ClaimError, Link, Marked};
use crate::netlink::{Error, Netlink};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};

/// What became of each link of a deletion.
pub type Deleted = Vec<(Marked, Result<Outcome, ClaimError>)>;

/// Removes many links; a link that is not the caller's any more stays, and the others go.
///
/// A removal waits several times until every processor has passed a quiet point (RCU), about 20 ms.
/// Links of one group are removed together and wait together, so they are put into a group of their own
/// first. Measured on two cores under Linux 6.18, TAPs on a bridge: 64 one by one take 1.3 s, by eight
/// threads 0.24 s, as a group 0.06 s; 200 take 4.3 s, 0.74 s and 0.25 s.
pub fn delete(netlink: &Netlink, taps: Vec<Marked>) -> Result<Deleted, Error> {
    if taps.len() < 2 {
        let alone = taps.into_iter().map(|tap| {
            let result = links::delete(netlink, &tap);
            (tap, result)
        });
        return Ok(alone.collect());
    }
    let present = by_index(links::list(netlink)?);
    let group = unused_group(&present)?;
    let prepared = taps.into_iter().map(|tap| {
        let result = put_into_group(netlink, &tap, present.get(&tap.index()), group);
        (tap, result)
    });
    let prepared = prepared.collect();
    delete_prepared(netlink, prepared, group)
}

/// Removes those that were put into the group.
fn delete_prepared(netlink: &Netlink, prepared: Deleted, group: u32) -> Result<Deleted, Error> {
    let is_prepared = |result: &Result<Outcome, ClaimError>| matches!(result, Ok(Outcome::Made));
    let ours: BTreeSet<u32> = prepared
        .iter()
        .filter(|(_, result)| is_prepared(result))
        .map(|(tap, _)| tap.index())
        .collect();
    let present = links::list(netlink)?;
    let mut members = present.iter().filter(|link| link.group == group);
    if members.all(|link| ours.contains(&link.index)) {
        return match links::delete_group(netlink, group) {
            // None is left of them: somebody else was faster.
            Err(error) if error.refused() != Some(Errno::NODEV) => Err(error),
            _ => Ok(prepared),
        };
    }
    // Somebody has put a link of theirs into this very group since.
    let one_by_one = prepared.into_iter().map(|(tap, result)| {
        let result = if is_prepared(&result) {
            links::delete(netlink, &tap)
        } else {
            result
        };
        (tap, result)
    });
    Ok(one_by_one.collect())
}

fn by_index(links: Vec<Link>) -> BTreeMap<u32, Link> {
    links.into_iter().map(|link| (link.index, link)).collect()
}

/// A number that nobody uses: chosen at random, so that nobody can wait for it.
fn unused_group(present: &BTreeMap<u32, Link>) -> Result<u32, Error> {
    loop {
        let mut bytes = [0; 4];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).map_err(
            |source| Error::Connection {
                asked: "a group of links".to_owned(),
                source,
            },
        )?;
        // Positive as an `int`, and beyond the few that people name in /etc/iproute2/group.
        let group = u32::from_ne_bytes(bytes) >> 1 | 1 << 30;
        if present.values().all(|link| link.group != group) {
            return Ok(group);
        }
    }
}

fn put_into_group(
    netlink: &Netlink,
    tap: &Marked,
    found: Option<&Link>,
    group: u32,
) -> Result<Outcome, ClaimError> {
    let Some(found) = found else {
        return Ok(Outcome::WasSoAlready);
    };
    links::verify(found, tap.name(), tap.mark())?;
    match links::set_group(netlink, tap, group) {
        Ok(()) => Ok(Outcome::Made),
        Err(error) if error.refused() == Some(Errno::NODEV) => Ok(Outcome::WasSoAlready),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod t2 {
    use super::*;
    use crate::links::Change;
    use crate::names::{InterfaceName, Mark};
    use crate::namespaces;
    use crate::taps::{NewTap, create};

    fn make(netlink: &Netlink, name: &str, mark: &Mark) -> Marked {
        let name = InterfaceName::parse(name).expect("a name");
        let change = Change::default();
        let tap = NewTap {
            name: &name,
            mark,
            owner: 0,
            change,
            isolated: false,
        };
        create(netlink, &tap).expect("these tests need root")
    }

    #[test]
    fn a_stranger_that_joins_the_group_of_a_deletion_is_spared() {
        let left = namespaces::in_fresh(|| {
            let netlink = &Netlink::open().expect("a connection");
            let mark = |text| Mark::parse(text).expect("a mark");
            let taps = ["t1", "t2"].map(|name| make(netlink, name, &mark("ours")));
            let stranger = make(netlink, "t3", &mark("theirs"));
            for tap in taps.iter().chain([&stranger]) {
                links::set_group(netlink, tap, 77).expect("set");
            }
            let prepared = taps.map(|tap| (tap, Ok(Outcome::Made))).to_vec();
            let deleted = delete_prepared(netlink, prepared, 77).expect("asked");
            assert!(
                deleted
                    .iter()
                    .all(|(_, result)| *result == Ok(Outcome::Made))
            );
            let left = links::list(netlink).expect("read");
            left.into_iter().map(|link| link.name).collect::<Vec<_>>()
        });
        assert_eq!(left.expect("a namespace"), ["lo", "t3"]);
    }

    #[test]
    fn a_group_that_somebody_else_has_emptied_is_no_failure() {
        let deleted = namespaces::in_fresh(|| {
            let netlink = &Netlink::open().expect("a connection");
            let mark = Mark::parse("ours").expect("a mark");
            let taps = ["t1", "t2"].map(|name| make(netlink, name, &mark));
            for tap in &taps {
                links::delete(netlink, tap).expect("gone");
            }
            let prepared = taps.map(|tap| (tap, Ok(Outcome::Made))).to_vec();
            delete_prepared(netlink, prepared, 77).map(|deleted| deleted.len())
        });
        assert_eq!(deleted.expect("a namespace"), Ok(2));
    }
}
