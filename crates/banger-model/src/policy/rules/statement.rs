//! Statements of rules, as nft(8) reads them.

use super::super::ruleset::{Chain, Rule};
use super::super::skeleton::Hook;

/// The packet belongs to a connection, and goes the way of its answers.
pub(super) const ANSWERS: &str = "ct state established,related ct direction reply";
/// The packet is gone and its sender is told: it does not have to wait for a time-out. It is counted.
pub(super) const REJECT: &str = "counter reject with icmpx type admin-prohibited";

/// A rule with the comment by which it is found again.
pub(super) fn rule(comment: impl Into<String>, statements: impl Into<String>) -> Rule {
    Rule {
        comment: comment.into(),
        statements: statements.into(),
    }
}

/// A chain of the host's own path. It decides about what is ours and lets everything else pass.
pub(super) fn hooked(name: &'static str, kind: &str, priority: i32, rules: Vec<Rule>) -> Chain {
    let hook = Hook {
        kind: kind.to_owned(),
        hook: name.to_owned(),
        priority,
        policy: "accept".to_owned(),
    };
    Chain {
        name,
        hook: Some(hook),
        rules,
    }
}

/// A chain that others jump to.
pub(super) fn asked(name: &'static str, rules: Vec<Rule>) -> Chain {
    Chain {
        name,
        hook: None,
        rules,
    }
}
