//! Reading back what nft lists of our tables (libnftables-json(5)).
//!
//! Rules are known by their comments: everything else of a rule comes back in another form with each
//! version of nft. So what came back right after a load is noted in the table, and compared with what
//! comes back later. A flag of the table counts too: a dormant table has all of its rules and none works.

use crate::kernel::{Kernel, KernelError};
use banger_model::host_names::TABLE;
use banger_model::policy::{ChainSkeleton, Digest, Family, Hook, Listed, Mark, Skeleton};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::{Display, Write};

/// Both tables, as they are loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Loaded {
    /// Which of the two tables exist.
    pub(crate) families: BTreeSet<Family>,
    /// The marks that were found, one for each table at most.
    pub(crate) marks: Vec<Mark>,
    /// What was noted of each table when it was loaded.
    pub(crate) noted: Vec<(Family, Listed)>,
    /// The same of what is there now.
    pub(crate) listed: Vec<(Family, Listed)>,
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

    /// Whether nothing but elements of sets was changed since both tables were loaded and checked.
    pub(crate) fn is_whole(&self) -> bool {
        self.mark().is_some() && self.noted == self.listed
    }

    fn add(&mut self, family: Family, listing: Listing) {
        let mut frame = String::new();
        for entry in listing.nftables {
            self.entry(family, entry, &mut |line| {
                let _always_ok = writeln!(frame, "{line}");
            });
        }
        let digest = Digest::of(|out| out.write_str(&frame));
        self.listed.push((family, Listed(digest)));
    }

    fn entry(&mut self, family: Family, entry: Entry, frame: &mut dyn FnMut(&dyn Display)) {
        if let Some(table) = entry.table
            && !table.flags.is_null()
        {
            let rules = vec![table.flags.to_string()];
            let flagged = ChainSkeleton { hook: None, rules };
            self.skeleton.chain(family, "flags of the table", flagged);
            frame(&table.flags);
        }
        if let Some(set) = entry.set.or(entry.map) {
            frame(&format_args!(
                "set {} {} {}",
                set.name, set.r#type, set.flags
            ));
            let elements = set.elem.into_iter().map(Element::parts);
            self.skeleton.set(family, &set.name, elements.collect());
        }
        if let Some(chain) = entry.chain.filter(|chain| chain.name != Mark::CHAIN) {
            let name = chain.name.clone();
            let (hook, rules) = (chain.hook(), Vec::new());
            frame(&format_args!("chain {name} {hook:?}"));
            let chain = ChainSkeleton { hook, rules };
            self.skeleton.chain(family, &name, chain);
        }
        if let Some(rule) = entry.rule {
            self.rule(family, rule, frame);
        }
    }

    fn rule(&mut self, family: Family, rule: Rule, frame: &mut dyn FnMut(&dyn Display)) {
        let Rule {
            chain,
            comment,
            mut expr,
        } = rule;
        if chain == Mark::CHAIN {
            if let Some(mark) = Mark::parse(&comment) {
                return self.marks.push(mark);
            }
            if let Some(noted) = Listed::parse(&comment) {
                return self.noted.push((family, noted));
            }
        } else {
            self.skeleton.rule(family, &chain, &comment);
        }
        forget_counts(&mut expr);
        frame(&format_args!("rule {chain} {comment:?} {expr}"));
    }
}

/// Takes out what changes by itself: how many packets came.
fn forget_counts(value: &mut Value) {
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(key, value)| {
            if key == "counter" {
                *value = Value::Null;
            } else {
                forget_counts(value);
            }
        }),
        Value::Array(values) => values.iter_mut().for_each(forget_counts),
        _ => {}
    }
}

/// What nft lists of one table, as far as it is compared.
#[derive(Deserialize)]
pub struct Listing {
    nftables: Vec<Entry>,
}

#[cfg(any(test, feature = "simulated"))]
impl Listing {
    pub(crate) fn from_json(tree: Value) -> Result<Self, KernelError> {
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
    flags: Value,
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
    r#type: Value,
    #[serde(default)]
    flags: Value,
    #[serde(default)]
    elem: Vec<Element>,
}

#[derive(Deserialize)]
struct Rule {
    chain: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    expr: Value,
}

/// An element: one value, several together, or something that no set of ours has.
#[derive(Deserialize)]
#[serde(untagged)]
enum Element {
    One(String),
    Several { concat: Vec<String> },
    Other(Value),
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
