//! Long operations: begun, recorded, followed, cancelled, gone on with when nobody follows and when the
//! daemon is killed.
//!
//! ```text
//! begin ──▶ recorded (journal) ──▶ work ──▶ ended (journal) ──▶ hooks ──▶ last event
//!               │                    │ cancelled (journal): the next daemon does not go on
//!       cannot be: refused           the daemon ends: nothing is told, and the next one goes on
//! ```
//!
//! What is done is a task of its own, whoever follows it. Only [`Asked::Create`] ends when nobody
//! follows it any more.

mod asked;
mod hook;
pub mod journal;
mod recording;
mod story;

pub use asked::{Asked, FORM, Fate, RunMark};
pub use banger_proto::root::OpId;
pub use hook::{Ended, Hook};
pub use journal::{Entry, Subject};
pub use story::Place;

use crate::host;
use crate::progress::{Progress, Told};
use crate::store::Store;
use banger_model::SandboxId;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::operation::Event;
use futures_util::FutureExt;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use story::Story;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// A new id. Without randomness two operations may have the same one; nothing but a log depends on it.
#[must_use]
pub fn new_id() -> OpId {
    OpId::from_random(host::random().unwrap_or_default())
}

/// The fault of an operation that was cancelled.
pub fn cancelled(what_is: impl std::fmt::Display) -> Fault {
    Fault::new(FaultCode::Cancelled, format!("cancelled: {what_is}"))
}

/// One operation that goes on, or has just ended.
#[derive(Debug)]
pub struct Operation {
    /// Whose it is and what was asked.
    pub entry: Entry,
    begun: Instant,
    story: Story,
    cancelled: CancellationToken,
    followers: AtomicUsize,
    followed: Notify,
    recorded: watch::Sender<Option<Result<(), Fault>>>,
}

impl Operation {
    fn new(entry: Entry) -> Self {
        let accepted = Event::Accepted {
            op: entry.op.to_string(),
            sandbox: entry.subject.sandbox.map(|id| id.to_string()),
        };
        Self {
            entry,
            begun: Instant::now(),
            story: Story::beginning_with(accepted),
            cancelled: CancellationToken::new(),
            followers: AtomicUsize::new(0),
            followed: Notify::new(),
            recorded: watch::Sender::new(None),
        }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> OpId {
        self.entry.op
    }

    /// Waits until it is in the journal.
    ///
    /// # Errors
    /// Why it could not be recorded: nothing was done then.
    pub async fn recorded(&self) -> Result<(), Fault> {
        let mut recorded = self.recorded.subscribe();
        let known = recorded.wait_for(Option::is_some).await;
        known.map_or(Ok(()), |known| known.clone().unwrap_or(Ok(())))
    }

    /// The newest stage that it told.
    #[must_use]
    pub fn stage(&self) -> Option<String> {
        self.story.stage()
    }

    /// The next thing that it told, from a place that moves on; waits until there is one. `None`
    /// after the last.
    pub async fn next(&self, place: &mut Place) -> Option<Event> {
        self.story.next(place).await
    }

    /// Asks its work to end. What that means, and whether it is possible, is the work's to know.
    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Waits until somebody has followed it, once.
    pub async fn until_followed(&self) {
        let followed = self.followed.notified();
        tokio::pin!(followed);
        followed.as_mut().enable();
        if self.followers.load(Ordering::SeqCst) == 0 {
            followed.await;
        }
    }
}

/// One who follows an operation. When the last leaves a creation, that is cancelled, unless it is the
/// daemon that leaves.
#[derive(Debug)]
pub struct Follower {
    operation: Arc<Operation>,
    leaving: CancellationToken,
}

impl Drop for Follower {
    fn drop(&mut self) {
        let last = self.operation.followers.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.operation.entry.asked.is_its_clients() && !self.leaving.is_cancelled() {
            self.operation.cancel();
        }
    }
}

/// What the work of an operation is given.
#[derive(Debug, Clone)]
pub struct Going {
    /// Where it tells how far it is; has its id.
    pub progress: Progress,
    /// Cancelled when it is to end.
    pub cancelled: CancellationToken,
    /// Itself.
    pub operation: Arc<Operation>,
}

#[derive(Default)]
struct Inner {
    active: Mutex<HashMap<OpId, Arc<Operation>>>,
    /// Absent in tests that need none.
    journal: Option<Store>,
    hooks: hook::Hooks,
    leaving: CancellationToken,
}

/// The operations that go on.
#[derive(Clone, Default)]
pub struct Operations(Arc<Inner>);

impl std::fmt::Debug for Operations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.lock().keys()).finish()
    }
}

type Active<'a> = std::sync::MutexGuard<'a, HashMap<OpId, Arc<Operation>>>;

impl Operations {
    /// Journalled in a store. From the moment that `leaving` is cancelled, nobody's leaving cancels
    /// anything: the next daemon goes on with all of it.
    #[must_use]
    pub fn journalled(journal: Store, leaving: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            journal: Some(journal),
            leaving,
            ..Inner::default()
        }))
    }

    /// Calls `hook` with each operation that ends from now on, once its end is recorded and before it is
    /// told. It must return at once.
    pub fn on_end(&self, hook: Hook) {
        self.0.hooks.add(hook);
    }

    /// How many go on.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Whether one that goes on makes this sandbox.
    #[must_use]
    pub fn creates(&self, id: SandboxId) -> bool {
        let all = self.all();
        all.iter().any(|operation| {
            let Entry { subject, asked, .. } = &operation.entry;
            subject.sandbox == Some(id) && matches!(asked, Asked::Create { .. })
        })
    }

    /// One that goes on.
    #[must_use]
    pub fn get(&self, op: OpId) -> Option<Arc<Operation>> {
        self.lock().get(&op).cloned()
    }

    /// All that go on, the oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Operation>> {
        let mut all: Vec<_> = self.lock().values().cloned().collect();
        all.sort_by_key(|operation| operation.begun);
        all
    }

    /// Where operations are recorded.
    #[must_use]
    pub fn journal(&self) -> Option<&Store> {
        self.0.journal.as_ref()
    }

    /// Follows an operation, for as long as the follower is kept.
    #[must_use]
    pub fn follow(&self, operation: &Arc<Operation>) -> Follower {
        operation.followers.fetch_add(1, Ordering::SeqCst);
        operation.followed.notify_waiters();
        Follower {
            operation: Arc::clone(operation),
            leaving: self.0.leaving.clone(),
        }
    }

    /// Begins an operation: it is recorded, then `work` runs in a task of its own, whoever follows it.
    ///
    /// # Errors
    /// The operation that has this id already.
    pub fn begin<F, W>(&self, entry: Entry, work: W) -> Result<Arc<Operation>, Arc<Operation>>
    where
        W: FnOnce(Going) -> F + Send + 'static,
        F: Future<Output = Result<serde_json::Value, Fault>> + Send + 'static,
    {
        self.begin_as(entry, false, work)
    }

    /// As [`Self::begin`], for one that a daemon before this one recorded.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn go_on<F, W>(&self, entry: Entry, work: W) -> Result<Arc<Operation>, Arc<Operation>>
    where
        W: FnOnce(Going) -> F + Send + 'static,
        F: Future<Output = Result<serde_json::Value, Fault>> + Send + 'static,
    {
        self.begin_as(entry, true, work)
    }

    fn begin_as<F, W>(
        &self,
        entry: Entry,
        is_recorded: bool,
        work: W,
    ) -> Result<Arc<Operation>, Arc<Operation>>
    where
        W: FnOnce(Going) -> F + Send + 'static,
        F: Future<Output = Result<serde_json::Value, Fault>> + Send + 'static,
    {
        let operation = Arc::new(Operation::new(entry));
        {
            let mut active = self.lock();
            if let Some(other) = active.get(&operation.id()) {
                return Err(Arc::clone(other));
            }
            active.insert(operation.id(), Arc::clone(&operation));
        }
        let task = self.clone().run(Arc::clone(&operation), is_recorded, work);
        tokio::spawn(task);
        Ok(operation)
    }

    async fn run<F, W>(self, operation: Arc<Operation>, is_recorded: bool, work: W)
    where
        W: FnOnce(Going) -> F + Send + 'static,
        F: Future<Output = Result<serde_json::Value, Fault>> + Send + 'static,
    {
        if !is_recorded && let Err(fault) = self.record(&operation.entry).await {
            operation.recorded.send_replace(Some(Err(fault.clone())));
            return self.close(&operation, &Err(fault));
        }
        operation.recorded.send_replace(Some(Ok(())));
        let going = Going {
            progress: progress_of(&operation),
            cancelled: operation.cancelled.clone(),
            operation: Arc::clone(&operation),
        };
        let outcome = unbroken(async move { work(going).await }).await;
        let outcome = outcome.map_err(|fault| fault.with_op(operation.id()));
        let last = last_event(&outcome);
        self.record_end(&operation.entry, &last).await;
        self.close(&operation, &outcome);
    }

    /// Tells the last event and everyone who wants to know.
    fn close(&self, operation: &Arc<Operation>, outcome: &Result<serde_json::Value, Fault>) {
        let op = operation.id();
        match outcome {
            Ok(_) => tracing::info!(%op, "operation completed"),
            Err(fault) => tracing::warn!(%op, code = ?fault.code, "operation failed: {fault}"),
        }
        self.0.hooks.call(&Ended {
            entry: &operation.entry,
            took: operation.begun.elapsed(),
            outcome: outcome.as_ref().map(drop),
        });
        self.lock().remove(&op);
        operation.story.tell(last_event(outcome));
    }

    fn lock(&self) -> Active<'_> {
        self.0.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A panic isolates the operation.
async fn unbroken<T>(work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let finished = AssertUnwindSafe(work).catch_unwind().await;
    finished.unwrap_or_else(|_| {
        let words = "the operation broke off: an error in banger itself, see the daemon's log";
        Err(Fault::new(FaultCode::Failed, words))
    })
}

fn last_event(outcome: &Result<serde_json::Value, Fault>) -> Event {
    match outcome {
        Ok(result) => Event::Done {
            result: result.clone(),
        },
        Err(fault) => Event::Failed {
            fault: fault.clone(),
        },
    }
}

fn progress_of(operation: &Arc<Operation>) -> Progress {
    let teller = Arc::clone(operation);
    let progress = Progress::of(operation.id(), move |told| {
        teller.story.tell(match told {
            Told::Stage(text) => Event::Stage { text },
            Told::Amount { done, total } => Event::Amount { done, total },
            Told::Note(text) => Event::Note { text },
        });
    });
    progress.until(operation.cancelled.clone())
}

#[cfg(test)]
mod tests;
