//! Waiting until something holds: an agent answers, a process is gone.
//!
//! ```text
//! look ─▶ there ────────────────────────────▶ what was found, even when the time is over
//!      ─▶ not yet ─▶ time over? ─yes─▶ timed out, with the last failure
//!      │                └─no─▶ until the next tick ─▶ look
//!      └▶ never ────────────────────────────▶ failed
//! ```

use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};
use tokio_util::sync::CancellationToken;

/// What one look saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look<T, E> {
    /// What was waited for.
    There(T),
    /// Not now, and why: the last reason is told when the time is over.
    NotYet(E),
    /// It will not come: waiting on is of no use.
    Never(E),
}

/// How often is looked, and how long one look may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Every {
    /// From the beginning of one look to that of the next. One that takes longer is followed at once
    /// by the next; ticks that were missed are not made up for.
    pub interval: Duration,
    /// How long one look may take.
    pub limit: Duration,
}

/// When waiting ends.
#[derive(Debug, Clone)]
pub struct Until {
    /// No look begins after this, but for the very first, and one at the end.
    pub deadline: Instant,
    /// Ends the waiting before.
    pub cancelled: CancellationToken,
}

impl Until {
    /// From now on so long, not to be cancelled but by dropping the wait.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self {
            deadline: Instant::now() + time,
            cancelled: CancellationToken::new(),
        }
    }

    /// The same, ended before when the token is cancelled.
    #[must_use]
    pub fn or_cancelled(self, cancelled: CancellationToken) -> Self {
        Self { cancelled, ..self }
    }
}

/// What the last look that came to nothing said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Last<E> {
    /// Its own reason.
    Said(E),
    /// It took longer than one may.
    TooSlow(Duration),
    /// No look came to an end.
    Nothing,
}

impl<E: fmt::Display> fmt::Display for Last<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(reason) => reason.fmt(f),
            Self::TooSlow(limit) => write!(f, "no answer within {limit:?}"),
            Self::Nothing => f.write_str("no answer"),
        }
    }
}

/// The time was over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: not in time: {last}")]
pub struct TimedOut<E> {
    /// What was waited for.
    pub what: &'static str,
    /// Why not sooner.
    pub last: Last<E>,
}

/// Why waiting ended without what was waited for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaitError<E> {
    /// The time was over.
    #[error(transparent)]
    TimedOut(#[from] TimedOut<E>),
    /// Somebody ended the waiting.
    #[error("{what}: waiting was cancelled: {last}")]
    Cancelled {
        /// What was waited for.
        what: &'static str,
        /// Why not sooner.
        last: Last<E>,
    },
    /// It will not come.
    #[error("{what}: {reason}")]
    Failed {
        /// What was waited for.
        what: &'static str,
        /// Why not.
        reason: E,
    },
}

/// The least time that a look gets, however late it is, unless its own limit is shorter: "already
/// there" can then win over "time over" where looking takes a round trip.
const LEAST: Duration = Duration::from_millis(100);

/// Looks at once, then at every tick, until there is what was waited for. What is there at the first
/// look, or at the one at the deadline, is found, however little time there was. The wait ends at most
/// 100 ms after the deadline. A look that is cut short is dropped.
///
/// # Errors
/// [`TimedOut`] with the last failure; when cancelled; what a look said in [`Look::Never`].
pub async fn wait<T, E, F>(
    what: &'static str,
    every: Every,
    until: Until,
    look: impl FnMut() -> F,
) -> Result<T, WaitError<E>>
where
    F: Future<Output = Look<T, E>>,
{
    let mut last = Last::Nothing;
    let found = tokio::select! {
        biased;
        found = watch(every, until.deadline, look, &mut last) => Some(found),
        () = until.cancelled.cancelled() => None,
    };
    match found {
        Some(Watched::Found(found)) => Ok(found),
        Some(Watched::Failed(reason)) => Err(WaitError::Failed { what, reason }),
        Some(Watched::TimeOver) => Err(TimedOut { what, last }.into()),
        None => Err(WaitError::Cancelled { what, last }),
    }
}

enum Watched<T, E> {
    Found(T),
    Failed(E),
    TimeOver,
}

async fn watch<T, E, F: Future<Output = Look<T, E>>>(
    every: Every,
    deadline: Instant,
    mut look: impl FnMut() -> F,
    last: &mut Last<E>,
) -> Watched<T, E> {
    // A timer's interval must not be zero. Its first tick is the second look's: tokio's timer counts in whole
    // milliseconds and rounds up, so that a tick "at once" comes up to one of them late.
    let interval = every.interval.max(Duration::from_millis(1));
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let begun = Instant::now();
        let own_end = begun + every.limit;
        let end = own_end.min(deadline.max(begun + LEAST));
        match timeout_at(end, look()).await {
            Ok(Look::There(found)) => return Watched::Found(found),
            Ok(Look::Never(reason)) => return Watched::Failed(reason),
            Ok(Look::NotYet(reason)) => *last = Last::Said(reason),
            Err(_late) if end == own_end => *last = Last::TooSlow(every.limit),
            // Cut by the deadline: what an earlier look said tells more.
            Err(_late) => {}
        }
        if Instant::now() >= deadline {
            return Watched::TimeOver;
        }
        // The deadline does not wait for a tick.
        let _first_of_both = timeout_at(deadline, ticks.tick()).await;
    }
}

/// A file that the runtime tells of once it can be read. To be called in the runtime.
///
/// # Errors
/// It is of a kind that nobody can wait for.
pub(crate) fn watch_readable(file: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(
        deprecated,
        reason = "its successor is unsafe, to make callers promise what `OwnedFd` always keeps: \
                  the descriptor stays open and the same while it is watched"
    )]
    AsyncFd::with_interest(file, Interest::READABLE)
}

#[cfg(test)]
mod tests;
