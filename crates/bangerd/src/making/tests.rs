use super::*;
use crate::operation;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// A making that a test drives: it counts how often it began, tells a stage, and ends when it is told to
/// or cancelled.
#[derive(Clone, Default)]
struct Driven {
    begun: Arc<AtomicUsize>,
    go_on: Arc<Mutex<Option<mpsc::Receiver<()>>>>,
}

impl Driven {
    fn new() -> (Self, mpsc::Sender<()>) {
        let (sender, receiver) = mpsc::channel();
        let driven = Self::default();
        *driven.go_on.lock().expect("whole") = Some(receiver);
        (driven, sender)
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    async fn ask(self, makings: Makings, progress: Progress) -> Result<(), Fault> {
        let asked = makings.once("thing".into(), &progress, move |progress| {
            self.begun.fetch_add(1, Ordering::SeqCst);
            progress.stage("making it");
            let go_on = self.go_on.lock().expect("whole").take();
            while !progress.cancelled().is_cancelled() {
                match go_on.as_ref().map(|go_on| go_on.recv_timeout(LOOK)) {
                    Some(Err(mpsc::RecvTimeoutError::Timeout)) => {}
                    _ => return Ok(()),
                }
            }
            Err(operation::cancelled("not made"))
        });
        asked.await
    }
}

/// Between two looks of a making whether it is cancelled.
const LOOK: std::time::Duration = std::time::Duration::from_millis(1);

type Heard = Arc<Mutex<Vec<String>>>;

fn listener() -> (Progress, Heard) {
    let heard = Heard::default();
    let ears = Arc::clone(&heard);
    let progress = Progress::to(move |told| {
        if let Told::Stage(text) = told {
            ears.lock().expect("whole").push(text);
        }
    });
    (progress, heard)
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_many_ask_for_is_made_once_and_all_hear_of_it() {
    let makings = Makings::default();
    let (driven, go_on) = Driven::new();
    let (first, heard_first) = listener();
    let (second, heard_second) = listener();
    let one = tokio::spawn(driven.clone().ask(makings.clone(), first));
    until(|| {
        heard_first
            .lock()
            .expect("whole")
            .contains(&"making it".into())
    })
    .await;
    let other = tokio::spawn(driven.clone().ask(makings.clone(), second));
    until(|| !heard_second.lock().expect("whole").is_empty()).await;
    go_on.send(()).expect("heard");
    assert_eq!(one.await.expect("whole"), Ok(()));
    assert_eq!(other.await.expect("whole"), Ok(()));
    assert_eq!(driven.begun(), 1);
    assert_eq!(heard_second.lock().expect("whole")[0], "making it");
    assert!(makings.lock().is_empty());
}

#[tokio::test]
async fn the_one_who_began_may_leave_and_the_making_goes_on_for_the_others() {
    let makings = Makings::default();
    let (driven, go_on) = Driven::new();
    let one = tokio::spawn(driven.clone().ask(makings.clone(), Progress::silent()));
    until(|| driven.begun() == 1).await;
    let (progress, heard) = listener();
    let other = tokio::spawn(driven.clone().ask(makings.clone(), progress));
    until(|| !heard.lock().expect("whole").is_empty()).await;
    one.abort();
    assert!(one.await.expect_err("aborted").is_cancelled());
    go_on.send(()).expect("it goes on");
    assert_eq!(other.await.expect("whole"), Ok(()));
    assert_eq!(driven.begun(), 1);
}

#[tokio::test]
async fn a_making_that_everybody_has_left_is_cancelled_and_the_next_begins_after_its_end() {
    let makings = Makings::default();
    let (driven, _go_on) = Driven::new();
    let one = tokio::spawn(driven.clone().ask(makings.clone(), Progress::silent()));
    until(|| driven.begun() == 1).await;
    let dying = makings.lock().get("thing").cloned().expect("it goes on");
    one.abort();
    assert!(one.await.expect_err("aborted").is_cancelled());
    assert!(dying.cancelled.is_cancelled());
    // The second making has nobody to wait for and ends at once.
    let next = driven.clone().ask(makings.clone(), Progress::silent());
    assert_eq!(next.await, Ok(()));
    assert_eq!(driven.begun(), 2);
    let ended = dying
        .outcome
        .borrow()
        .clone()
        .expect("before the next began");
    assert_eq!(ended.expect_err("cancelled").code, FaultCode::Cancelled);
}

#[tokio::test]
async fn all_who_wait_get_the_same_failure_and_the_next_tries_again() {
    let makings = Makings::default();
    let fail = |_: &Progress| Err(Fault::new(FaultCode::Unavailable, "no network"));
    let silent = Progress::silent();
    let both = tokio::join!(
        makings.once("thing".into(), &silent, fail),
        makings.once("thing".into(), &silent, fail),
    );
    for failed in [both.0, both.1] {
        assert_eq!(failed.expect_err("failed").code, FaultCode::Unavailable);
    }
    assert_eq!(
        makings.once("thing".into(), &silent, |_| Ok(())).await,
        Ok(())
    );
}
