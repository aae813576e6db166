//! Things that are made once however many ask for them at the same time: images and kernels.
//!
//! The making belongs to all who wait for it: each hears what it tells, and may leave. It goes on while
//! anybody waits; when the last leaves it is cancelled, and whoever comes then waits for its end and
//! begins anew.

use crate::progress::{Progress, Told};
use crate::services::blocking;
use banger_proto::fault::{Fault, FaultCode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

type Outcome = Option<Result<(), Fault>>;

/// The makings that go on, by what is made.
#[derive(Debug, Default, Clone)]
pub struct Makings(Arc<Mutex<HashMap<String, Arc<Making>>>>);

/// One that goes on.
#[derive(Debug)]
struct Making {
    outcome: watch::Receiver<Outcome>,
    audience: Mutex<Audience>,
    cancelled: CancellationToken,
}

/// Who waits for it, and what who comes late has missed.
#[derive(Debug, Default)]
struct Audience {
    listeners: Vec<(u64, Progress)>,
    seats: u64,
    stage: Option<String>,
}

/// One who waits; dropped, they leave.
struct Seat {
    making: Arc<Making>,
    number: u64,
}

impl Making {
    fn audience(&self) -> MutexGuard<'_, Audience> {
        self.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat, unless the making is given up.
    fn join(self: &Arc<Self>, progress: &Progress) -> Option<Seat> {
        let mut audience = self.audience();
        if self.cancelled.is_cancelled() {
            return None;
        }
        audience.seats += 1;
        let number = audience.seats;
        if let Some(stage) = &audience.stage {
            progress.stage(stage);
        }
        audience.listeners.push((number, progress.clone()));
        Some(Seat {
            making: Arc::clone(self),
            number,
        })
    }

    fn tell(&self, told: &Told) {
        let mut audience = self.audience();
        if let Told::Stage(stage) = told {
            audience.stage = Some(stage.clone());
        }
        for (_, progress) in &audience.listeners {
            progress.tell(told.clone());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut audience = self.making.audience();
        audience
            .listeners
            .retain(|(number, _)| *number != self.number);
        if audience.listeners.is_empty() {
            self.making.cancelled.cancel();
        }
    }
}

impl Makings {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Making>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a thing, or waits for the making that goes on. `make` blocks; it has to look whether it is
    /// cancelled, and leaves nothing then.
    ///
    /// # Errors
    /// What the making gives, the same for all who wait.
    pub async fn once(
        &self,
        what: String,
        progress: &Progress,
        make: impl FnOnce(&Progress) -> Result<(), Fault> + Send + 'static,
    ) -> Result<(), Fault> {
        let mut make = Some(make);
        loop {
            let (making, seat) = self.join_or_begin(&what, progress, &mut make);
            let mut outcome = making.outcome.clone();
            let ended = outcome.wait_for(Option::is_some).await;
            if seat.is_some() {
                return ended.map_or_else(
                    |_| {
                        Err(Fault::new(
                            FaultCode::Failed,
                            format!("making the {what} broke off"),
                        ))
                    },
                    |ended| ended.clone().unwrap_or(Ok(())),
                );
            }
        }
    }

    fn join_or_begin<M>(
        &self,
        what: &str,
        progress: &Progress,
        make: &mut Option<M>,
    ) -> (Arc<Making>, Option<Seat>)
    where
        M: FnOnce(&Progress) -> Result<(), Fault> + Send + 'static,
    {
        let mut all = self.lock();
        if let Some(making) = all.get(what) {
            let seat = making.join(progress);
            if seat.is_some() {
                progress.stage(format!("waiting for another request that makes the {what}"));
            }
            return (Arc::clone(making), seat);
        }
        let (ended, outcome) = watch::channel(None);
        let making = Arc::new(Making {
            outcome,
            audience: Mutex::default(),
            cancelled: CancellationToken::new(),
        });
        let seat = making.join(progress);
        all.insert(what.to_owned(), Arc::clone(&making));
        if let Some(make) = make.take() {
            self.begin(what.to_owned(), progress, Arc::clone(&making), ended, make);
        }
        (making, seat)
    }

    fn begin(
        &self,
        what: String,
        first: &Progress,
        making: Arc<Making>,
        ended: watch::Sender<Outcome>,
        make: impl FnOnce(&Progress) -> Result<(), Fault> + Send + 'static,
    ) {
        let (makings, cancelled) = (self.clone(), making.cancelled.clone());
        let progress = Progress::of(first.op(), move |told| making.tell(&told)).until(cancelled);
        tokio::spawn(async move {
            let result = blocking(move || make(&progress)).await;
            if let Err(fault) = &result {
                tracing::info!("making the {what}: {fault}");
            }
            makings.lock().remove(&what);
            ended.send_replace(Some(result));
        });
    }
}

#[cfg(test)]
mod tests;
