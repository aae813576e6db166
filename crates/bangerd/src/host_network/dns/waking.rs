//! Machines that are suspended: who asks for the addresses of one wakes it, and is answered once it runs.
//!
//! ```text
//!  query ─▶ sleeper (pure: question, zone, asker ─▶ who is to be woken) ─▶ wake ─▶ the answer of the zone as it is then
//! ```
//!
//! So a connection to `web.vm` reaches a machine that was suspended when it was begun, and none is lost: whoever connects does
//! not know the address before. Nobody wakes a machine whose name they do not see.

use super::answer::{Transport, answer, failure, sleeper};
use super::{Asker, Authority};
use banger_model::SandboxId;
use futures_util::future::BoxFuture;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long an asker is left waiting: resolvers ask again or give up after five seconds (resolv.conf(5), `timeout`).
const WAKING: Duration = Duration::from_millis(4500);

/// Questions that wait at once. Whoever comes beyond is not answered, and asks again.
const MOST_WAITING: usize = 64;

/// Wakes a machine; whether it runs then.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn(SandboxId) -> BoxFuture<'static, bool> + Send + Sync>);

impl Waker {
    /// One that does it so.
    pub fn new(
        wake: impl Fn(SandboxId) -> BoxFuture<'static, bool> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(wake))
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}

/// Who wakes machines, and room for those who wait for it.
#[derive(Debug)]
pub(super) struct Waking {
    waker: std::sync::OnceLock<Waker>,
    room: Arc<Semaphore>,
}

impl Default for Waking {
    fn default() -> Self {
        Self {
            waker: std::sync::OnceLock::new(),
            room: Arc::new(Semaphore::new(MOST_WAITING)),
        }
    }
}

/// A question that waits for a machine.
pub(super) struct Waiting {
    id: SandboxId,
    waker: Waker,
    _place: OwnedSemaphorePermit,
}

/// What a question is about.
pub(super) enum Wanted {
    /// What the zone has.
    Zone,
    /// A machine that is to be woken first.
    Sleeper(Waiting),
    /// The same, and too many wait already.
    NoRoom,
}

impl Authority {
    /// Who wakes machines that are suspended. The first who is named does.
    pub fn wake_with(&self, waker: Waker) {
        let _named_before = self.waking.waker.set(waker);
    }

    /// Whether a question is for a machine that is to be woken.
    pub(super) fn wanted(&self, query: &[u8], asker: Asker) -> Wanted {
        let zone = self.snapshot();
        let (true, Some(waker)) = (zone.has_sleepers(), self.waking.waker.get()) else {
            return Wanted::Zone;
        };
        let Some(id) = sleeper(&zone, query, asker) else {
            return Wanted::Zone;
        };
        match Arc::clone(&self.waking.room).try_acquire_owned() {
            Ok(place) => Wanted::Sleeper(Waiting {
                id,
                waker: waker.clone(),
                _place: place,
            }),
            Err(_) => Wanted::NoRoom,
        }
    }

    /// Wakes the machine, and answers. That it cannot be woken is no answer that anybody may keep.
    pub(super) async fn answer_awake(
        &self,
        waiting: Waiting,
        query: &[u8],
        asker: Asker,
        transport: Transport,
    ) -> Option<Vec<u8>> {
        let woken = tokio::time::timeout(WAKING, (waiting.waker.0)(waiting.id)).await;
        match woken {
            Ok(true) => answer(&self.snapshot(), query, asker, transport),
            Ok(false) | Err(_) => failure(query),
        }
    }
}
