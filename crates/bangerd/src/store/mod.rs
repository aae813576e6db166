//! The store: what is remembered of each sandbox, in SQLite, on one thread.
//!
//! What crosses this module's door are inner types; what is stored are types of its own
//! ([`stored`]), with ordered migrations that only go forward. A database that is newer than this
//! code, or cannot be read, is refused and not changed.

mod look;
mod operations;
mod reserve;
mod rows;
mod stored;
mod thread;

pub use look::{Look, look};

use crate::disks::{DiskError, space};
use crate::record::Record;
use banger_model::SandboxId;
use banger_proto::fault::{Fault, FaultCode};
pub use operations::OperationRow;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rusqlite_migration::{M, Migrations};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
pub use stored::{read_spec, spec_text};
pub use thread::Durable;
use thread::{Asked, Database, Job, Terms};
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
    // A column of its own, not a field of `spec`: an older daemon refuses the database instead of
    // dropping what it does not know.
    M::up("ALTER TABLE sandboxes ADD COLUMN publish TEXT NOT NULL DEFAULT '[]';"),
    M::up("ALTER TABLE sandboxes ADD COLUMN leftovers TEXT;"),
    M::up(operations::TABLE),
    M::up("ALTER TABLE sandboxes ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';"),
    M::up("ALTER TABLE operations ADD COLUMN cancelled_at INTEGER;"),
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
    /// The disk is full.
    #[error(transparent)]
    Full(DiskError),
    /// A row holds what no version of banger writes.
    #[error("the record of sandbox {name} ({id}) cannot be read: {why}")]
    Row {
        /// Its id, as stored.
        id: String,
        /// Its name, as stored.
        name: String,
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
            StoreError::Full(error) => error.fault(),
            StoreError::Open { path, .. } => fault.with_remedy(format!(
                "nothing was changed; move {} away to begin with no sandboxes, or restore it",
                path.display()
            )),
            StoreError::Schema { .. } => {
                fault.with_remedy("use the newer banger; nothing was changed")
            }
            StoreError::Statement(_) => {
                fault.with_remedy("look whether the disk is read-only or failing")
            }
            StoreError::Row { name, .. } => fault.with_remedy(format!(
                "other sandboxes are not affected; use the banger that wrote it, or delete it with \
                 `banger vm rm {name}`"
            )),
            StoreError::Closed => fault,
        }
    }
}

/// A row that cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// Why.
    pub error: StoreError,
    /// Its name and id, in state `unreadable`; absent when not even those can be read.
    pub record: Option<Record>,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

/// Whether a failure comes from a full disk. SQLite has a code for a page that cannot be written; what
/// goes wrong around that (its index, a new file) are errors like others.
fn is_full(error: &StoreError, database: &Path) -> bool {
    let code = match error {
        StoreError::Statement(source) | StoreError::Open { source, .. } => {
            source.sqlite_error_code()
        }
        StoreError::Schema {
            source: rusqlite_migration::Error::RusqliteError { err, .. },
            ..
        } => err.sqlite_error_code(),
        _ => None,
    };
    let directory = database.parent().unwrap_or(Path::new("/"));
    let nothing_is_free = || space::free(directory).is_ok_and(|free| free < reserve::SIZE);
    match code {
        Some(ErrorCode::DiskFull) => true,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => nothing_is_free(),
        _ => false,
    }
}

/// A full disk is told in the words of all that finds it full.
fn named(error: StoreError, database: &Path) -> StoreError {
    if !is_full(&error, database) {
        return error;
    }
    StoreError::Full(DiskError::Full {
        place: database.to_owned(),
    })
}

/// A handle to the store's thread. Cheap to clone; the thread ends with the last handle.
#[derive(Clone)]
pub struct Store(mpsc::Sender<Box<dyn Job>>);

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
        let database = Database::open(path)?;
        let (jobs, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new().name("store".into());
        thread
            .spawn(move || database.serve(&inbox))
            .map_err(|_| StoreError::Closed)?;
        Ok(Self(jobs))
    }

    /// Reads something.
    async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        self.write(Durable::ThisBoot, work).await
    }

    /// Does a piece of work, on a full disk with the room that is held.
    async fn write<T, W>(&self, durable: Durable, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let held_room = true;
        self.on_its_thread(Terms { durable, held_room }, work).await
    }

    async fn on_its_thread<T, W>(&self, terms: Terms, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, waiting) = oneshot::channel();
        let job = Box::new(Asked {
            terms,
            work,
            done: None,
            answer,
        });
        self.0.send(job).map_err(|_| StoreError::Closed)?;
        waiting.await.map_err(|_| StoreError::Closed)?
    }

    /// Writes a record, new or known.
    ///
    /// # Errors
    /// When the disk is full or the name is taken.
    pub async fn put(&self, record: &Record) -> Result<(), StoreError> {
        self.put_as(Durable::Always, record).await
    }

    /// Writes a record, new or known, which a power cut may take back or not.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub async fn put_as(&self, durable: Durable, record: &Record) -> Result<(), StoreError> {
        let row = stored::Row::from(record);
        self.write(durable, move |connection| row.write(connection))
            .await
    }

    /// Forgets a record; one that is not there is a success.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove(&self, id: SandboxId) -> Result<(), StoreError> {
        self.write(Durable::Always, move |connection| {
            let mut statement = connection.prepare("DELETE FROM sandboxes WHERE id = ?1")?;
            statement.execute([id.to_string()])?;
            Ok(())
        })
        .await
    }

    /// What is remembered under a key that belongs to the installation, not to a sandbox.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn setting(&self, key: &'static str) -> Result<Option<String>, StoreError> {
        self.read(move |connection| {
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
        self.write(Durable::Always, move |connection| {
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
    pub async fn all(&self) -> Result<(Vec<Record>, Vec<Unreadable>), StoreError> {
        self.read(rows::read_all).await
    }
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    look::require_sound(path)?;
    let in_file = |source| StoreError::Open {
        path: path.to_owned(),
        source,
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(in_file)?;
    // Every pragma in the call that opens (lesson L-21); `synchronous` is each transaction's own
    // ([`Durable`]). A short log is written over soon: on a full disk it need not grow.
    connection
        .execute_batch(
            "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA wal_autocheckpoint = 64;",
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
