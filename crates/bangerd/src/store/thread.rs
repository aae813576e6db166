//! The store's thread. What waits for it is done in one transaction, so that many who write at the same
//! time wait for the disk once; each is answered when that is over.
//!
//! ```text
//! recv ──▶ all that waits ──▶ BEGIN, each in a savepoint, COMMIT ──▶ answers ──▶ idle? checkpoint
//!                                      │ the whole fails: a full disk, most likely
//!                                      └──▶ each by itself, with the room that it may take
//! ```

use super::reserve::Reserve;
use super::{StoreError, is_full, named, open};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How much is done in one transaction: its pages must fit the room that is held for a full disk.
const MOST_AT_ONCE: usize = 16;
/// A log of so many pages is brought into the database when there is nothing else to do.
const LONG_LOG: i64 = 32;
/// How long nothing must have come for that.
const IDLE: Duration = Duration::from_millis(20);

/// What a power cut may do to what is written. The daemon's own end, however it comes, loses nothing that
/// was answered: the log is the kernel's by then ("transactions are durable across application crashes
/// regardless of the synchronous setting", sqlite.org/pragma.html, `synchronous`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durable {
    /// It may be lost, together with all that was written so after it: it says what is so until the host is
    /// restarted and no longer, or what is found out again (`synchronous = NORMAL`: "a transaction
    /// might roll back following a power loss").
    ThisBoot,
    /// It is on the disk when it is answered, and with it all that was written before (`FULL`: "the WAL
    /// is synced after each transaction commit").
    Always,
}

/// What a piece of work may ask of the disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) durable: Durable,
    /// Whether it may take the room that is held for a full disk.
    pub(super) held_room: bool,
}

/// A piece of work that waits. It may be done more than once, and undone in between.
pub(super) trait Job: Send {
    fn terms(&self) -> Terms;
    fn work(&mut self, connection: &Connection) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, ended: Result<(), StoreError>);
}

/// A job whose answer somebody waits for.
pub(super) struct Asked<T, W> {
    pub(super) terms: Terms,
    pub(super) work: W,
    pub(super) done: Option<T>,
    pub(super) answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Job for Asked<T, W>
where
    T: Send,
    W: Fn(&Connection) -> Result<T, StoreError> + Send,
{
    fn terms(&self) -> Terms {
        self.terms
    }

    fn work(&mut self, connection: &Connection) -> Result<(), StoreError> {
        self.done = Some((self.work)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, ended: Result<(), StoreError>) {
        let done = self.done;
        let answer = ended.and_then(|()| done.ok_or(StoreError::Closed));
        let _nobody_waits = self.answer.send(answer);
    }
}

/// What the thread works with.
pub(super) struct Database {
    path: PathBuf,
    connection: Connection,
    reserve: Reserve,
}

impl Database {
    /// Opens it; on a full disk with the room that is held for it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut reserve = Reserve::of(path);
        let connection = match open(path) {
            Err(error) if is_full(&error, path) && reserve.give_up() => open(path),
            other => other,
        };
        let connection = connection.map_err(|error| named(error, path))?;
        reserve.hold();
        Ok(Self {
            path: path.to_owned(),
            connection,
            reserve,
        })
    }

    /// Does what comes, until nobody can send any more.
    pub(super) fn serve(mut self, inbox: &Receiver<Box<dyn Job>>) {
        while let Some(first) = self.next(inbox) {
            let mut jobs = vec![first];
            jobs.extend(inbox.try_iter().take(MOST_AT_ONCE - 1));
            let ended = self.work(&mut jobs);
            for (job, ended) in jobs.into_iter().zip(ended) {
                job.answer(ended);
            }
        }
    }

    /// The next that comes. SQLite would bring a long log into the database within whichever commit made
    /// it long, which then waits for two more syncs: here nobody waits for it.
    fn next(&mut self, inbox: &Receiver<Box<dyn Job>>) -> Option<Box<dyn Job>> {
        if self.waiting_pages().is_ok_and(|pages| pages >= LONG_LOG) {
            match inbox.recv_timeout(IDLE) {
                Err(RecvTimeoutError::Timeout) => {}
                other => return other.ok(),
            }
            if let Err(error) = self.log("PASSIVE") {
                tracing::debug!("the database's log stays long: {error}");
            }
        }
        inbox.recv().ok()
    }

    /// Pages of the log that are not in the database yet.
    fn waiting_pages(&self) -> rusqlite::Result<i64> {
        self.log("NOOP")
    }

    fn log(&self, mode: &str) -> rusqlite::Result<i64> {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let mut statement = self.connection.prepare(&sql)?;
        statement.query_row([], |row| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?))
    }

    fn work(&mut self, jobs: &mut [Box<dyn Job>]) -> Vec<Result<(), StoreError>> {
        if jobs.len() > 1
            && let Ok(ended) = self.together(jobs)
        {
            self.reserve.hold();
            return ended;
        }
        jobs.iter_mut().map(|job| self.alone(job)).collect()
    }

    /// One piece of work; once more with the room that is held when the disk is full.
    fn alone(&mut self, job: &mut Box<dyn Job>) -> Result<(), StoreError> {
        let held_room = job.terms().held_room;
        let jobs = std::slice::from_mut(job);
        let ended = match self.one(jobs) {
            Err(error) if held_room && is_full(&error, &self.path) && self.reserve.give_up() => {
                tracing::warn!("the disk is full: recording with the room held for it");
                self.one(jobs)
            }
            other => other,
        };
        if ended.is_ok() && held_room {
            self.reserve.hold();
        }
        ended.map_err(|error| named(error, &self.path))
    }

    fn one(&mut self, job: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        self.together(job)?.pop().unwrap_or(Err(StoreError::Closed))
    }

    /// In one transaction. One that fails by itself is undone by itself; an error of the whole means that
    /// nothing of it is written.
    fn together(
        &mut self,
        jobs: &mut [Box<dyn Job>],
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let durable = jobs.iter().map(|job| job.terms().durable).max();
        let level = match durable {
            Some(Durable::Always) => "PRAGMA synchronous = FULL",
            Some(Durable::ThisBoot) | None => "PRAGMA synchronous = NORMAL",
        };
        self.connection.execute_batch(level)?;
        self.say("BEGIN")?;
        let ended = self.each(jobs).and_then(|ended| {
            self.say("COMMIT")?;
            Ok(ended)
        });
        // Some errors have undone it already.
        if ended.is_err() && !self.connection.is_autocommit() {
            self.say("ROLLBACK")?;
        }
        ended
    }

    fn each(&self, jobs: &mut [Box<dyn Job>]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let mut ended = Vec::with_capacity(jobs.len());
        for job in jobs {
            self.say("SAVEPOINT one")?;
            let worked = job.work(&self.connection);
            match worked {
                Err(error) if is_full(&error, &self.path) || self.connection.is_autocommit() => {
                    return Err(error);
                }
                Err(_) => self.say("ROLLBACK TO one")?,
                Ok(()) => {}
            }
            self.say("RELEASE one")?;
            ended.push(worked);
        }
        Ok(ended)
    }

    fn say(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.execute_batch(sql)
    }
}

#[cfg(test)]
mod t1;
