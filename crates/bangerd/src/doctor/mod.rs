//! Checks of everything that banger needs, and of what it left. Nothing is made for them; see [`network`]
//! for the two exceptions of the host's network. What they advise is done by [`fix`], where that is safe
//! and asked for.
//!
//! A check is a small question with a limit of its own: one that hangs is told and hides no other.

pub mod apart;
mod basics;
mod fix;
mod living;
mod network;
mod places;
mod present;
pub mod proof;
mod prove;
mod records;

pub use fix::fix;
pub use proof::Looker;

use crate::services::Services;
use banger_proto::fault::Fault;
use banger_proto::owner::daemon::{Check, Verdict};
use futures_util::future::{BoxFuture, FutureExt, join_all};
use std::sync::Arc;
use std::time::Duration;

/// How long a check may take: most read a few files; a program that is asked for its version has less.
const LIMIT: Duration = Duration::from_secs(15);
/// The same for the network: four packets are sent through the host's rules.
const NETWORK_LIMIT: Duration = Duration::from_secs(60);

fn check(name: &str, verdict: Verdict, found: impl Into<String>) -> Check {
    Check {
        name: name.into(),
        verdict,
        found: found.into(),
        remedy: None,
    }
}

fn from_fault(name: &str, verdict: Verdict, fault: Fault) -> Check {
    Check {
        remedy: fault.remedy.clone(),
        ..check(name, verdict, fault.message)
    }
}

/// All checks, in the order in which they depend on each other; they are made side by side.
pub async fn examine(services: &Arc<Services>, looker: &Looker) -> Vec<Check> {
    let checks: Vec<BoxFuture<'_, Vec<Check>>> = vec![
        within("architecture", LIMIT, one(async { basics::architecture() })),
        within("places", LIMIT, places::checks(services, looker)),
        within("state", LIMIT, records::checks(services)),
        within("VMM", LIMIT, one(basics::vmm(services))),
        within("accelerator", LIMIT, one(basics::accelerator(services))),
        within(
            "probe results",
            LIMIT,
            one(async { basics::probe_results(services) }),
        ),
        within("agent", LIMIT, one(async { basics::agent(services) })),
        within(
            "default kernel",
            LIMIT,
            one(basics::default_kernel(services)),
        ),
        within("default image", LIMIT, one(basics::default_image(services))),
        within("programs", LIMIT, basics::programs()),
        within("network", NETWORK_LIMIT, network::checks(services)),
        within("leftovers", LIMIT, records::leftovers(services, looker)),
        within("room", LIMIT, one(async { basics::room(services) })),
        within(
            "VM defaults",
            LIMIT,
            one(async { basics::defaults(services) }),
        ),
    ];
    join_all(checks).await.into_iter().flatten().collect()
}

async fn one(check: impl Future<Output = Check>) -> Vec<Check> {
    vec![check.await]
}

/// What a check finds within its limit, or that it did not come to its end.
fn within<'a>(
    name: &'a str,
    limit: Duration,
    checks: impl Future<Output = Vec<Check>> + Send + 'a,
) -> BoxFuture<'a, Vec<Check>> {
    async move {
        let found = tokio::time::timeout(limit, checks).await;
        found.unwrap_or_else(|_late| {
            vec![Check {
                remedy: Some("see the daemon's log, and whether the host is overloaded".into()),
                ..check(
                    name,
                    Verdict::Fail,
                    format!("no answer within {} s", limit.as_secs()),
                )
            }]
        })
    }
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_is_told_and_hides_no_other() {
        let good = within(
            "good",
            LIMIT,
            one(async { check("good", Verdict::Pass, "fine") }),
        );
        let hangs = within("hangs", LIMIT, std::future::pending());
        let found: Vec<Check> = join_all([hangs, good])
            .await
            .into_iter()
            .flatten()
            .collect();
        let names: Vec<_> = found
            .iter()
            .map(|check| (&*check.name, check.verdict))
            .collect();
        assert_eq!(names, [("hangs", Verdict::Fail), ("good", Verdict::Pass)]);
        assert!(found[0].found.contains("15 s") && found[0].remedy.is_some());
    }
}
