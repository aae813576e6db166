use super::*;
use crate::operation::new_id;
use banger_model::Wait;
use serde_json::json;
use tempfile::TempDir;

fn store() -> (TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&directory.path().join("state.db")).expect("opened");
    (directory, store)
}

fn entry(name: &str) -> Entry {
    let asked = Asked::Start {
        wait: Wait::default(),
    };
    let id = SandboxId::from_random([7; 16]);
    Entry::new(new_id(), Subject::sandbox(id, name), asked)
}

fn done() -> Event {
    Event::Done {
        result: json!({"name": "v"}),
    }
}

#[tokio::test]
async fn what_was_begun_is_found_by_the_next_daemon_until_it_has_ended() {
    let (directory, store) = store();
    let (first, second) = (entry("one"), entry("two"));
    for entry in [&first, &second] {
        store.begin_operation(entry).await.expect("written");
    }
    let next = Store::open(&directory.path().join("state.db")).expect("opened");
    let found = next.unfinished_operations().await.expect("read");
    let entries: Vec<_> = found.iter().map(|one| one.entry.clone()).collect();
    assert_eq!(entries, [Ok(first.clone()), Ok(second.clone())]);
    assert!(found.iter().all(|one| one.same_boot));
    next.end_operation(first.op, &done())
        .await
        .expect("written");
    let found = next.unfinished_operations().await.expect("read");
    assert_eq!(found.len(), 1);
    let past = store.ended_operation(first.op).await.expect("read");
    let past = past.expect("ended");
    assert_eq!((past.kind.as_str(), past.last), ("start", done()));
    let going_on = store.ended_operation(second.op).await.expect("read");
    assert_eq!(going_on, None);
}

#[tokio::test]
async fn what_this_daemon_does_not_understand_is_told_apart_and_can_be_ended() {
    let (_directory, store) = store();
    let row = |id: &str, form, request: &str| OperationRow {
        id: id.into(),
        form,
        kind: "fork".into(),
        sandbox: None,
        name: "x".into(),
        request: request.into(),
        boot: "an earlier one".into(),
        begun_at: 1,
        ended: None,
        cancelled: false,
    };
    let stop = r#"{"kind":"stop"}"#;
    for row in [
        row("op-aaaaaa", FORM, r#"{"kind":"fork"}"#),
        row("op-bbbbbb", FORM + 1, stop),
        row("nonsense", FORM, stop),
    ] {
        store
            .put_operation(row, Durable::Always, false)
            .await
            .expect("written");
    }
    let found = store.unfinished_operations().await.expect("read");
    assert_eq!(found.len(), 3);
    for unfinished in found {
        assert!(unfinished.entry.is_err() && !unfinished.same_boot);
        let ended = store.end_operation_named(unfinished.op, &done()).await;
        ended.expect("written");
    }
    assert!(
        store
            .unfinished_operations()
            .await
            .expect("read")
            .is_empty()
    );
}

#[tokio::test]
async fn only_the_newest_that_have_ended_are_kept_and_all_that_go_on() {
    let (_directory, store) = store();
    let oldest = entry("goes on");
    store.begin_operation(&oldest).await.expect("written");
    for number in 0..20 {
        let entry = entry(&number.to_string());
        store.begin_operation(&entry).await.expect("written");
        let outcome = "{}".to_owned();
        let ended = store.put_outcome(entry.op.to_string(), number, outcome, 5);
        ended.await.expect("written");
    }
    let ended = store.ended_operations().await.expect("read");
    let names: Vec<_> = ended.iter().map(|past| past.name.as_str()).collect();
    assert_eq!(names, ["19", "18", "17", "16", "15"]);
    let going_on = store.unfinished_operations().await.expect("read");
    assert_eq!(going_on[0].entry, Ok(oldest));
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_begun_unless_it_frees_room() {
    use crate::operation::Operations;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let (directory, store) = store();
    let database = rusqlite::Connection::open(directory.path().join("state.db"));
    let dropped = database
        .expect("opened")
        .execute_batch("DROP TABLE operations;");
    dropped.expect("dropped");
    let operations = Operations::journalled(store, tokio_util::sync::CancellationToken::new());
    let begun = Arc::new(AtomicUsize::new(0));
    let try_it = |asked: Asked| {
        let begun = Arc::clone(&begun);
        let subject = Subject::artifact("x");
        let entry = Entry::new(new_id(), subject, asked);
        operations.begin(entry, move |_| async move {
            begun.fetch_add(1, Ordering::SeqCst);
            Ok(json!(null))
        })
    };
    let wait = Wait::default();
    let refused = try_it(Asked::Start { wait }).expect("new");
    assert!(refused.recorded().await.is_err());
    let stop = try_it(Asked::Stop).expect("new");
    assert_eq!(stop.recorded().await, Ok(()));
    let mut place = crate::operation::Place::default();
    while stop.next(&mut place).await.is_some() {}
    assert_eq!(begun.load(Ordering::SeqCst), 1, "the stop alone");
    assert_eq!(operations.count(), 0);
}
