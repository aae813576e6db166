use super::*;
use banger_model::Wait;

fn entry(asked: Asked) -> Entry {
    Entry::new(new_id(), Subject::artifact("x"), asked)
}

fn start() -> Entry {
    entry(Asked::Start {
        wait: Wait::default(),
    })
}

fn create() -> Entry {
    entry(Asked::Create {
        request: Box::default(),
    })
}

async fn all(operation: &Operation) -> Vec<String> {
    let mut place = Place::default();
    let mut told = Vec::new();
    while let Some(event) = operation.next(&mut place).await {
        told.push(match event {
            Event::Accepted { .. } => "accepted".into(),
            Event::Stage { text } | Event::Note { text } => text,
            Event::Amount { done, .. } => done.to_string(),
            Event::Done { .. } => "done".into(),
            Event::Failed { fault } => fault.message,
        });
    }
    told
}

#[tokio::test]
async fn a_late_follower_hears_the_story_from_the_beginning() {
    let operations = Operations::default();
    let operation = operations.begin(start(), |going| async move {
        going.progress.stage("one");
        for done in 0..1000 {
            going.progress.amount(done, 1000);
        }
        going.progress.stage("two");
        Ok(serde_json::Value::Null)
    });
    let operation = operation.expect("new");
    let story = ["accepted", "one", "999", "two", "done"];
    assert_eq!(all(&operation).await, story);
    assert_eq!(all(&operation).await, story);
    assert_eq!(operation.stage().as_deref(), Some("two"));
    assert_eq!(operations.count(), 0);
}

#[tokio::test]
async fn a_sandbox_is_being_created_until_its_creation_has_ended() {
    let operations = Operations::default();
    let ids = [1, 2].map(|number| SandboxId::from_random([number; 16]));
    let name = "web";
    let of = |id, asked| Entry::new(new_id(), Subject::sandbox(id, name), asked);
    let (go, gone) = tokio::sync::oneshot::channel::<()>();
    let begun = operations.begin(of(ids[0], create().asked), |_| async {
        let _end = gone.await;
        Ok(serde_json::Value::Null)
    });
    let operation = begun.expect("new");
    assert_eq!(ids.map(|id| operations.creates(id)), [true, false]);
    go.send(()).expect("it waits");
    all(&operation).await;
    assert!(!operations.creates(ids[0]));
    let other = of(ids[1], Asked::Stop);
    let begun = operations.begin(other, |_| std::future::pending());
    drop(begun.expect("new"));
    assert!(!operations.creates(ids[1]), "a stop creates nothing");
}

#[tokio::test]
async fn a_failure_carries_the_operations_id() {
    let operations = Operations::default();
    let begun = operations.begin(start(), |_| async {
        Err(Fault::new(FaultCode::Failed, "no room"))
    });
    let operation = begun.expect("new");
    let mut place = Place::default();
    operation.next(&mut place).await;
    let Some(Event::Failed { fault }) = operation.next(&mut place).await else {
        panic!("not failed")
    };
    assert_eq!(fault.op, Some(operation.id().to_string()));
}

#[tokio::test]
async fn a_panic_is_a_last_event_too() {
    let begun = Operations::default().begin(start(), |_| async { panic!("on purpose") });
    let told = all(&begun.expect("new")).await;
    assert!(
        told.last().is_some_and(|last| last.contains("broke off")),
        "{told:?}"
    );
}

#[tokio::test]
async fn an_id_that_goes_on_is_not_begun_again() {
    let operations = Operations::default();
    let entry = start();
    let first = operations.begin(entry.clone(), |_| std::future::pending());
    let second = operations.begin(entry, |_| async { panic!("begun twice") });
    let (first, second) = (first.expect("new"), second.expect_err("the same"));
    assert!(Arc::ptr_eq(&first, &second));
}

#[tokio::test]
async fn a_creation_that_its_last_follower_leaves_is_cancelled_and_nothing_else_is() {
    let operations = Operations::default();
    let wait = |going: Going| async move {
        going.cancelled.cancelled().await;
        Err(cancelled("nothing is left"))
    };
    let creation = operations.begin(create(), wait).expect("new");
    let starting = operations.begin(start(), wait).expect("new");
    for operation in [&creation, &starting] {
        let (one, other) = (operations.follow(operation), operations.follow(operation));
        drop(one);
        assert!(!operation.cancelled.is_cancelled());
        drop(other);
    }
    assert!(creation.cancelled.is_cancelled() && !starting.cancelled.is_cancelled());
    assert_eq!(
        all(&creation).await,
        ["accepted", "cancelled: nothing is left"]
    );
}

#[tokio::test]
async fn a_daemon_that_leaves_cancels_no_creation() {
    let leaving = CancellationToken::new();
    let operations = Operations(Arc::new(Inner {
        leaving: leaving.clone(),
        ..Inner::default()
    }));
    let creation = operations.begin(create(), |_| std::future::pending());
    let creation = creation.expect("new");
    let follower = operations.follow(&creation);
    leaving.cancel();
    drop(follower);
    assert!(!creation.cancelled.is_cancelled());
}

#[tokio::test]
async fn whoever_subscribed_hears_of_each_end_and_its_outcome() {
    let operations = Operations::default();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    operations.on_end(Box::new(move |ended| {
        let outcome = ended.outcome.map_err(|fault| fault.code);
        let kind = ended.entry.asked.kind();
        ears.lock().expect("whole").push((kind, outcome));
    }));
    let good = operations.begin(start(), |_| async { Ok(serde_json::Value::Null) });
    all(&good.expect("new")).await;
    let bad = operations.begin(create(), |_| async { Err(cancelled("x")) });
    all(&bad.expect("new")).await;
    let heard = heard.lock().expect("whole").clone();
    assert_eq!(
        heard,
        [("start", Ok(())), ("create", Err(FaultCode::Cancelled))]
    );
}

#[test]
fn an_id_is_short_and_readable() {
    let id = new_id().to_string();
    assert_eq!(id.len(), 9);
    assert!(id.starts_with("op-"));
}
