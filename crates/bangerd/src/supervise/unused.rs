//! Guests that nobody uses are suspended, or stopped in order, where the owner's configuration says after how long.
//!
//! What counts as use: a command or shell for as long as it is attached, a copy, a connection to a
//! published port for as long as it is open, a request that changes the sandbox, and packets to a guest on
//! the bridge. Who only looks (`vm list`, `stats`, `top`, `health`, `logs`) does not keep it. Ephemeral
//! sandboxes have a rule of their own, which deletes them.

use super::Supervisor;
use crate::progress::Progress;
use crate::sandbox::{Command, Sandbox};
use crate::stats;
use banger_model::SandboxId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// So many packets to a guest between two rounds are somebody who talks to it: a connection has four at
/// least, while an answer to a guest that asks for a name or the time has one or two.
const TALK: u64 = 4;

/// What is remembered between two rounds.
pub(super) struct Unused {
    supervisor: Supervisor,
    /// Packets to each guest on the bridge at the round before.
    packets: HashMap<SandboxId, u64>,
}

/// Whether somebody talks to a guest whose packets were counted so in two rounds. The first count of a TAP
/// says nothing, nor one that went back: it is another TAP.
fn is_talked_to(before: Option<u64>, now: u64) -> bool {
    before
        .and_then(|before| now.checked_sub(before))
        .is_some_and(|new| new >= TALK)
}

impl Unused {
    pub(super) fn of(supervisor: &Supervisor) -> Self {
        Self {
            supervisor: supervisor.clone(),
            packets: HashMap::new(),
        }
    }

    /// Suspends and stops those that nobody has used for long enough; nothing where that is not configured.
    pub(super) fn look(&mut self) {
        let services = &self.supervisor.services;
        let config = &services.config;
        let limits = [
            (Fate::Stop, config.auto_stop_stale_after),
            (Fate::Suspend, config.suspend_after),
        ];
        if limits.iter().all(|(_, limit)| limit.is_none()) {
            return;
        }
        let before = std::mem::take(&mut self.packets);
        for sandbox in services.registry.owned() {
            let place = services.host_network.attachment(sandbox.id);
            if let Some(now) = place.and_then(|place| stats::packets_to(place.slot)) {
                if is_talked_to(before.get(&sandbox.id).copied(), now) {
                    sandbox.touch();
                }
                self.packets.insert(sandbox.id, now);
            }
            if sandbox.record().spec.ephemeral {
                continue;
            }
            let unused = sandbox.unused_for();
            if let Some((fate, limit)) = unused.and_then(|unused| fate(&limits, unused)) {
                end(sandbox, fate, limit);
            }
        }
    }
}

/// What becomes of a guest that nobody uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stop,
    Suspend,
}

/// What becomes of one that nobody has used for so long: the first whose limit is over, the longest time first.
fn fate(limits: &[(Fate, Option<Duration>)], unused: Duration) -> Option<(Fate, Duration)> {
    let set = limits
        .iter()
        .filter_map(|&(fate, limit)| Some((fate, limit?)));
    set.filter(|&(_, limit)| unused >= limit)
        .max_by_key(|&(_, limit)| limit)
}

fn end(sandbox: Arc<Sandbox>, fate: Fate, limit: Duration) {
    tracing::info!(sandbox = %sandbox.record().name, ?fate, "nothing uses it");
    tokio::spawn(async move {
        let ending = sandbox
            .request(|reply| match fate {
                Fate::Stop => Command::StopUnused(limit, Progress::silent(), reply),
                Fate::Suspend => Command::SuspendUnused(limit, Progress::silent(), reply),
            })
            .await;
        if let Err(fault) = ending {
            // Tried again after as long a time, not with the next round.
            sandbox.touch();
            let name = sandbox.record().name.clone();
            tracing::warn!(sandbox = %name, "cannot end a guest that nothing uses: {fault}");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_limit_that_is_over_decides() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let limits = [
            (Fate::Stop, Some(hours(8))),
            (Fate::Suspend, Some(hours(1))),
        ];
        assert_eq!(fate(&limits, hours(0)), None);
        assert_eq!(fate(&limits, hours(1)), Some((Fate::Suspend, hours(1))));
        // It could not be suspended.
        assert_eq!(fate(&limits, hours(9)), Some((Fate::Stop, hours(8))));
        let only = [(Fate::Stop, None), (Fate::Suspend, Some(hours(1)))];
        assert_eq!(fate(&only, hours(9)), Some((Fate::Suspend, hours(1))));
    }

    #[test]
    fn a_few_packets_between_two_rounds_are_nobody_who_talks() {
        assert!(is_talked_to(Some(10), 14));
        for (before, now) in [(None, 1000), (Some(10), 13), (Some(10), 10), (Some(10), 0)] {
            assert!(!is_talked_to(before, now), "{before:?} {now}");
        }
    }
}
