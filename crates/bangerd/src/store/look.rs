//! Looking at a database without changing anything: for `banger doctor`, and before it is opened to be
//! written. What is damaged keeps its bytes.

use super::{MIGRATIONS, StoreError, Unreadable, rows};
use crate::record::Record;
use rusqlite::{Connection, OpenFlags, ffi};
use rusqlite_migration::{Error as MigrationError, MigrationDefinitionError};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What a database says.
#[derive(Debug)]
pub struct Look {
    /// The records that can be read; none of a database that is older than this code, which the next
    /// daemon migrates.
    pub records: Vec<Record>,
    /// Those that cannot.
    pub unreadable: Vec<Unreadable>,
    /// How many migrations it lacks.
    pub behind: usize,
}

/// Reads a database, whether a daemon has it open or not. Neither the file nor what lies beside it is
/// changed or made.
///
/// # Errors
/// [`StoreError::Open`] when it is damaged or not there, [`StoreError::Schema`] when it is newer.
pub fn look(path: &Path) -> Result<Look, StoreError> {
    let connection = connect(path)?;
    let behind = examine(&connection, path)?;
    let (records, unreadable) = match behind {
        0 => rows::read_all(&connection)?,
        _ => Default::default(),
    };
    Ok(Look {
        records,
        unreadable,
        behind,
    })
}

/// Refuses a database that is damaged or newer; one that is not there is fine.
pub(super) fn require_sound(path: &Path) -> Result<(), StoreError> {
    // An empty file is what SQLite makes first, and a full disk leaves.
    match path.metadata() {
        Ok(found) if found.len() > 0 => examine(&connect(path)?, path).map(drop),
        _ => Ok(()),
    }
}

/// How many migrations a sound database lacks.
fn examine(connection: &Connection, path: &Path) -> Result<usize, StoreError> {
    let in_file = |source| StoreError::Open {
        path: path.to_owned(),
        source,
    };
    let version = "PRAGMA user_version";
    let version: i64 = connection
        .query_row(version, [], |row| row.get(0))
        .map_err(in_file)?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    let Some(behind) = MIGRATIONS.len().checked_sub(version) else {
        return Err(StoreError::Schema {
            path: path.to_owned(),
            source: MigrationError::MigrationDefinition(
                MigrationDefinitionError::DatabaseTooFarAhead,
            ),
        });
    };
    let said: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(in_file)?;
    match said.as_str() {
        "ok" => Ok(behind),
        _ => Err(in_file(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CORRUPT),
            Some(format!("it is damaged: {}", said.replace('\n', ", "))),
        ))),
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    // A database without a log is nobody's at the moment; SQLite would make one beside it.
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log = Path::new(&log);
    let immutable = if log.exists() { "" } else { "?immutable=1" };
    let connection = Connection::open_with_flags(format!("{}{immutable}", uri(path)), flags);
    let connection = connection.and_then(|connection| {
        connection.execute_batch("PRAGMA busy_timeout = 5000;")?;
        Ok(connection)
    });
    connection.map_err(|source| StoreError::Open {
        path: path.to_owned(),
        source,
    })
}

/// A path as a URI (sqlite.org/uri.html).
fn uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            let _infallible = write!(uri, "%{byte:02X}");
        }
    }
    uri
}
