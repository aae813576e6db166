//! The audit log: what was asked of the daemon, by whom, and what came of it. One JSON object per line
//! in `audit.jsonl`; `docs/audit.md` describes it.
//!
//! Nothing waits for it and nothing is refused for its sake: what cannot be written is counted, and
//! said with the next line that can be.

mod entry;
mod layer;
mod strangers;

pub(crate) use entry::bounded;
pub use entry::{Asker, Entry};
pub use layer::{Audited, Peer, record};
pub use strangers::Strangers;

use crate::host;
use crate::layout::Layout;
use crate::lines::{LineFile, Queue};
use crate::operation::Ended;
use banger_proto::fault::FaultCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The log is begun anew beyond this, one predecessor kept: some thirty thousand requests each.
const LIMIT: u64 = 8 << 20;
/// Lines that wait to be written: a burst of what several clients ask within a second.
const ROOM: usize = 4096;

/// Where entries are put. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Audit {
    queue: Option<Queue<Entry>>,
    lost: Arc<AtomicU64>,
}

impl Audit {
    /// The log of a layout.
    #[must_use]
    pub fn of(layout: &Layout) -> Self {
        let mut writer = Writer {
            file: LineFile::new(layout.audit_log(), LIMIT),
            unwritten: 0,
            all: Arc::default(),
        };
        // At once: a daemon that nobody has asked anything worth a line has its log, too.
        if let Err(error) = writer.file.make() {
            tracing::error!("the audit log cannot be made, requests go on: {error}");
        }
        let lost = Arc::clone(&writer.all);
        let queue = Queue::start("audit", ROOM, move |entry, lost| writer.write(&entry, lost));
        if let Err(error) = &queue {
            tracing::error!("there is no audit log: {error}");
        }
        Self {
            queue: queue.ok(),
            lost,
        }
    }

    /// Records an entry; never waits.
    pub fn put(&self, entry: Entry) {
        match &self.queue {
            Some(queue) => queue.push(entry),
            None => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Records what an operation came to.
    pub fn ended(&self, ended: &Ended<'_>) {
        let fault = ended.outcome.err().map(|fault| fault.code);
        let outcome = match fault {
            None => "done",
            Some(FaultCode::Cancelled) => "cancelled",
            Some(_) => "failed",
        };
        let entry = ended.entry;
        self.put(Entry {
            op: Some(entry.op.to_string()),
            sandbox: entry.subject.sandbox.map(|id| id.to_string()),
            outcome: Some(outcome.into()),
            fault,
            took_ms: Some(entry::milliseconds(ended.took)),
            ..Entry::at(host::utc_now())
        });
    }

    /// How many entries this daemon could not write.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until what was put in is written, a second at most.
    pub async fn drained(&self) {
        if let Some(queue) = &self.queue {
            queue.drained().await;
        }
    }
}

/// The thread's side.
struct Writer {
    file: LineFile,
    /// Entries that could not be written since the last that could.
    unwritten: u64,
    /// The same since the daemon's start.
    all: Arc<AtomicU64>,
}

impl Writer {
    fn write(&mut self, entry: &Entry, lost: u64) {
        self.count(lost);
        let line = |entry: &Entry| serde_json::to_string(entry).unwrap_or_default();
        let gap = Entry {
            lost: Some(self.unwritten),
            ..Entry::at(entry.time)
        };
        let gap = (self.unwritten > 0).then_some(gap);
        for entry in gap.iter().chain([entry]) {
            match self.file.append(&line(entry)) {
                Ok(()) if entry.lost.is_some() => self.unwritten = 0,
                Ok(()) => {}
                Err(error) => {
                    if self.unwritten == 0 {
                        tracing::error!("the audit log cannot be written, requests go on: {error}");
                    }
                    return self.count(1);
                }
            }
        }
    }

    fn count(&mut self, lost: u64) {
        self.unwritten += lost;
        self.all.fetch_add(lost, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod t1;
