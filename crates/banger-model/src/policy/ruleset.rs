//! A ruleset as a tree, and its text for one transaction of nft (libnftables-json(5)).

use super::digest::Digest;
use super::json::{Json, object};
use super::skeleton::{ChainSkeleton, Family, Hook, Skeleton};
use super::{Policy, rules};
use crate::host_names::{Installation, TABLE};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The chain whose only rule carries the mark. nft 1.0.6 drops the comments of tables and sets in
/// JSON, in both directions; those of rules stay.
const MARK_CHAIN: &str = "installation";

/// What of the host's forwarding banger switched on, to be switched off again. It is kept in the
/// table itself, as sets: whoever finds the rules finds it, whatever crashed in between.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Switched {
    /// `net.ipv4.ip_forward` was 0.
    pub ipv4: bool,
    /// `net.ipv6.conf.all.forwarding` was 0.
    pub ipv6: bool,
    /// Interfaces whose `accept_ra` was 1 and is 2 now: with 1, a host that forwards stops
    /// listening to its own router (ip-sysctl, `accept_ra`).
    pub accept_ra: BTreeSet<String>,
}

impl Switched {
    const IPV4: &'static str = "ip_forward_was_off";
    const IPV6: &'static str = "ipv6_forwarding_was_off";
    const ACCEPT_RA: &'static str = "accept_ra_was_1";

    /// What the skeleton of the loaded rules says of it.
    #[must_use]
    pub fn of(skeleton: &Skeleton) -> Self {
        let set = |name| skeleton.elements(Family::Inet, name);
        let interfaces = set(Self::ACCEPT_RA).into_iter().flatten();
        Self {
            ipv4: set(Self::IPV4).is_some(),
            ipv6: set(Self::IPV6).is_some(),
            accept_ra: interfaces.flatten().cloned().collect(),
        }
    }

    fn sets(&self) -> Vec<Set> {
        let mut sets = Vec::new();
        if self.ipv4 {
            sets.push(Set::new(Self::IPV4, &["mark"]));
        }
        if self.ipv6 {
            sets.push(Set::new(Self::IPV6, &["mark"]));
        }
        if !self.accept_ra.is_empty() {
            let mut set = Set::new(Self::ACCEPT_RA, &["ifname"]);
            set.elements
                .extend(self.accept_ra.iter().map(|name| vec![name.clone()]));
            sets.push(set);
        }
        sets
    }
}

/// A named set.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) name: String,
    pub(super) types: &'static [&'static str],
    /// Each element by its parts.
    pub(super) elements: BTreeSet<Vec<String>>,
}

impl Set {
    pub(super) fn new(name: impl Into<String>, types: &'static [&'static str]) -> Self {
        Self {
            name: name.into(),
            types,
            elements: BTreeSet::new(),
        }
    }
}

/// A rule: what it says, and its comment, by which it is found again.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) comment: String,
    pub(super) statements: Vec<Json>,
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

/// What a loaded table says of itself: whose it is, of which policy, and what it consisted of when
/// it was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Whose it is.
    pub installation: Installation,
    /// [`Policy::digest`].
    pub policy: Digest,
    /// [`Skeleton::digest`].
    pub skeleton: Digest,
}

impl Mark {
    /// The chain that carries it, without a hook: nothing passes it.
    pub const CHAIN: &'static str = MARK_CHAIN;

    /// Reads the comment of the chain's rule; none for any other text.
    #[must_use]
    pub fn parse(comment: &str) -> Option<Self> {
        let mut words = comment.strip_prefix("banger:")?.split(' ');
        let mark = Self {
            installation: words.next()?.parse().ok()?,
            policy: words.next()?.parse().ok()?,
            skeleton: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(mark)
    }

    /// 57 bytes; nftables keeps 128 (`NFTNL_UDATA_COMMENT_MAXLEN`, libnftnl).
    fn comment(&self) -> String {
        format!(
            "{} {} {}",
            self.installation.mark(),
            self.policy,
            self.skeleton
        )
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

    /// The text for `nft -j -f -`: whatever the two tables were, they are this afterwards, or
    /// unchanged if anything is refused.
    #[must_use]
    pub fn transaction(&self, policy: &Policy) -> String {
        let mark = self.mark(policy).comment();
        let mut commands = removal_commands();
        for (family, table) in &self.tables {
            commands.push(object("add", table_reference(*family)));
            commands.extend(table.commands(*family));
            commands.push(add_chain(*family, MARK_CHAIN, None));
            commands.push(add_rule(
                *family,
                MARK_CHAIN,
                &mark,
                vec![object("return", Json::Null)],
            ));
        }
        object("nftables", commands).to_string()
    }

    /// What the loaded tables will say of themselves.
    #[must_use]
    pub fn mark(&self, policy: &Policy) -> Mark {
        Mark {
            installation: self.installation,
            policy: policy.digest(),
            skeleton: self.skeleton().digest(),
        }
    }

    /// What the kernel has to list after the transaction.
    #[must_use]
    pub fn skeleton(&self) -> Skeleton {
        let mut skeleton = Skeleton::default();
        for (family, table) in &self.tables {
            for set in &table.sets {
                skeleton.set(*family, &set.name, set.elements.clone());
            }
            for chain in &table.chains {
                let rules = chain.rules.iter().map(|rule| rule.comment.clone());
                let hook = chain.hook.clone();
                skeleton.chain(
                    *family,
                    chain.name,
                    ChainSkeleton {
                        hook,
                        rules: rules.collect(),
                    },
                );
            }
        }
        skeleton
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of(|out| {
            writeln!(out, "{}", self.installation)?;
            for (family, table) in &self.tables {
                let commands = table.commands(*family);
                commands
                    .iter()
                    .try_for_each(|command| writeln!(out, "{command}"))?;
            }
            Ok(())
        })
    }
}

/// The text that removes both tables, whether they exist or not.
#[must_use]
pub fn removal() -> String {
    object("nftables", removal_commands()).to_string()
}

/// Deleting what is not there is an error, so that it is added first.
fn removal_commands() -> Vec<Json> {
    let both = Family::ALL.into_iter();
    both.flat_map(|family| ["add", "delete"].map(|verb| object(verb, table_reference(family))))
        .collect()
}

fn table_reference(family: Family) -> Json {
    let members = vec![("family", family.name().into()), ("name", TABLE.into())];
    object("table", Json::Object(members))
}

fn add_chain(family: Family, name: &str, hook: Option<&Hook>) -> Json {
    let mut members = vec![
        ("family", family.name().into()),
        ("table", TABLE.into()),
        ("name", name.into()),
    ];
    if let Some(hook) = hook {
        members.push(("type", hook.kind.as_str().into()));
        members.push(("hook", hook.hook.as_str().into()));
        members.push(("prio", hook.priority.into()));
        members.push(("policy", hook.policy.as_str().into()));
    }
    object("add", object("chain", Json::Object(members)))
}

fn add_rule(family: Family, chain: &str, comment: &str, statements: Vec<Json>) -> Json {
    let members = vec![
        ("family", family.name().into()),
        ("table", TABLE.into()),
        ("chain", chain.into()),
        ("comment", comment.into()),
        ("expr", statements.into()),
    ];
    object("add", object("rule", Json::Object(members)))
}

impl Table {
    fn commands(&self, family: Family) -> Vec<Json> {
        let sets = self.sets.iter().map(|set| set.command(family));
        let chains = self
            .chains
            .iter()
            .map(|chain| add_chain(family, chain.name, chain.hook.as_ref()));
        let rules = self.chains.iter().flat_map(|chain| {
            let rules = chain.rules.iter();
            rules.map(|rule| add_rule(family, chain.name, &rule.comment, rule.statements.clone()))
        });
        sets.chain(chains).chain(rules).collect()
    }
}

impl Set {
    fn command(&self, family: Family) -> Json {
        let kind = match self.types {
            [only] => (*only).into(),
            several => Json::from(several.to_vec()),
        };
        let mut members = vec![
            ("family", family.name().into()),
            ("table", TABLE.into()),
            ("name", self.name.as_str().into()),
            ("type", kind),
        ];
        let elements = self.elements.iter().map(|parts| match parts.as_slice() {
            [only] => only.as_str().into(),
            several => object("concat", several.to_vec()),
        });
        if !self.elements.is_empty() {
            members.push(("elem", Json::List(elements.collect())));
        }
        object("add", object("set", Json::Object(members)))
    }
}
