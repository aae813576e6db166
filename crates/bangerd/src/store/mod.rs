//! The store: what is remembered of each sandbox, in SQLite, on one thread.
//!
//! What crosses this module's door are inner types; what is stored are types of its own
//! ([`stored`]), with ordered migrations that only go forward. A database that is newer than this
//! code, or cannot be read, is refused and not changed.

mod stored;

use crate::record::Record;
use banger_model::SandboxId;
use banger_proto::fault::{Fault, FaultCode};
use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use tokio::sync::oneshot;

/// Ordered; one that was released is never edited.
const MIGRATIONS: &[M<'static>] = &[
    M::up(
        "CREATE TABLE sandboxes (
        id TEXT PRIMARY KEY NOT NULL,
        name TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        reason TEXT,
        created_at INTEGER NOT NULL,
        spec TEXT NOT NULL,
        run TEXT
    ) STRICT;",
    ),
    M::up(
        "CREATE TABLE settings (
        key TEXT PRIMARY KEY NOT NULL,
        value TEXT NOT NULL
    ) STRICT;
    ALTER TABLE sandboxes ADD COLUMN network TEXT;",
    ),
];

/// Why the store could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or is no database.
    #[error("cannot use the database {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Its schema is not one that this version knows.
    #[error("the database {} is of another version of banger: {source}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rusqlite_migration::Error,
    },
    /// A statement failed.
    #[error("cannot write to the database: {0}")]
    Statement(#[from] rusqlite::Error),
    /// A row holds what no version of banger writes.
    #[error("the record of sandbox {id} cannot be read: {why}")]
    Row {
        /// Its id, as stored.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// The thread has ended.
    #[error("the store is closed")]
    Closed,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let fault = Self::new(FaultCode::Failed, &error);
        match error {
            StoreError::Open { path, .. } => fault.with_remedy(format!(
                "nothing was changed; move {} away to begin with no sandboxes, or restore it",
                path.display()
            )),
            StoreError::Schema { .. } => {
                fault.with_remedy("use the newer banger; nothing was changed")
            }
            StoreError::Statement(_) => {
                fault.with_remedy("look whether the disk is full or read-only")
            }
            StoreError::Row { .. } => fault.with_remedy("other sandboxes are not affected"),
            StoreError::Closed => fault,
        }
    }
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle to the store's thread. Cheap to clone; the thread ends with the last handle.
#[derive(Clone)]
pub struct Store(mpsc::Sender<Job>);

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Opens the database, makes it if it is not there, and migrates it forward.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Schema`]; the file's bytes are as they were then.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = open(path)?;
        let (jobs, inbox) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new().name("store".into());
        thread
            .spawn(move || {
                while let Ok(job) = inbox.recv() {
                    job(&mut connection);
                }
            })
            .map_err(|_| StoreError::Closed)?;
        Ok(Self(jobs))
    }

    async fn run<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, waiting) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let _nobody_waits = answer.send(work(connection));
        });
        self.0.send(job).map_err(|_| StoreError::Closed)?;
        waiting.await.map_err(|_| StoreError::Closed)?
    }

    /// Writes a record, new or known.
    ///
    /// # Errors
    /// When the disk is full or the name is taken.
    pub async fn put(&self, record: &Record) -> Result<(), StoreError> {
        let row = stored::Row::from(record);
        self.run(move |connection| row.write(connection)).await
    }

    /// Forgets a record; one that is not there is a success.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove(&self, id: SandboxId) -> Result<(), StoreError> {
        self.run(move |connection| {
            connection.execute("DELETE FROM sandboxes WHERE id = ?1", [id.to_string()])?;
            Ok(())
        })
        .await
    }

    /// What is remembered under a key that belongs to the installation, not to a sandbox.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn setting(&self, key: &'static str) -> Result<Option<String>, StoreError> {
        self.run(move |connection| {
            let mut statement = connection.prepare("SELECT value FROM settings WHERE key = ?1")?;
            let mut rows = statement.query([key])?;
            Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
        })
        .await
    }

    /// Remembers it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_setting(&self, key: &'static str, value: String) -> Result<(), StoreError> {
        self.run(move |connection| {
            connection.execute(
                "INSERT INTO settings (key, value) VALUES (?1, ?2)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [key, &value],
            )?;
            Ok(())
        })
        .await
    }

    /// All records, those that cannot be read apart.
    ///
    /// # Errors
    /// When the database as a whole cannot be read.
    pub async fn all(&self) -> Result<(Vec<Record>, Vec<StoreError>), StoreError> {
        self.run(|connection| stored::read_all(connection)).await
    }
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let in_file = |source| StoreError::Open {
        path: path.to_owned(),
        source,
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(in_file)?;
    // Every pragma in the call that opens (lesson L-21). `FULL`: intent is durable before the first
    // host object is made.
    connection
        .execute_batch(
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
        )
        .map_err(in_file)?;
    Migrations::from_slice(MIGRATIONS)
        .to_latest(&mut connection)
        .map_err(|source| StoreError::Schema {
            path: path.to_owned(),
            source,
        })?;
    Ok(connection)
}

#[cfg(test)]
mod t1;
