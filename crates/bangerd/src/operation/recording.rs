//! When the journal is written, and what becomes of an operation where it cannot be.

use super::{Entry, OpId, Operations, last_event, unbroken};
use crate::fault_points::{Place, Side, pass};
use crate::store::{Store, StoreError};
use banger_proto::fault::Fault;
use banger_proto::owner::operation::Event;
use std::time::Duration;

/// Until an end that could not be recorded is tried again, at first.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// And at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Operations {
    /// Records an operation that begins.
    ///
    /// # Errors
    /// When it cannot be: it is not begun then, unless it frees room.
    pub(super) async fn record(&self, entry: &Entry) -> Result<(), Fault> {
        let (op, kind, name) = (entry.op, entry.asked.kind(), &entry.subject.name);
        tracing::info!(%op, kind, name, "operation begins");
        let Some(journal) = self.journal() else {
            return Ok(());
        };
        let writing = write(entry, "begun", async {
            journal.begin_operation(entry).await
        });
        match writing.await {
            Err(fault) if entry.asked.frees_room() => {
                tracing::warn!(%op, "goes on without a record of it: {fault}");
                Ok(())
            }
            Err(fault) => {
                // Written all the same, it would be gone on with after its client was told that it failed.
                let last = last_event(&Err(fault.clone()));
                if let Err(error) = journal.end_operation(op, &last).await {
                    tracing::warn!(%op, "nor can be recorded that it was not begun: {error}");
                }
                Err(fault)
            }
            Ok(()) => Ok(()),
        }
    }

    /// Records how an operation has ended, now or as soon as it can be: the next daemon would do it once
    /// more, whatever was asked since.
    pub(super) async fn record_end(&self, entry: &Entry, last: &Event) {
        let Some(journal) = self.journal() else {
            return;
        };
        let op = entry.op;
        let writing = write(entry, "ended", async {
            journal.end_operation(op, last).await
        });
        if let Err(fault) = writing.await {
            tracing::error!(%op, "the end cannot be recorded yet: {fault}");
            tokio::spawn(end_later(journal.clone(), op, last.clone()));
        }
    }

    /// Records that an operation was cancelled, before whoever asked for that is told so. It is cancelled
    /// whether that can be recorded or not; where it cannot, only a daemon that ends within the next
    /// moments leaves something to go on with.
    pub async fn record_wish(&self, entry: &Entry) {
        let Some(journal) = self.journal() else {
            return;
        };
        let op = entry.op;
        let writing = write(entry, "cancelled", async {
            journal.cancel_operation(op).await
        });
        if let Err(fault) = writing.await {
            tracing::warn!(%op, "that it is cancelled cannot be recorded: {fault}");
        }
    }
}

/// Writes to the journal, between its two places.
async fn write(
    entry: &Entry,
    what: &'static str,
    writing: impl Future<Output = Result<(), StoreError>>,
) -> Result<(), Fault> {
    let passing = |side| async move {
        match entry.subject.name.parse() {
            Ok(name) => pass(&name, Place::Journal(what), side).await,
            // Of an image or a kernel; no machine is called so.
            Err(_) => Ok(()),
        }
    };
    unbroken(async {
        passing(Side::Before).await?;
        writing.await?;
        passing(Side::After).await
    })
    .await
}

async fn end_later(journal: Store, op: OpId, last: Event) {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        match journal.end_operation(op, &last).await {
            Ok(()) => return tracing::info!(%op, "the end is recorded"),
            Err(StoreError::Closed) => return,
            Err(error) => tracing::debug!(%op, "the end cannot be recorded yet: {error}"),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
