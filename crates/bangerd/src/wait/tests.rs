use super::*;
use std::cell::RefCell;
use std::rc::Rc;
use tokio::time::{advance, sleep};

const EVERY: Every = Every {
    interval: Duration::from_millis(200),
    limit: Duration::from_secs(3),
};

fn seconds(count: u64) -> Until {
    Until::after(Duration::from_secs(count))
}

/// When looks began, in milliseconds of the paused clock.
#[derive(Clone)]
struct Clock {
    begun: Instant,
    looks: Rc<RefCell<Vec<u128>>>,
}

impl Clock {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            looks: Rc::default(),
        }
    }

    fn look(&self) -> usize {
        self.looks.borrow_mut().push(self.now());
        self.looks.borrow().len()
    }

    fn now(&self) -> u128 {
        self.begun.elapsed().as_millis()
    }
}

type Waited<T = ()> = Result<T, WaitError<String>>;

fn not_yet<T>(count: usize) -> Look<T, String> {
    Look::NotYet(format!("try {count}"))
}

fn timed_out(outcome: &Waited) -> &Last<String> {
    match outcome {
        Err(WaitError::TimedOut(TimedOut { last, .. })) => last,
        other => panic!("not timed out but {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_there_already_is_found_at_once() {
    let clock = Clock::new();
    let found: Waited<usize> = wait("x", EVERY, seconds(5), async || Look::There(7)).await;
    assert_eq!((found, clock.now()), (Ok(7), 0));
}

#[tokio::test(start_paused = true)]
async fn there_is_one_look_even_without_any_time() {
    let none = || Until::after(Duration::ZERO);
    let found: Waited = wait("x", EVERY, none(), async || Look::There(())).await;
    assert_eq!(found, Ok(()));
    let clock = Clock::new();
    let outcome: Waited = wait("x", EVERY, none(), async || not_yet(clock.look())).await;
    assert_eq!(timed_out(&outcome), &Last::Said("try 1".into()));
}

#[tokio::test(start_paused = true)]
async fn without_any_time_a_look_still_gets_a_round_trip() {
    let slow = async || {
        sleep(Duration::from_millis(90)).await;
        Look::There(())
    };
    let found: Waited = wait("x", EVERY, Until::after(Duration::ZERO), slow).await;
    assert_eq!(found, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn already_gone_wins_over_timed_out() {
    // The last tick is at 800 ms; gone at 900, and only the look at the deadline can see it.
    let (clock, until) = (Clock::new(), seconds(1));
    let gone: Waited = wait(
        "x",
        Every {
            interval: Duration::from_millis(800),
            ..EVERY
        },
        until,
        async || match clock.look() {
            _ if clock.now() >= 900 => Look::There(()),
            count => not_yet(count),
        },
    )
    .await;
    assert_eq!(gone, Ok(()));
    assert_eq!(*clock.looks.borrow(), [0, 800, 1000]);
}

#[tokio::test(start_paused = true)]
async fn looks_come_at_every_tick_until_the_time_is_over() {
    let clock = Clock::new();
    let outcome: Waited = wait("agent", EVERY, seconds(1), async || not_yet(clock.look())).await;
    assert_eq!(timed_out(&outcome), &Last::Said("try 6".into()));
    assert_eq!(*clock.looks.borrow(), [0, 200, 400, 600, 800, 1000]);
    let text = outcome.expect_err("timed out").to_string();
    assert_eq!(text, "agent: not in time: try 6");
}

#[tokio::test(start_paused = true)]
async fn each_look_has_a_limit_of_its_own() {
    let clock = Clock::new();
    let hangs: Waited = wait("x", EVERY, seconds(10), async || {
        clock.look();
        std::future::pending().await
    })
    .await;
    assert_eq!(timed_out(&hangs), &Last::TooSlow(EVERY.limit));
    assert_eq!(*clock.looks.borrow(), [0, 3000, 6000, 9000]);
    assert_eq!(clock.now(), 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_slow_look_is_followed_at_once_and_builds_no_backlog() {
    let clock = Clock::new();
    let outcome: Waited = wait("x", EVERY, seconds(2), async || {
        let count = clock.look();
        if count == 1 {
            sleep(Duration::from_millis(1050)).await;
        }
        not_yet(count)
    })
    .await;
    // Five ticks were missed: one look at once, then at the ticks as before.
    assert_eq!(
        *clock.looks.borrow(),
        [0, 1050, 1200, 1400, 1600, 1800, 2000]
    );
    assert_eq!(timed_out(&outcome), &Last::Said("try 7".into()));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_the_deadline_cuts_does_not_hide_the_failure_before() {
    let clock = Clock::new();
    let outcome: Waited = wait("x", EVERY, seconds(1), async || match clock.look() {
        1 => not_yet(1),
        _ => std::future::pending().await,
    })
    .await;
    assert_eq!(timed_out(&outcome), &Last::Said("try 1".into()));
    assert_eq!(clock.now(), 1000);
    let never: Waited = wait("x", EVERY, seconds(1), std::future::pending).await;
    assert_eq!(timed_out(&never), &Last::Nothing);
    assert_eq!(
        never.expect_err("timed out").to_string(),
        "x: not in time: no answer"
    );
}

#[tokio::test(start_paused = true)]
async fn what_will_never_come_ends_the_waiting() {
    let clock = Clock::new();
    let outcome: Waited = wait("x", EVERY, seconds(9), async || match clock.look() {
        1 => not_yet(1),
        _ => Look::Never("broken".into()),
    })
    .await;
    let failed = WaitError::Failed {
        what: "x",
        reason: "broken".into(),
    };
    assert_eq!((outcome, clock.now()), (Err(failed), 200));
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_it_between_looks_and_within_one() {
    for (hangs, last) in [(false, Last::Said("try 3".into())), (true, Last::Nothing)] {
        let (clock, token) = (Clock::new(), CancellationToken::new());
        let until = seconds(9).or_cancelled(token.clone());
        let look = async || {
            let count = clock.look();
            if hangs {
                std::future::pending::<()>().await;
            }
            not_yet(count)
        };
        let cancel = async {
            sleep(Duration::from_millis(500)).await;
            token.cancel();
        };
        let (outcome, ()): (Waited, ()) = tokio::join!(wait("x", EVERY, until, look), cancel);
        assert_eq!(outcome, Err(WaitError::Cancelled { what: "x", last }));
        assert_eq!(clock.now(), 500);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_found_wins_over_being_cancelled() {
    let token = CancellationToken::new();
    token.cancel();
    let look = async || Look::There(());
    let found: Waited = wait("x", EVERY, seconds(1).or_cancelled(token), look).await;
    assert_eq!(found, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_past_and_an_interval_of_nothing_are_fine() {
    let until = Until::after(Duration::ZERO);
    advance(Duration::from_secs(5)).await;
    let every = Every {
        interval: Duration::ZERO,
        ..EVERY
    };
    let outcome: Waited = wait("x", every, until, async || not_yet(1)).await;
    assert_eq!(timed_out(&outcome), &Last::Said("try 1".into()));
}
