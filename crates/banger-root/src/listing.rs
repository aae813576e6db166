//! Reading back what nft lists of our tables (libnftables-json(5)).
//!
//! Rules are known by their comments: everything else of a rule comes back in another form with each
//! version of nft. A flag of the table counts too: a dormant table has all of its rules and none works.

use crate::kernel::{Kernel, KernelError};
use banger_model::host_names::TABLE;
use banger_model::policy::{ChainSkeleton, Family, Hook, Mark, Skeleton};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Both tables, as they are loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// Which of the two tables exist.
    pub(crate) families: BTreeSet<Family>,
    /// The marks that were found, one for each table at most.
    pub(crate) marks: Vec<Mark>,
    /// Their chains and sets.
    pub(crate) skeleton: Skeleton,
}

impl Loaded {
    /// Reads both tables.
    pub(crate) fn read(kernel: &dyn Kernel) -> Result<Self, KernelError> {
        let mut loaded = Self::default();
        for (family, table) in Family::ALL.into_iter().zip(kernel.tables(TABLE)?) {
            if let Some(table) = table {
                loaded.families.insert(family);
                loaded.add(family, table);
            }
        }
        Ok(loaded)
    }

    /// The mark that both tables carry; none where one is missing, unmarked, or differs.
    pub(crate) fn mark(&self) -> Option<Mark> {
        match self.marks.as_slice() {
            [one, other] if one == other => Some(*one),
            _ => None,
        }
    }

    fn add(&mut self, family: Family, listing: Listing) {
        for entry in listing.nftables {
            self.entry(family, entry);
        }
    }

    fn entry(&mut self, family: Family, entry: Entry) {
        if let Some(table) = entry.table
            && !table.flags.is_null()
        {
            let flagged = ChainSkeleton {
                hook: None,
                rules: vec![table.flags.to_string()],
            };
            self.skeleton.chain(family, "flags of the table", flagged);
        }
        if let Some(set) = entry.set.or(entry.map) {
            let elements = set.elem.into_iter().map(Element::parts);
            self.skeleton.set(family, &set.name, elements.collect());
        }
        if let Some(chain) = entry.chain.filter(|chain| chain.name != Mark::CHAIN) {
            let rules = Vec::new();
            self.skeleton.chain(
                family,
                &chain.name.clone(),
                ChainSkeleton {
                    hook: chain.hook(),
                    rules,
                },
            );
        }
        if let Some(rule) = entry.rule {
            if rule.chain == Mark::CHAIN {
                self.marks.extend(Mark::parse(&rule.comment));
            } else {
                self.skeleton.rule(family, &rule.chain, &rule.comment);
            }
        }
    }
}

/// What nft lists of one table, as far as it is compared. Expressions are not kept.
#[derive(Deserialize)]
pub struct Listing {
    nftables: Vec<Entry>,
}

#[cfg(any(test, feature = "simulated"))]
impl Listing {
    pub(crate) fn from_json(tree: serde_json::Value) -> Result<Self, KernelError> {
        serde_json::from_value(tree).map_err(|error| KernelError::Failed(error.to_string()))
    }
}

/// One object: exactly one of these, or something that is not of interest.
#[derive(Deserialize)]
struct Entry {
    table: Option<Table>,
    chain: Option<Chain>,
    set: Option<Set>,
    map: Option<Set>,
    rule: Option<Rule>,
}

#[derive(Deserialize)]
struct Table {
    #[serde(default)]
    flags: serde_json::Value,
}

#[derive(Deserialize)]
struct Chain {
    name: String,
    r#type: Option<String>,
    hook: Option<String>,
    prio: Option<i32>,
    policy: Option<String>,
}

impl Chain {
    fn hook(self) -> Option<Hook> {
        Some(Hook {
            kind: self.r#type?,
            hook: self.hook?,
            priority: self.prio?,
            policy: self.policy?,
        })
    }
}

#[derive(Deserialize)]
struct Set {
    name: String,
    #[serde(default)]
    elem: Vec<Element>,
}

#[derive(Deserialize)]
struct Rule {
    chain: String,
    #[serde(default)]
    comment: String,
}

/// An element: one value, several together, or something that no set of ours has.
#[derive(Deserialize)]
#[serde(untagged)]
enum Element {
    One(String),
    Several { concat: Vec<String> },
    Other(serde_json::Value),
}

impl Element {
    fn parts(self) -> Vec<String> {
        match self {
            Self::One(part) => vec![part],
            Self::Several { concat } => concat,
            Self::Other(value) => vec![value.to_string()],
        }
    }
}

#[cfg(test)]
mod tests;
