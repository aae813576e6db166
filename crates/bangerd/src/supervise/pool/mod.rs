//! The pool: machines that went on from a template before anybody asked for one.
//!
//! ```text
//!  creation from a template ──▶ its kind is wanted ──nothing else goes on──▶ one resumed, a command run in it ──▶ offered
//!            ▲                                                                                                     │
//!            └──────────────────────── taken by the next creation of that kind ◀───────────────────────────────────┘
//! ```
//!
//! One that waits is on record as every sandbox is, so that nothing forgets it, but nobody's: its spec says so, lists leave
//! it out, and no request is admitted that would touch it. A command has run in it because a first one is slow under
//! emulation: the code of `fork`, `exec` and `exit` is translated again when a guest goes on.
//!
//! The host comes first. One is made only where another machine would fit besides it; all go before a machine is refused
//! for want of memory, and once nobody has asked for one for as long as an idle daemon stays.

mod filling;
mod taking;

use super::Supervisor;
use crate::progress::Progress;
use crate::registry::Reservation;
use crate::sandbox::{Command, Sandbox};
use banger_model::SandboxState;
use banger_model::spec::{NetworkMode, Spec};
use banger_proto::owner::sandbox::CreateRequest;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What the pool is to hold.
#[derive(Debug, Default)]
pub struct Pool(Mutex<Option<Kind>>);

/// Machines that can take each other's place.
#[derive(Debug, Clone)]
struct Kind {
    /// The template.
    key: String,
    /// What the newest creation of this kind asked for.
    request: CreateRequest,
    /// When that was.
    asked: Instant,
}

impl Pool {
    fn kind(&self) -> Option<Kind> {
        let kind = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kind.clone()
    }

    fn put(&self, kind: Option<Kind>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kind;
    }
}

/// Whether a machine that waits can be what is asked for. Who may reach the outside is decided by the VMM's command
/// line where the network is in user mode, and at any time on the bridge.
fn fits(waits: &Spec, key: &str, nat: bool) -> bool {
    let is_free = waits.network.value != NetworkMode::User || waits.nat == nat;
    waits.pooled.as_deref() == Some(key) && is_free
}

/// What becomes of a machine of the pool that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is as it should be.
    Waits,
    /// Its agent is being looked for.
    Comes,
    /// It is of no use.
    Goes,
}

/// By its guest, whether it is of the kind that is wanted (`None`: it is not known which is), and how many stay
/// already.
fn fate(guest: Guest, wanted: Option<bool>, kept: usize, size: usize) -> Fate {
    match guest {
        _ if kept >= size || wanted == Some(false) => Fate::Goes,
        Guest::Answers => Fate::Waits,
        Guest::Sought => Fate::Comes,
        Guest::Lost => Fate::Goes,
    }
}

/// How the guest of a machine that waits is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guest {
    /// It runs, and its agent can be talked to.
    Answers,
    /// A daemon that has just begun has not met its agent yet.
    Sought,
    /// It does not run, or nobody can talk to it.
    Lost,
}

impl Guest {
    fn of(sandbox: &Sandbox) -> Self {
        let view = sandbox.view();
        let linked = view.link.is_some_and(|link| link.lost().is_none());
        let runs = view.record.state == SandboxState::Running && view.stalled.is_none();
        match (runs, linked) {
            (true, true) => Self::Answers,
            (true, false) if view.trouble.is_none() => Self::Sought,
            (_, _) if view.adopting => Self::Sought,
            _ => Self::Lost,
        }
    }
}

impl Supervisor {
    /// Removes what is of no use, offers what is, and has one more made where one is missing. To be called from time to
    /// time.
    pub(super) async fn look_at_pool(&self) {
        let (size, all) = (
            self.services.config.pool_size,
            self.services.registry.pooled(),
        );
        // Those that are being made or taken are in somebody's hands.
        if self.operations.count() > 0 || (size == 0 && all.is_empty()) {
            return;
        }
        let kind = self.services.pool.kind();
        if self.is_forgotten(kind.as_ref()) {
            self.services.pool.put(None);
            all.into_iter()
                .for_each(|sandbox| self.remove_pooled(sandbox));
            return;
        }
        let mut kept = 0;
        for sandbox in all {
            let spec = sandbox.view().record.spec;
            let is_wanted = kind
                .as_ref()
                .map(|kind| fits(&spec, &kind.key, kind.request.nat));
            match fate(Guest::of(&sandbox), is_wanted, kept, size) {
                Fate::Waits => {
                    kept += 1;
                    self.services.registry.offer(sandbox.id);
                }
                Fate::Comes => kept += 1,
                Fate::Goes => self.remove_pooled(sandbox),
            }
        }
        if let Some(kind) = kind.filter(|_| kept < size)
            && self.can_fill(&kind).await
        {
            self.begin_to_fill(kind);
        }
    }

    /// Whether nobody has asked for a machine for so long that none needs to wait. What a daemon before has left
    /// waits for as long from this one's start.
    fn is_forgotten(&self, kind: Option<&Kind>) -> bool {
        let since = kind.map_or_else(|| self.clock.elapsed(), |kind| kind.asked.elapsed());
        since >= self.services.config.idle_exit
    }

    fn remove_pooled(&self, sandbox: Arc<Sandbox>) {
        let Some(taken) = self.take_back(&sandbox) else {
            return;
        };
        let supervisor = self.clone();
        tokio::spawn(async move {
            supervisor.delete_pooled(&sandbox).await;
            drop(taken);
        });
    }

    /// Nobody else gets it from now on; none where somebody has it already.
    fn take_back(&self, sandbox: &Sandbox) -> Option<Reservation> {
        let registry = &self.services.registry;
        registry.offer(sandbox.id);
        registry.hold_pooled(sandbox.id)
    }

    async fn delete_pooled(&self, sandbox: &Sandbox) {
        let deleting = sandbox.request(|reply| Command::Delete(Progress::silent(), reply));
        if let Err(fault) = deleting.await {
            tracing::warn!("cannot delete a machine of the pool: {fault}");
        }
    }

    /// Gives back what the pool takes; says whether that was anything.
    pub async fn empty_pool(&self) -> bool {
        let waiting = self.services.registry.pooled();
        let mut deleted = false;
        for sandbox in waiting {
            if let Some(_held) = self.services.registry.hold_pooled(sandbox.id) {
                self.delete_pooled(&sandbox).await;
                deleted = true;
            }
        }
        deleted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_that_answers_and_is_wanted_waits() {
        assert_eq!(fate(Guest::Answers, Some(true), 0, 1), Fate::Waits);
        // After a restart of the daemon nobody has asked yet.
        assert_eq!(fate(Guest::Answers, None, 0, 1), Fate::Waits);
        assert_eq!(fate(Guest::Sought, None, 0, 1), Fate::Comes);
        assert_eq!(fate(Guest::Lost, Some(true), 0, 1), Fate::Goes);
        for guest in [Guest::Answers, Guest::Sought, Guest::Lost] {
            assert_eq!(fate(guest, Some(false), 0, 1), Fate::Goes, "another kind");
            assert_eq!(fate(guest, Some(true), 1, 1), Fate::Goes, "too many");
            assert_eq!(fate(guest, None, 0, 0), Fate::Goes, "no pool");
        }
    }
}
