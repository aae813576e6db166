//! The journal of operations, as rows. What they mean is for [`crate::operation::journal`] to know.

use super::{Durable, Store, StoreError, Terms};
use rusqlite::{Connection, Row, named_params};

/// Numbers count up, so that the oldest are found without a sort.
pub(super) const TABLE: &str = "CREATE TABLE operations (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        form INTEGER NOT NULL,
        kind TEXT NOT NULL,
        sandbox TEXT,
        name TEXT NOT NULL,
        request TEXT NOT NULL,
        boot TEXT NOT NULL,
        begun_at INTEGER NOT NULL,
        ended_at INTEGER,
        outcome TEXT
    ) STRICT;
    CREATE INDEX operations_unfinished ON operations (number) WHERE ended_at IS NULL;";

const COLUMNS: &str =
    "id, form, kind, sandbox, name, request, boot, begun_at, ended_at, outcome, cancelled_at
     FROM operations";

/// One operation as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRow {
    /// Its id.
    pub id: String,
    /// Which form `request` has.
    pub form: i64,
    /// Its kind, in a word.
    pub kind: String,
    /// The sandbox's id, if it is about one.
    pub sandbox: Option<String>,
    /// The name of what it is about.
    pub name: String,
    /// What was asked, as JSON.
    pub request: String,
    /// The host's boot in which it began.
    pub boot: String,
    /// Seconds since 1970.
    pub begun_at: u64,
    /// When it ended, and its outcome as JSON.
    pub ended: Option<(u64, String)>,
    /// Whether somebody was told that it is cancelled. Not of a new one.
    pub cancelled: bool,
}

impl OperationRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let seconds = |value: i64| u64::try_from(value).unwrap_or(0);
        let ended_at: Option<i64> = row.get(8)?;
        let outcome: Option<String> = row.get(9)?;
        Ok(Self {
            id: row.get(0)?,
            form: row.get(1)?,
            kind: row.get(2)?,
            sandbox: row.get(3)?,
            name: row.get(4)?,
            request: row.get(5)?,
            boot: row.get(6)?,
            begun_at: seconds(row.get(7)?),
            ended: ended_at.map(|at| (seconds(at), outcome.unwrap_or_default())),
            cancelled: row.get::<_, Option<i64>>(10)?.is_some(),
        })
    }

    fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        // An id that an ended operation had is taken over: nobody asks for that any more.
        let statement = connection.prepare(
            "INSERT OR REPLACE INTO operations
                (id, form, kind, sandbox, name, request, boot, begun_at)
             VALUES (:id, :form, :kind, :sandbox, :name, :request, :boot, :begun_at)",
        );
        statement?.execute(named_params! {
            ":id": self.id, ":form": self.form, ":kind": self.kind, ":sandbox": self.sandbox,
            ":name": self.name, ":request": self.request, ":boot": self.boot,
            ":begun_at": stored(self.begun_at),
        })?;
        Ok(())
    }
}

fn stored(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

impl Store {
    /// Writes an operation that begins. Only one that frees room may take the room that is held for a
    /// full disk: what needs some is refused there anyway.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_operation(
        &self,
        row: OperationRow,
        durable: Durable,
        frees_room: bool,
    ) -> Result<(), StoreError> {
        let held_room = frees_room;
        self.on_its_thread(Terms { durable, held_room }, move |connection| {
            row.write(connection)
        })
        .await
    }

    /// Writes the outcome of an operation, and forgets all but the newest `kept` that have ended. What a
    /// power cut loses of it is found out again.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_outcome(
        &self,
        id: String,
        ended_at: u64,
        outcome: String,
        kept: u32,
    ) -> Result<(), StoreError> {
        self.write(Durable::ThisBoot, move |connection| {
            end(connection, &id, ended_at, &outcome, kept)
        })
        .await
    }

    /// Writes that an operation is not wanted any more; of one that has ended it is too late.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_cancelled(&self, id: String, at: u64) -> Result<(), StoreError> {
        self.write(Durable::Always, move |connection| {
            let cancel =
                "UPDATE operations SET cancelled_at = ?2 WHERE id = ?1 AND ended_at IS NULL";
            connection.execute(cancel, (&id, stored(at)))?;
            Ok(())
        })
        .await
    }

    /// Operations that have ended, or those that have not; the newest first, at most so many.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn operations(
        &self,
        ended: bool,
        most: u32,
    ) -> Result<Vec<OperationRow>, StoreError> {
        self.read(move |connection| {
            let which = if ended { "IS NOT NULL" } else { "IS NULL" };
            let mut statement = connection.prepare(&format!(
                "SELECT {COLUMNS} WHERE ended_at {which} ORDER BY number DESC LIMIT ?1"
            ))?;
            let rows = statement.query_map([most], OperationRow::read)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// One operation.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn operation(&self, id: String) -> Result<Option<OperationRow>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare(&format!("SELECT {COLUMNS} WHERE id = ?1"))?;
            let mut rows = statement.query_map([&id], OperationRow::read)?;
            Ok(rows.next().transpose()?)
        })
        .await
    }
}

fn end(
    connection: &Connection,
    id: &str,
    ended_at: u64,
    outcome: &str,
    kept: u32,
) -> Result<(), StoreError> {
    let end = "UPDATE operations SET ended_at = ?2, outcome = ?3 WHERE id = ?1";
    let mut end = connection.prepare(end)?;
    end.execute((id, stored(ended_at), outcome))?;
    let forget = "DELETE FROM operations WHERE ended_at IS NOT NULL
            AND number <= (SELECT max(number) FROM operations) - ?1";
    connection.prepare(forget)?.execute([kept])?;
    Ok(())
}
