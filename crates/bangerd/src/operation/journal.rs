//! What of an operation is durable: before it touches anything, and when it has ended.

use super::{Asked, FORM, Fate, OpId};
use crate::host;
use crate::store::{Durable, OperationRow, Store, StoreError};
use crate::vmm::process;
use banger_model::SandboxId;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::operation::Event;

/// How many ended operations are kept: more than anybody scrolls back.
pub const KEPT: u32 = 400;

/// What an operation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The sandbox that it makes or changes.
    pub sandbox: Option<SandboxId>,
    /// The name of that, or of an image or a kernel.
    pub name: String,
}

impl Subject {
    /// An image or a kernel.
    pub fn artifact(name: impl std::fmt::Display) -> Self {
        Self {
            sandbox: None,
            name: name.to_string(),
        }
    }

    /// A sandbox, of the name that it has now.
    pub fn sandbox(id: SandboxId, name: impl std::fmt::Display) -> Self {
        Self {
            sandbox: Some(id),
            name: name.to_string(),
        }
    }
}

/// What is recorded of an operation when it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its id.
    pub op: OpId,
    /// What it is about.
    pub subject: Subject,
    /// What was asked.
    pub asked: Asked,
    /// Seconds since 1970.
    pub begun_at: u64,
}

impl Entry {
    /// One that begins now.
    #[must_use]
    pub fn new(op: OpId, subject: Subject, asked: Asked) -> Self {
        Self {
            op,
            subject,
            asked,
            begun_at: host::now().seconds,
        }
    }
}

/// An operation that a daemon before this one did not end.
#[derive(Debug)]
pub struct Unfinished {
    /// Its entry; or why that cannot be understood.
    pub entry: Result<Entry, String>,
    /// Its id, as it is stored.
    pub op: String,
    /// Whether the host has not been restarted since.
    pub same_boot: bool,
    /// Whether somebody was told that it is cancelled.
    pub cancelled: bool,
}

/// An operation of the journal, as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// Its id.
    pub op: String,
    /// Its kind, in a word.
    pub kind: String,
    /// The sandbox's id, and the name of what it is about.
    pub sandbox: Option<String>,
    /// See [`Subject::name`].
    pub name: String,
    /// Seconds since 1970.
    pub begun_at: u64,
    /// Seconds since 1970.
    pub ended_at: u64,
    /// Its last event.
    pub last: Event,
}

fn boot() -> String {
    process::boot_id().unwrap_or_default()
}

impl Store {
    /// Records an operation before it touches anything; durable afterwards. Of one that nobody would go on
    /// with after a restart of the host a power cut may lose the entry, until something else is recorded
    /// for good: with a start that is its first step.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn begin_operation(&self, entry: &Entry) -> Result<(), StoreError> {
        let request = serde_json::to_string(&entry.asked).unwrap_or_default();
        let row = OperationRow {
            id: entry.op.to_string(),
            form: FORM,
            kind: entry.asked.kind().to_owned(),
            sandbox: entry.subject.sandbox.map(|id| id.to_string()),
            name: entry.subject.name.clone(),
            request,
            boot: boot(),
            begun_at: entry.begun_at,
            ended: None,
            cancelled: false,
        };
        let durable = match entry.asked.fate(false) {
            Fate::Fails(_) => Durable::ThisBoot,
            Fate::GoesOn | Fate::IsUndone => Durable::Always,
        };
        let frees_room = entry.asked.frees_room();
        self.put_operation(row, durable, frees_room).await
    }

    /// Records the outcome. A power cut may lose it: the operation is gone on with then, and finds
    /// everything done.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_operation(&self, op: OpId, last: &Event) -> Result<(), StoreError> {
        self.end_operation_named(op.to_string(), last).await
    }

    /// As [`Self::end_operation`], for an id that may be none.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_operation_named(&self, op: String, last: &Event) -> Result<(), StoreError> {
        let outcome = serde_json::to_string(last).unwrap_or_default();
        self.put_outcome(op, host::now().seconds, outcome, KEPT)
            .await
    }

    /// Records that an operation is not wanted any more, before whoever asked for that is told so.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn cancel_operation(&self, op: OpId) -> Result<(), StoreError> {
        self.put_cancelled(op.to_string(), host::now().seconds)
            .await
    }

    /// What daemons before this one did not end, the oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn unfinished_operations(&self) -> Result<Vec<Unfinished>, StoreError> {
        let rows = self.operations(false, u32::MAX).await?;
        let boot = boot();
        let read = |row: OperationRow| Unfinished {
            same_boot: row.boot == boot,
            cancelled: row.cancelled,
            op: row.id.clone(),
            entry: entry_of(row),
        };
        Ok(rows.into_iter().rev().map(read).collect())
    }

    /// What has ended, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn ended_operations(&self) -> Result<Vec<Past>, StoreError> {
        let rows = self.operations(true, KEPT).await?;
        Ok(rows.into_iter().filter_map(past_of).collect())
    }

    /// One that has ended.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn ended_operation(&self, op: OpId) -> Result<Option<Past>, StoreError> {
        let row = self.operation(op.to_string()).await?;
        Ok(row.and_then(past_of))
    }
}

fn entry_of(row: OperationRow) -> Result<Entry, String> {
    if row.form != FORM {
        return Err(format!(
            "it is of form {}, this daemon's is {FORM}",
            row.form
        ));
    }
    let asked = serde_json::from_str(&row.request).map_err(|error| error.to_string())?;
    let sandbox = row.sandbox.map(|id| id.parse()).transpose();
    Ok(Entry {
        op: row.id.parse().map_err(|error| format!("{error}"))?,
        subject: Subject {
            sandbox: sandbox.map_err(|error| format!("{error}"))?,
            name: row.name,
        },
        asked,
        begun_at: row.begun_at,
    })
}

fn past_of(row: OperationRow) -> Option<Past> {
    let (ended_at, outcome) = row.ended?;
    let last = serde_json::from_str(&outcome).unwrap_or_else(|error| Event::Failed {
        fault: Fault::new(
            FaultCode::Version,
            format!("its outcome cannot be read by this daemon: {error}"),
        ),
    });
    Some(Past {
        op: row.id,
        kind: row.kind,
        sandbox: row.sandbox,
        name: row.name,
        begun_at: row.begun_at,
        ended_at,
        last,
    })
}

#[cfg(test)]
mod t1;
