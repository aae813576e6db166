use super::super::{Store, look};
use super::*;
use rusqlite::ffi;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tempfile::TempDir;

const ALWAYS: Terms = Terms {
    durable: Durable::Always,
    held_room: true,
};

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state.db");
    (directory, path)
}

type Answer = oneshot::Receiver<Result<(), StoreError>>;

fn job(
    work: impl Fn(&Connection) -> Result<(), StoreError> + Send + 'static,
) -> (Box<dyn Job>, Answer) {
    let (answer, waiting) = oneshot::channel();
    let asked = Asked {
        terms: ALWAYS,
        work,
        done: None,
        answer,
    };
    (Box::new(asked), waiting)
}

fn remember(connection: &Connection, key: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO settings (key, value) VALUES (?1, '')";
    Ok(connection.execute(sql, [key]).map(drop)?)
}

/// What another connection sees.
fn remembered(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).expect("a database");
    let statement = connection.prepare("SELECT key FROM settings ORDER BY key");
    let mut statement = statement.expect("a table");
    let keys = statement.query_map([], |row| row.get(0)).expect("rows");
    keys.collect::<rusqlite::Result<_>>().expect("text")
}

/// Has all of it wait at the same time, and gives what each came to.
fn at_once(database: &mut Database, jobs: Vec<Box<dyn Job>>) -> Vec<Result<(), StoreError>> {
    let mut jobs = jobs;
    database.work(&mut jobs)
}

#[test]
fn what_waits_is_one_transaction_and_what_fails_of_it_fails_by_itself() {
    let (_directory, path) = place();
    let mut database = Database::open(&path).expect("new");
    let other = path.clone();
    let (first, _) = job(|connection| remember(connection, "one"));
    let (taken, _) = job(|connection| {
        remember(connection, "half of it")?;
        remember(connection, "one")
    });
    let (last, _) = job(move |connection| {
        assert_eq!(remembered(&other), [""; 0], "nothing is written yet");
        remember(connection, "two")
    });
    let ended = at_once(&mut database, vec![first, taken, last]);
    assert!(
        matches!(ended[..], [Ok(()), Err(StoreError::Statement(_)), Ok(())]),
        "{ended:?}"
    );
    assert_eq!(remembered(&path), ["one", "two"]);
}

#[test]
fn where_the_whole_finds_the_disk_full_each_is_done_by_itself() {
    let (_directory, path) = place();
    let mut database = Database::open(&path).expect("new");
    let times = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&times);
    let (first, _) = job(move |connection| {
        counted.fetch_add(1, Ordering::SeqCst);
        remember(connection, "one")
    });
    let tries = AtomicUsize::new(0);
    let (second, _) = job(
        move |connection| match tries.fetch_add(1, Ordering::SeqCst) {
            0 => {
                Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None).into())
            }
            _ => remember(connection, "two"),
        },
    );
    let ended = at_once(&mut database, vec![first, second]);
    assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    assert_eq!(times.load(Ordering::SeqCst), 2, "once with, once without");
    assert_eq!(remembered(&path), ["one", "two"]);
    assert!(path.with_extension("reserve").exists(), "nobody needed it");
}

#[test]
fn only_what_may_takes_the_room_that_is_held() {
    let (_directory, path) = place();
    let mut database = Database::open(&path).expect("new");
    let full = |_: &Connection| -> Result<(), StoreError> {
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None).into())
    };
    let with = |held_room| -> Box<dyn Job> {
        let terms = Terms {
            held_room,
            ..ALWAYS
        };
        Box::new(Asked {
            terms,
            work: full,
            done: None,
            answer: oneshot::channel().0,
        })
    };
    for held_room in [false, true] {
        let ended = at_once(&mut database, vec![with(held_room)]);
        assert!(matches!(ended[..], [Err(StoreError::Full(_))]), "{ended:?}");
        let is_held = path.with_extension("reserve").exists();
        assert_eq!(is_held, !held_room);
    }
}

#[tokio::test]
async fn the_disk_is_waited_for_where_something_has_to_last_and_nowhere_else() {
    let (_directory, path) = place();
    let store = Store::open(&path).expect("new");
    let level = |durable| {
        let store = store.clone();
        async move {
            let asked = store.write(durable, |connection| {
                let level = connection.query_row("PRAGMA synchronous", [], |row| row.get(0));
                Ok(level?)
            });
            asked.await.expect("read")
        }
    };
    for (durable, wanted) in [
        (Durable::Always, 2),
        (Durable::ThisBoot, 1),
        (Durable::Always, 2),
    ] {
        let level: i64 = level(durable).await;
        assert_eq!(level, wanted, "{durable:?}");
    }
}

#[tokio::test]
async fn a_long_log_is_brought_into_the_database_while_nothing_comes() {
    let (_directory, path) = place();
    let store = Store::open(&path).expect("new");
    for number in 0..40 {
        let value = number.to_string();
        store.put_setting("k", value).await.expect("written");
    }
    let until = Instant::now() + Duration::from_secs(20);
    // What is in the log alone is not in a copy of the file.
    let copy = path.with_extension("copy");
    loop {
        std::fs::copy(&path, &copy).expect("copied");
        let connection = Connection::open(&copy).expect("a database");
        let sql = "SELECT value FROM settings WHERE key = 'k'";
        let found: rusqlite::Result<String> = connection.query_row(sql, [], |row| row.get(0));
        if found.as_deref() == Ok("39") {
            break;
        }
        assert!(Instant::now() < until, "it stays long: {found:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(look(&path).expect("read").records.is_empty());
}
