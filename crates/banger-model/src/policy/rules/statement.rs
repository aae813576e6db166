//! Statements of rules, as libnftables-json(5) writes them.

use super::super::json::{Json, object};
use super::super::ruleset::{Chain, Rule};
use super::super::skeleton::Hook;

/// A field of the packet's description: `iifname`, `oifname`, `l4proto`.
pub(super) fn meta(key: &str) -> Json {
    object("meta", object("key", key))
}

/// A field of a header.
pub(super) fn field(protocol: &str, name: &str) -> Json {
    object(
        "payload",
        Json::Object(vec![("protocol", protocol.into()), ("field", name.into())]),
    )
}

/// Bits of the transport header.
pub(super) fn transport_bits(offset: i32, length: i32) -> Json {
    let members = vec![
        ("base", "th".into()),
        ("offset", offset.into()),
        ("len", length.into()),
    ];
    object("payload", Json::Object(members))
}

/// Several fields at once.
pub(super) fn joined(fields: Vec<Json>) -> Json {
    object("concat", fields)
}

/// A network.
pub(super) fn network(address: &str, prefix: i32) -> Json {
    object(
        "prefix",
        Json::Object(vec![("addr", address.into()), ("len", prefix.into())]),
    )
}

/// One of these.
pub(super) fn any_of(values: Vec<impl Into<Json>>) -> Json {
    object("set", values)
}

/// The packet goes on if both are the same, or the left one is in the set.
pub(super) fn is(left: Json, right: impl Into<Json>) -> Json {
    matches("==", left, right)
}

/// The packet goes on if they differ, or the left one is not in the set.
pub(super) fn is_not(left: Json, right: impl Into<Json>) -> Json {
    matches("!=", left, right)
}

fn matches(operator: &str, left: Json, right: impl Into<Json>) -> Json {
    let members = vec![
        ("op", operator.into()),
        ("left", left),
        ("right", right.into()),
    ];
    object("match", Json::Object(members))
}

/// The packet belongs to a connection, and goes the way of its answers.
pub(super) fn answers() -> Vec<Json> {
    let key = |key: &str| object("ct", object("key", key));
    vec![
        matches("in", key("state"), vec!["established", "related"]),
        is(key("direction"), "reply"),
    ]
}

/// Counts what comes here.
pub(super) fn counter() -> Json {
    object("counter", Json::Null)
}

/// The packet passes this chain.
pub(super) fn accept() -> Json {
    object("accept", Json::Null)
}

/// The packet is gone.
pub(super) fn drop() -> Json {
    object("drop", Json::Null)
}

/// The packet is gone and its sender is told: it does not have to wait for a time-out.
pub(super) fn reject() -> Json {
    let members = vec![
        ("type", "icmpx".into()),
        ("expr", "admin-prohibited".into()),
    ];
    object("reject", Json::Object(members))
}

/// The rest is decided by another chain.
pub(super) fn goto(chain: &str) -> Json {
    object("goto", object("target", chain))
}

/// Another chain is asked first.
pub(super) fn jump(chain: &str) -> Json {
    object("jump", object("target", chain))
}

/// A rule with the comment by which it is found again.
pub(super) fn rule(comment: impl Into<String>, statements: Vec<Json>) -> Rule {
    Rule {
        comment: comment.into(),
        statements,
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
