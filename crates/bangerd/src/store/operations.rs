//! The journal of operations, as rows. What they mean is for [`crate::operation::journal`] to know.

use super::{Store, StoreError};
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
    "id, form, kind, sandbox, name, request, boot, begun_at, ended_at, outcome FROM operations";

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
    /// Writes an operation that begins; durable afterwards. Only one that frees room may take the room
    /// that is held for a full disk: what needs some is refused there anyway.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn put_operation(
        &self,
        row: OperationRow,
        frees_room: bool,
    ) -> Result<(), StoreError> {
        if frees_room {
            return self.run(move |connection| row.write(connection)).await;
        }
        self.run_with_what_is_free(move |connection| row.write(connection))
            .await
    }

    /// Writes the outcome of an operation, and forgets all but the newest `kept` that have ended. The
    /// disk is not waited for: what a power cut loses is found out again.
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
        self.run(move |connection| {
            connection.execute_batch("PRAGMA synchronous = NORMAL;")?;
            let written = end(connection, &id, ended_at, &outcome, kept);
            connection.execute_batch("PRAGMA synchronous = FULL;")?;
            written
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
        self.run(move |connection| {
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
        self.run(move |connection| {
            let mut statement = connection.prepare(&format!("SELECT {COLUMNS} WHERE id = ?1"))?;
            let mut rows = statement.query_map([&id], OperationRow::read)?;
            Ok(rows.next().transpose()?)
        })
        .await
    }
}

fn end(
    connection: &mut Connection,
    id: &str,
    ended_at: u64,
    outcome: &str,
    kept: u32,
) -> Result<(), StoreError> {
    let change = connection.transaction()?;
    change.execute(
        "UPDATE operations SET ended_at = ?2, outcome = ?3 WHERE id = ?1",
        (id, stored(ended_at), outcome),
    )?;
    change.execute(
        "DELETE FROM operations WHERE ended_at IS NOT NULL
            AND number <= (SELECT max(number) FROM operations) - ?1",
        [kept],
    )?;
    Ok(change.commit()?)
}

#[cfg(test)]
mod t1 {
    use super::*;

    #[tokio::test]
    async fn the_disk_is_waited_for_again_after_an_outcome() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&directory.path().join("state.db")).expect("opened");
        let level = |store: Store| async move {
            let read = store.run(|connection| {
                Ok(connection.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0))?)
            });
            read.await.expect("read")
        };
        assert_eq!(level(store.clone()).await, 2, "FULL");
        let outcome = store.put_outcome("op-aaaaaa".into(), 1, "{}".into(), 5);
        outcome.await.expect("written");
        assert_eq!(level(store).await, 2, "FULL");
    }
}
