//! A host for tests: it notes what it is asked, answers as it is told, and takes no time.

use super::host::{Host, HostError};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::root::{Answer, OpId, Survey, Verb};
use futures_util::future::{BoxFuture, FutureExt};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// See the module.
#[derive(Debug)]
pub(super) struct NotingHost {
    asked: Mutex<Vec<(OpId, Verb)>>,
    pub(super) survey: Mutex<Survey>,
    fails: Mutex<BTreeSet<&'static str>>,
    /// One answer for each permit.
    permits: Semaphore,
}

impl NotingHost {
    /// One that answers at once.
    pub(super) fn new() -> Arc<Self> {
        let host = Self::holding();
        host.permits.add_permits(100_000);
        host
    }

    /// One that answers nothing before [`Self::let_answer`].
    pub(super) fn holding() -> Arc<Self> {
        Arc::new(Self {
            asked: Mutex::default(),
            survey: Mutex::default(),
            fails: Mutex::default(),
            permits: Semaphore::new(0),
        })
    }

    pub(super) fn let_answer(&self, times: usize) {
        self.permits.add_permits(times);
    }

    /// Lets a verb fail from now on, or succeed again.
    pub(super) fn fail(&self, verb: &'static str, fails: bool) {
        let mut all = self.fails.lock().unwrap();
        if fails {
            all.insert(verb);
        } else {
            all.remove(verb);
        }
    }

    pub(super) fn asked(&self) -> Vec<Verb> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(_, verb)| verb.clone()).collect()
    }

    /// For which operation each verb was asked.
    pub(super) fn operations(&self) -> Vec<(OpId, &'static str)> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(op, verb)| (*op, verb.name())).collect()
    }

    fn answer(&self, verb: &Verb) -> Result<Answer, HostError> {
        if self.fails.lock().unwrap().contains(verb.name()) {
            let fault = Fault::new(FaultCode::Failed, "it was told to fail");
            return Err(HostError::Failed(fault));
        }
        let survey = self.survey.lock().unwrap();
        let foreign = survey.taps.iter().find(|tap| {
            let asked = match verb {
                Verb::MakeTaps { slots } | Verb::DeleteTaps { slots } => slots.contains(tap.slot),
                _ => false,
            };
            asked && !tap.whose.is_ours()
        });
        if let Some(tap) = foreign {
            let fault = Fault::new(FaultCode::Conflict, format!("{} is not ours", tap.slot));
            return Err(HostError::Failed(fault));
        }
        Ok(match verb {
            Verb::Ping {} => Answer::Pong {},
            Verb::Survey {} => Answer::Survey(Box::new(survey.clone())),
            _ => Answer::Changes(vec![]),
        })
    }
}

impl Host for NotingHost {
    fn ask(&self, op: OpId, verb: Verb) -> BoxFuture<'_, Result<Answer, HostError>> {
        self.asked.lock().unwrap().push((op, verb.clone()));
        async move {
            let permit = self.permits.acquire().await;
            permit.expect("never closed").forget();
            self.answer(&verb)
        }
        .boxed()
    }
}

/// Waits until something is so: other tasks have to be run for it. Time stands still meanwhile.
pub(super) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("never: {what}");
}
