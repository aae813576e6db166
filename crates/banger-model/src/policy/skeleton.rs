//! What of a ruleset can be compared after the kernel has had it: chains, the order of their rules
//! by comment, and the elements of sets. Expressions come back in another form with every version
//! of nft; comments and elements do not. What nft lists of expressions is compared with what it listed
//! before, see [`super::Listed`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

/// Which packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Frames that pass a bridge.
    Bridge,
    /// IPv4 and IPv6 packets.
    Inet,
}

impl Family {
    /// Both, in the order in which they are written.
    pub const ALL: [Self; 2] = [Self::Bridge, Self::Inet];

    /// Its name in nftables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Inet => "inet",
        }
    }
}

/// Where a base chain is hooked in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hook {
    /// `filter` or `nat`.
    pub kind: String,
    /// `prerouting`, `input`, `forward`, `output` or `postrouting`.
    pub hook: String,
    /// Lower comes first.
    pub priority: i32,
    /// What happens to a packet that no rule decides.
    pub policy: String,
}

/// A chain: its hook, if it has one, and its rules' comments in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainSkeleton {
    /// Where it is hooked in; none for a chain that others jump to.
    pub hook: Option<Hook>,
    /// The comment of each rule; a rule without one is an empty text.
    pub rules: Vec<String>,
}

/// Chains and sets of both tables. The chain that carries the mark is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skeleton {
    chains: BTreeMap<(Family, String), ChainSkeleton>,
    sets: BTreeMap<(Family, String), BTreeSet<Vec<String>>>,
}

impl Skeleton {
    /// Adds a chain.
    pub fn chain(&mut self, family: Family, name: &str, chain: ChainSkeleton) {
        self.chains.insert((family, name.to_owned()), chain);
    }

    /// Adds a rule by its comment to the end of its chain.
    pub fn rule(&mut self, family: Family, chain: &str, comment: &str) {
        let chain = self.chains.entry((family, chain.to_owned())).or_default();
        chain.rules.push(comment.to_owned());
    }

    /// Adds a set with its elements, each a list of its parts as nft prints them.
    pub fn set(&mut self, family: Family, name: &str, elements: BTreeSet<Vec<String>>) {
        self.sets.insert((family, name.to_owned()), elements);
    }

    /// The elements of a set; none where there is no such set.
    #[must_use]
    pub fn elements(&self, family: Family, name: &str) -> Option<&BTreeSet<Vec<String>>> {
        self.sets.get(&(family, name.to_owned()))
    }

    /// Whether chains and rules are those of `other`, and the sets are of the same names; their elements
    /// do not matter.
    #[must_use]
    pub fn has_frame_of(&self, other: &Self) -> bool {
        self.chains == other.chains && self.sets.keys().eq(other.sets.keys())
    }

    /// Writes the elements of all sets that `which` takes.
    pub(super) fn write_sets(
        &self,
        out: &mut dyn Write,
        which: impl Fn(&str) -> bool,
    ) -> fmt::Result {
        let mut sets = self.sets.iter().filter(|((_, name), _)| which(name));
        sets.try_for_each(|((family, name), elements)| {
            writeln!(out, "set {family:?} {name:?} {elements:?}")
        })
    }

    /// What differs from `other`, in one line; none when they are the same.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        let chains = different(&self.chains, &other.chains).map(|name| ("chain", name));
        let sets = || different(&self.sets, &other.sets).map(|name| ("set", name));
        let (what, (family, name)) = chains.or_else(sets)?;
        Some(format!(
            "the {what} {name} of table {} {}",
            family.name(),
            crate::host_names::TABLE
        ))
    }
}

/// The first key whose value is not the same on both sides.
fn different<'a, K: Ord, V: PartialEq>(
    one: &'a BTreeMap<K, V>,
    other: &'a BTreeMap<K, V>,
) -> Option<&'a K> {
    let changed = one
        .iter()
        .find(|(key, value)| other.get(*key) != Some(value));
    let added = || other.iter().find(|(key, _)| !one.contains_key(*key));
    changed.or_else(added).map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skeleton() -> Skeleton {
        let mut skeleton = Skeleton::default();
        skeleton.chain(Family::Inet, "input", ChainSkeleton::default());
        skeleton.rule(Family::Inet, "input", "a");
        skeleton.rule(Family::Inet, "input", "b");
        skeleton.set(
            Family::Bridge,
            "macs",
            BTreeSet::from([vec!["x".to_owned()]]),
        );
        skeleton
    }

    #[test]
    fn whatever_is_changed_is_named_and_elements_are_no_part_of_the_frame() {
        let mut changes: Vec<(&str, Skeleton)> = Vec::new();
        let mut added = skeleton();
        added.rule(Family::Inet, "input", "");
        changes.push(("the chain input of table inet banger", added));
        let mut hooked = skeleton();
        hooked.chain(Family::Inet, "output", ChainSkeleton::default());
        changes.push(("the chain output of table inet banger", hooked));
        let mut emptied = skeleton();
        emptied.set(Family::Bridge, "macs", BTreeSet::new());
        changes.push(("the set macs of table bridge banger", emptied));
        changes.push(("the chain input of table inet banger", Skeleton::default()));
        for (name, changed) in changes {
            assert_eq!(skeleton().difference(&changed).as_deref(), Some(name));
            let same_frame = name.starts_with("the set");
            assert_eq!(skeleton().has_frame_of(&changed), same_frame);
        }
        assert_eq!(skeleton().difference(&skeleton()), None);
    }

    #[test]
    fn the_order_of_rules_matters() {
        let mut other = Skeleton::default();
        other.chain(Family::Inet, "input", ChainSkeleton::default());
        other.rule(Family::Inet, "input", "b");
        other.rule(Family::Inet, "input", "a");
        other.set(
            Family::Bridge,
            "macs",
            BTreeSet::from([vec!["x".to_owned()]]),
        );
        assert!(skeleton().difference(&other).is_some());
    }
}
