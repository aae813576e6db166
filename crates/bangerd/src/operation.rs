//! Long operations: begun, followed, gone on with when nobody follows.
//!
//! An operation keeps what it told, so that whoever follows it late hears it from the beginning.
//! Amounts follow each other fast: only the newest is kept.

use crate::host;
use crate::progress::{Progress, Told};
use banger_model::SandboxId;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::operation::Event;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

pub use banger_proto::root::OpId;

/// A new id. Without randomness two operations may have the same one; nothing but a log depends on it.
#[must_use]
pub fn new_id() -> OpId {
    OpId::from_random(host::random().unwrap_or_default())
}

#[derive(Debug, Default)]
struct Story {
    events: Vec<Event>,
    /// Counts changes of the last event, when that is an amount.
    revision: u64,
}

/// One operation: its id and what it has told so far.
#[derive(Debug)]
pub struct Operation {
    id: OpId,
    sandbox: Option<SandboxId>,
    begun: Instant,
    story: Mutex<Story>,
    told: Notify,
}

/// Where a follower is in an operation's story.
#[derive(Debug, Default, Clone, Copy)]
pub struct Place {
    index: usize,
    revision: u64,
}

impl Operation {
    fn new(id: OpId, sandbox: Option<SandboxId>) -> Self {
        let accepted = Event::Accepted {
            op: id.to_string(),
            sandbox: sandbox.map(|id| id.to_string()),
        };
        let story = Story {
            events: vec![accepted],
            revision: 0,
        };
        Self {
            id,
            sandbox,
            begun: Instant::now(),
            story: Mutex::new(story),
            told: Notify::new(),
        }
    }

    /// Its id.
    pub const fn id(&self) -> OpId {
        self.id
    }

    /// The sandbox that it makes or changes.
    pub const fn sandbox(&self) -> Option<SandboxId> {
        self.sandbox
    }

    fn tell(&self, event: Event) {
        let mut story = self.story.lock().unwrap_or_else(PoisonError::into_inner);
        story.revision += 1;
        match (story.events.last_mut(), &event) {
            (Some(last @ Event::Amount { .. }), Event::Amount { .. }) => *last = event,
            _ => story.events.push(event),
        }
        drop(story);
        self.told.notify_waiters();
    }

    /// The next thing that it told, from a place that moves on; waits until there is one. `None`
    /// after the last.
    pub async fn next(&self, place: &mut Place) -> Option<Event> {
        loop {
            let changed = self.told.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let story = self.story.lock().unwrap_or_else(PoisonError::into_inner);
                if place
                    .index
                    .checked_sub(1)
                    .and_then(|i| story.events.get(i))
                    .is_some_and(Event::is_last)
                {
                    return None;
                }
                if let Some(event) = story.events.get(place.index) {
                    *place = Place {
                        index: place.index + 1,
                        revision: story.revision,
                    };
                    return Some(event.clone());
                }
                if let Some(newer @ Event::Amount { .. }) = story.events.last()
                    && place.revision < story.revision
                {
                    place.revision = story.revision;
                    return Some(newer.clone());
                }
            }
            changed.await;
        }
    }
}

/// What an operation came to.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Its id.
    pub id: OpId,
    /// The sandbox that it made or changed.
    pub sandbox: Option<SandboxId>,
    /// How it ended.
    pub outcome: Outcome,
    /// From its beginning to its end.
    pub took: Duration,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Done,
    /// It failed so.
    Failed(FaultCode),
}

/// Who is told of each operation's end; must return at once.
type Listener = Arc<dyn Fn(&Ended) + Send + Sync>;

/// The operations that go on.
#[derive(Clone, Default)]
pub struct Operations {
    going_on: Arc<Mutex<HashMap<OpId, Arc<Operation>>>>,
    listener: Option<Listener>,
}

impl std::fmt::Debug for Operations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Operations").field(&self.going_on).finish()
    }
}

impl Operations {
    /// None yet; `listener` is told of each one's end, and must return at once.
    pub fn told_to(listener: impl Fn(&Ended) + Send + Sync + 'static) -> Self {
        Self {
            going_on: Arc::default(),
            listener: Some(Arc::new(listener)),
        }
    }

    /// How many go on.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Begins an operation on a sandbox that there is, or on something else: `work` runs in a task of
    /// its own, whoever follows it.
    pub fn begin<F, W>(&self, sandbox: Option<SandboxId>, work: W) -> Arc<Operation>
    where
        W: FnOnce(OpId, Progress) -> F + Send + 'static,
        F: Future<Output = Result<serde_json::Value, Fault>> + Send + 'static,
    {
        self.begin_as(new_id(), sandbox, work)
    }

    /// As [`Self::begin`], for one that has had its id since before it was known to succeed.
    pub fn begin_as<F, W>(&self, id: OpId, sandbox: Option<SandboxId>, work: W) -> Arc<Operation>
    where
        W: FnOnce(OpId, Progress) -> F + Send + 'static,
        F: Future<Output = Result<serde_json::Value, Fault>> + Send + 'static,
    {
        let operation = Arc::new(Operation::new(id, sandbox));
        self.lock().insert(id, Arc::clone(&operation));
        let teller = Arc::clone(&operation);
        let progress = Progress::of(id, move |told| {
            teller.tell(match told {
                Told::Stage(text) => Event::Stage { text },
                Told::Amount { done, total } => Event::Amount { done, total },
                Told::Note(text) => Event::Note { text },
            });
        });
        let running = Running {
            operations: self.clone(),
            operation: Arc::clone(&operation),
            done: false,
        };
        let future = work(id, progress);
        tokio::spawn(running.finish_after(future));
        operation
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<OpId, Arc<Operation>>> {
        self.going_on.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees to it that an operation always gets a last event, even when its work panics.
struct Running {
    operations: Operations,
    operation: Arc<Operation>,
    done: bool,
}

impl Running {
    async fn finish_after<F>(mut self, work: F)
    where
        F: Future<Output = Result<serde_json::Value, Fault>>,
    {
        let outcome = work.await;
        let id = self.operation.id;
        self.finish(match outcome {
            Ok(result) => {
                tracing::info!(op = %id, "operation completed");
                Event::Done { result }
            }
            Err(fault) => {
                tracing::warn!(op = %id, code = ?fault.code, "operation failed: {fault}");
                Event::Failed {
                    fault: fault.with_op(id),
                }
            }
        });
    }

    fn finish(&mut self, last: Event) {
        self.done = true;
        let outcome = match &last {
            Event::Failed { fault } => Outcome::Failed(fault.code),
            _ => Outcome::Done,
        };
        if let Some(listener) = &self.operations.listener {
            listener(&Ended {
                id: self.operation.id,
                sandbox: self.operation.sandbox,
                outcome,
                took: self.operation.begun.elapsed(),
            });
        }
        self.operation.tell(last);
        self.operations.lock().remove(&self.operation.id);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.done {
            let fault = Fault::new(
                FaultCode::Failed,
                "the operation broke off: an error in banger itself, or the daemon is leaving",
            );
            let id = self.operation.id;
            self.finish(Event::Failed {
                fault: fault.with_op(id),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(operation: &Operation) -> Vec<String> {
        let mut place = Place::default();
        let mut told = Vec::new();
        while let Some(event) = operation.next(&mut place).await {
            told.push(match event {
                Event::Accepted { .. } => "accepted".into(),
                Event::Stage { text } | Event::Note { text } => text,
                Event::Amount { done, .. } => done.to_string(),
                Event::Done { .. } => "done".into(),
                Event::Failed { fault } => fault.message,
            });
        }
        told
    }

    #[tokio::test]
    async fn a_late_follower_hears_the_story_from_the_beginning() {
        let operations = Operations::default();
        let operation = operations.begin(None, |_, progress| async move {
            progress.stage("one");
            for done in 0..1000 {
                progress.amount(done, 1000);
            }
            progress.stage("two");
            Ok(serde_json::Value::Null)
        });
        assert_eq!(
            all(&operation).await,
            ["accepted", "one", "999", "two", "done"]
        );
        assert_eq!(
            all(&operation).await,
            ["accepted", "one", "999", "two", "done"]
        );
        assert_eq!(operations.count(), 0);
    }

    #[tokio::test]
    async fn a_failure_carries_the_operations_id() {
        let operation = Operations::default().begin(None, |_, _| async {
            Err(Fault::new(FaultCode::Failed, "no room"))
        });
        let mut place = Place::default();
        operation.next(&mut place).await;
        let Some(Event::Failed { fault }) = operation.next(&mut place).await else {
            panic!("not failed")
        };
        assert_eq!(fault.op, Some(operation.id().to_string()));
    }

    #[tokio::test]
    async fn a_panic_is_a_last_event_too() {
        let operation = Operations::default().begin(None, |_, _| async { panic!("on purpose") });
        let told = all(&operation).await;
        assert!(
            told.last().is_some_and(|last| last.contains("broke off")),
            "{told:?}"
        );
    }

    #[tokio::test]
    async fn each_end_is_told_once_with_what_it_came_to() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let operations = Operations::told_to(move |ended| {
            heard.lock().expect("whole").push((ended.id, ended.outcome));
        });
        let good = operations.begin(None, |_, _| async { Ok(serde_json::Value::Null) });
        all(&good).await;
        let bad = operations.begin(None, |_, _| async {
            Err(Fault::new(FaultCode::Guest, "silent"))
        });
        all(&bad).await;
        let broken = operations.begin(None, |_, _| async { panic!("on purpose") });
        all(&broken).await;
        let expected = [
            (good.id(), Outcome::Done),
            (bad.id(), Outcome::Failed(FaultCode::Guest)),
            (broken.id(), Outcome::Failed(FaultCode::Failed)),
        ];
        assert_eq!(*told.lock().expect("whole"), expected);
    }

    #[test]
    fn an_id_is_short_and_readable() {
        let id = new_id().to_string();
        assert_eq!(id.len(), 9);
        assert!(id.starts_with("op-"));
    }
}
