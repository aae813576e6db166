//! Whether the rules in the kernel are those that the daemon wants.

use super::super::check as plain;
use crate::host_network::examine::{Examined, Wanted};
use banger_model::host_names::TABLE;
use banger_proto::owner::daemon::{Check, Verdict};
use banger_proto::root::{PolicyState, Whose};

const NAME: &str = "rules";
/// What has the daemon load them.
const ANEW: &str = "`banger daemon stop`: the daemon that the next command starts loads them anew";

/// The check.
pub(super) fn check(found: &Examined) -> Check {
    match (&found.survey.policy, &found.wanted) {
        (None, None) => plain(
            NAME,
            Verdict::Pass,
            "none: no guest on the bridge has needed any",
        ),
        (None, Some(wanted)) => missing(wanted),
        (Some(policy), _) if !policy.whose.is_ours() => foreign(&policy.whose, found),
        (Some(policy), wanted) => ours(policy, wanted.as_ref()),
    }
}

fn failed(found: String) -> Check {
    Check {
        remedy: Some(ANEW.to_owned()),
        ..plain(NAME, Verdict::Fail, found)
    }
}

fn missing(wanted: &Wanted) -> Check {
    match &wanted.trouble {
        Some(trouble) => failed(format!("the host has not taken them: {trouble}")),
        None => failed(format!(
            "the tables {TABLE} are gone: guests are not kept apart"
        )),
    }
}

fn foreign(whose: &Whose, found: &Examined) -> Check {
    let tables = format!("`nft delete table inet {TABLE}; nft delete table bridge {TABLE}`");
    if *whose == Whose::Foreign(Some(found.installation)) {
        return Check {
            remedy: Some(format!("{tables}, then {ANEW}")),
            ..failed(format!(
                "changed since they were loaded: a mark of the tables {TABLE} is gone"
            ))
        };
    }
    let owner = match whose {
        Whose::Foreign(Some(installation)) => format!("banger installation {installation}"),
        Whose::Foreign(None) | Whose::Ours => "nobody that is known".to_owned(),
    };
    let remedy = format!("stop that installation's daemon; if it is gone, {tables}");
    Check {
        remedy: Some(remedy),
        ..plain(
            NAME,
            Verdict::Fail,
            format!("the tables {TABLE} belong to {owner}"),
        )
    }
}

fn ours(policy: &PolicyState, wanted: Option<&Wanted>) -> Check {
    if let Some(changed) = &policy.changed {
        return failed(format!("changed since they were loaded: {changed}"));
    }
    let Some(wanted) = wanted else {
        return plain(NAME, Verdict::Pass, "whole, of a daemon before this one");
    };
    match (&wanted.trouble, &wanted.rules) {
        (Some(trouble), _) => failed(format!("the host has not taken the newest: {trouble}")),
        (None, Err(why)) => failed(format!("there are none for these guests: {why}")),
        (None, Ok(rules)) if policy.digest.as_ref() == Some(rules) => {
            plain(NAME, Verdict::Pass, format!("whole, digest {rules}"))
        }
        (None, Ok(rules)) => {
            let has = policy
                .digest
                .map_or_else(|| "none".to_owned(), |has| has.to_string());
            failed(format!(
                "not those of the guests that run, somebody has changed a set: digest {has} instead of {rules}"
            ))
        }
    }
}
