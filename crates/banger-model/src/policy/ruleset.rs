//! A ruleset, and its text for one transaction of nft(8).

use super::digest::Digest;
use super::skeleton::{ChainSkeleton, Family, Hook, Skeleton};
use super::switched::Switched;
use super::{Policy, rules};
use crate::host_names::{Installation, TABLE};
use std::collections::BTreeSet;
use std::fmt::{self, Write};

/// A named set.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) name: String,
    /// What its elements consist of, as nft declares it; an interface comes first.
    key: &'static str,
    /// Each element by its parts, as nft lists them.
    elements: BTreeSet<Vec<String>>,
}

impl Set {
    pub(super) fn new(name: impl Into<String>, key: &'static str) -> Self {
        Self {
            name: name.into(),
            key,
            elements: BTreeSet::new(),
        }
    }

    pub(super) fn add(&mut self, parts: impl Into<Vec<String>>) {
        self.elements.insert(parts.into());
    }

    #[cfg(test)]
    pub(super) const fn elements(&self) -> &BTreeSet<Vec<String>> {
        &self.elements
    }

    fn write_element(&self, out: &mut dyn Write, parts: &[String]) -> fmt::Result {
        for (index, part) in parts.iter().enumerate() {
            match index {
                0 if self.key.contains("ifname") => write!(out, "\"{part}\"")?,
                0 => out.write_str(part)?,
                _ => write!(out, " . {part}")?,
            }
        }
        Ok(())
    }

    /// `{ a, b }`.
    fn write_elements<'a>(
        &self,
        out: &mut dyn Write,
        elements: impl Iterator<Item = &'a Vec<String>>,
    ) -> fmt::Result {
        let mut before = "{ ";
        for element in elements {
            out.write_str(before)?;
            self.write_element(out, element)?;
            before = ", ";
        }
        out.write_str(" }")
    }
}

/// A rule: what it says, and its comment, by which it is found again.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) comment: String,
    pub(super) statements: String,
}

/// A chain.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) name: &'static str,
    pub(super) hook: Option<Hook>,
    pub(super) rules: Vec<Rule>,
}

/// A table's content. Sets and chains stand before the rules that name them.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) sets: Vec<Set>,
    pub(super) chains: Vec<Chain>,
}

/// Both tables of a policy.
#[derive(Debug)]
pub struct Ruleset {
    installation: Installation,
    tables: [(Family, Table); 2],
}

/// Whose a loaded table is, and what it was made as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Whose it is.
    pub installation: Installation,
    /// Everything of both tables but the elements of sets.
    pub frame: Digest,
}

impl Mark {
    /// The chain that carries it, without a hook: nothing passes it. nft 1.0.6 drops the comments of
    /// tables and sets in its JSON; those of rules stay.
    pub const CHAIN: &'static str = "installation";

    /// Reads the comment of the chain's first rule; none for any other text.
    #[must_use]
    pub fn parse(comment: &str) -> Option<Self> {
        let (installation, frame) = comment.strip_prefix("banger:")?.split_once(' ')?;
        Some(Self {
            installation: installation.parse().ok()?,
            frame: frame.parse().ok()?,
        })
    }

    /// 40 bytes; nftables keeps 128 (`NFTNL_UDATA_COMMENT_MAXLEN`, libnftnl).
    fn comment(&self) -> String {
        format!("{} {}", self.installation.mark(), self.frame)
    }

    /// The digest of the policy that these tables hold; see [`Policy::digest`].
    #[must_use]
    pub fn policy(&self, loaded: &Skeleton) -> Digest {
        Digest::of(|out| {
            writeln!(out, "{} {}", self.installation, self.frame)?;
            loaded.write_sets(out, |name| !Switched::SETS.contains(&name))
        })
    }
}

/// What nft listed of a table right after it was loaded, noted in the table: a rule that is changed
/// later is seen, though nft lists expressions in another form than they were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed(pub Digest);

impl Listed {
    /// Reads the comment of the second rule in [`Mark::CHAIN`]; none for any other text.
    #[must_use]
    pub fn parse(comment: &str) -> Option<Self> {
        comment.strip_prefix("listed:")?.parse().ok().map(Self)
    }

    /// The text that notes them, each in its table.
    #[must_use]
    pub fn transaction(listed: &[(Family, Self)]) -> String {
        let lines = listed.iter().map(|(family, Self(digest))| {
            let (family, chain) = (family.name(), Mark::CHAIN);
            format!("add rule {family} {TABLE} {chain} return comment \"listed:{digest}\"\n")
        });
        lines.collect()
    }
}

impl Ruleset {
    /// The rules of a policy.
    #[must_use]
    pub fn new(policy: &Policy, switched: &Switched) -> Self {
        let mut inet = rules::inet(policy);
        inet.sets.extend(switched.sets());
        Self {
            installation: policy.installation(),
            tables: [
                (Family::Bridge, rules::bridge(policy)),
                (Family::Inet, inet),
            ],
        }
    }

    /// The text for `nft -f -`: whatever the two tables were, they are this afterwards, or unchanged
    /// if anything is refused.
    #[must_use]
    pub fn transaction(&self) -> String {
        let mark = self.mark().comment();
        let mut text = removal();
        // A text takes everything that is written into it.
        let _always_ok = self.tables.iter().try_for_each(|(family, table)| {
            table.write(&mut text, *family, true)?;
            let (family, chain) = (family.name(), Mark::CHAIN);
            writeln!(text, "add chain {family} {TABLE} {chain}")?;
            writeln!(
                text,
                "add rule {family} {TABLE} {chain} return comment \"{mark}\""
            )
        });
        text
    }

    /// The text that changes nothing but elements of sets, if that is all it takes to make these rules
    /// of what is loaded; empty if nothing differs.
    ///
    /// Nobody waits for it as for a whole replacement: the kernel has nothing to free as long as
    /// elements are only added. In between no packet sees half of it either.
    #[must_use]
    pub fn elements(&self, loaded: &Skeleton) -> Option<String> {
        if !loaded.has_frame_of(&self.skeleton()) {
            return None;
        }
        let mut text = String::new();
        for (family, set) in self.sets() {
            let present = loaded.elements(family, &set.name)?;
            let gone = present.difference(&set.elements);
            let new = set.elements.difference(present);
            for (verb, elements) in [("delete", gone), ("add", new)] {
                let mut elements = elements.peekable();
                if elements.peek().is_some() {
                    let (family, name) = (family.name(), &set.name);
                    let _always_ok = write!(text, "{verb} element {family} {TABLE} {name} ");
                    let _always_ok = set.write_elements(&mut text, elements);
                    text.push('\n');
                }
            }
        }
        Some(text)
    }

    fn sets(&self) -> impl Iterator<Item = (Family, &Set)> {
        let tables = self.tables.iter();
        tables.flat_map(|(family, table)| table.sets.iter().map(|set| (*family, set)))
    }

    /// What the loaded tables will say of themselves.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let mut tables = self.tables.iter();
        Mark {
            installation: self.installation,
            frame: Digest::of(|out| {
                tables.try_for_each(|(family, table)| table.write(out, *family, false))
            }),
        }
    }

    /// What the kernel has to list after the transaction.
    #[must_use]
    pub fn skeleton(&self) -> Skeleton {
        let mut skeleton = Skeleton::default();
        for (family, set) in self.sets() {
            skeleton.set(family, &set.name, set.elements.clone());
        }
        for (family, table) in &self.tables {
            for chain in &table.chains {
                let rules = chain.rules.iter().map(|rule| rule.comment.clone());
                let hook = chain.hook.clone();
                let rules = rules.collect();
                skeleton.chain(*family, chain.name, ChainSkeleton { hook, rules });
            }
        }
        skeleton
    }
}

/// The text that removes both tables, whether they exist or not.
#[must_use]
pub fn removal() -> String {
    // Deleting what is not there is an error, so that it is added first.
    let both = Family::ALL.map(Family::name);
    both.map(|family| format!("add table {family} {TABLE}\ndelete table {family} {TABLE}\n"))
        .concat()
}

impl Table {
    fn write(&self, out: &mut dyn Write, family: Family, elements: bool) -> fmt::Result {
        let family = family.name();
        writeln!(out, "add table {family} {TABLE}")?;
        for set in &self.sets {
            write!(
                out,
                "add set {family} {TABLE} {} {{ {} ; ",
                set.name, set.key
            )?;
            if elements && !set.elements.is_empty() {
                out.write_str("elements = ")?;
                set.write_elements(out, set.elements.iter())?;
                out.write_str(" ; ")?;
            }
            out.write_str("}\n")?;
        }
        for chain in &self.chains {
            write!(out, "add chain {family} {TABLE} {}", chain.name)?;
            if let Some(hook) = &chain.hook {
                let Hook {
                    kind,
                    hook,
                    priority,
                    policy,
                } = hook;
                write!(
                    out,
                    " {{ type {kind} hook {hook} priority {priority} ; policy {policy} ; }}"
                )?;
            }
            out.write_str("\n")?;
        }
        for chain in &self.chains {
            for rule in &chain.rules {
                let (name, statements, comment) = (chain.name, &rule.statements, &rule.comment);
                writeln!(
                    out,
                    "add rule {family} {TABLE} {name} {statements} comment \"{comment}\""
                )?;
            }
        }
        Ok(())
    }
}
