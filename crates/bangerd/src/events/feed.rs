//! Numbers events, writes them and hands them on.

use super::history;
use crate::lines::{LineFile, Queue};
use banger_model::{SandboxId, SandboxName};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::event::{Event, What};
use banger_proto::owner::time::UtcTime;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The file is begun anew beyond this, one predecessor kept: some ten thousand events each.
pub(super) const LIMIT: u64 = 2 << 20;
/// Events that wait to be numbered: all machines of a host that stop at once.
const ROOM: usize = 8192;
/// Events that followers get without a look into the file, and that wait for room on a full disk.
const RECENT: usize = 1024;

/// What happened to whom.
#[derive(Debug, Clone)]
pub struct Happening {
    /// When.
    pub time: UtcTime,
    /// The sandbox.
    pub sandbox: SandboxId,
    /// Its name.
    pub name: SandboxName,
    /// The operation that it is a part of.
    pub op: Option<String>,
    /// What.
    pub what: What,
}

/// Where events come together. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed {
    queue: Option<Queue<Happening>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    recent: Mutex<VecDeque<Event>>,
    newest: watch::Sender<u64>,
}

impl Shared {
    fn recent(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    /// Goes on with the numbers of the file, or of `floor` where that is more. `keep_floor` is told, now
    /// and then while nothing can be written, up to which number may be given.
    #[must_use]
    pub fn open(path: &Path, floor: u64, keep_floor: impl FnMut(u64) + Send + 'static) -> Self {
        let newest = history::newest(path).unwrap_or_else(|error| {
            tracing::error!("events of before cannot be read: {error}");
            0
        });
        let newest = newest.max(floor);
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            recent: Mutex::default(),
            newest: watch::Sender::new(newest),
        });
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            file: LineFile::new(path.to_owned(), LIMIT),
            newest,
            waiting: VecDeque::new(),
            floor: 0,
            keep_floor: Box::new(keep_floor),
        };
        let queue = Queue::start("events", ROOM, move |happening, lost| {
            writer.newest += lost;
            writer.take(happening);
        });
        if let Err(error) = &queue {
            tracing::error!("there are no events: {error}");
        }
        Self {
            queue: queue.ok(),
            shared,
        }
    }

    /// Tells of something; never waits.
    pub fn tell(&self, happening: Happening) {
        if let Some(queue) = &self.queue {
            queue.push(happening);
        }
    }

    /// Waits until what was told is written, a second at most.
    pub async fn drained(&self) {
        if let Some(queue) = &self.queue {
            queue.drained().await;
        }
    }

    /// The number of the newest event, as it changes.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.shared.newest.subscribe()
    }

    /// The events beyond a number, oldest first.
    ///
    /// # Errors
    /// When those of before cannot be read.
    pub async fn after(&self, seq: u64) -> Result<Vec<Event>, Fault> {
        if *self.shared.newest.borrow() <= seq {
            return Ok(vec![]);
        }
        let beyond = |recent: &VecDeque<Event>| -> Vec<Event> {
            recent
                .iter()
                .filter(|event| event.seq > seq)
                .cloned()
                .collect()
        };
        let first = {
            let recent = self.shared.recent();
            match recent.front() {
                Some(first) if first.seq <= seq.saturating_add(1) => return Ok(beyond(&recent)),
                first => first.map_or(u64::MAX, |event| event.seq),
            }
        };
        let path = self.shared.path.clone();
        let read = tokio::task::spawn_blocking(move || history::read(&path, seq));
        let failed = |error: &dyn std::fmt::Display| {
            Fault::new(
                FaultCode::Failed,
                format!("cannot read the events of before: {error}"),
            )
        };
        let mut events = read
            .await
            .map_err(|error| failed(&error))?
            .map_err(|error| failed(&error))?;
        // What came meanwhile is in both; what could not be written only in memory.
        events.retain(|event| event.seq < first);
        events.extend(
            beyond(&self.shared.recent())
                .into_iter()
                .filter(|event| event.seq >= first),
        );
        Ok(events)
    }
}

/// The thread's side.
struct Writer {
    shared: Arc<Shared>,
    file: LineFile,
    newest: u64,
    /// Lines that the disk had no room for.
    waiting: VecDeque<String>,
    /// Numbers up to this one are never given again.
    floor: u64,
    keep_floor: Box<dyn FnMut(u64) + Send>,
}

impl Writer {
    fn take(&mut self, happening: Happening) {
        self.newest += 1;
        let event = Event {
            seq: self.newest,
            time: happening.time,
            sandbox: happening.sandbox.to_string(),
            name: happening.name.to_string(),
            op: happening.op,
            what: happening.what,
        };
        self.waiting
            .push_back(serde_json::to_string(&event).unwrap_or_default());
        self.write();
        let mut recent = self.shared.recent();
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back(event);
        drop(recent);
        self.shared.newest.send_replace(self.newest);
    }

    fn write(&mut self) {
        while let Some(line) = self.waiting.front() {
            if let Err(error) = self.file.append(line) {
                return self.put_off(&error);
            }
            self.waiting.pop_front();
        }
    }

    fn put_off(&mut self, error: &std::io::Error) {
        if self.newest > self.floor {
            tracing::error!("events cannot be written, and are told all the same: {error}");
            self.floor = self.newest + RECENT as u64;
            (self.keep_floor)(self.floor);
        }
        if self.waiting.len() > RECENT {
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod t1;
