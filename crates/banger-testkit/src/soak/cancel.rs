//! A client that cancels what goes on for a machine.

use super::act::{CLIENT_LIMIT, wait};
use super::judge::Machine;
use super::look::going_on;
use crate::World;
use crate::run::{self, Ran};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long it looks for something to cancel: longer than a client needs until its operation is begun,
/// a daemon's start included.
const LOOKS: Duration = Duration::from_millis(500);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// Whether clients may be started: nobody does so after a power cut.
#[derive(Debug, Default)]
pub(super) struct Power(Mutex<bool>);

impl Power {
    /// From now on no client is started.
    pub(super) fn cut(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Does what starts a client, if there is power.
    fn with<T>(&self, start: impl FnOnce() -> T) -> Option<T> {
        let is_cut = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (!*is_cut).then(start)
    }
}

/// See the module.
pub(super) struct Canceller<'a> {
    /// Where.
    pub(super) world: &'a World,
    /// The machine's name.
    pub(super) name: String,
    /// All that there were before.
    pub(super) machines: &'a [Machine],
    /// A kind that is not cancelled.
    pub(super) spared: Option<&'static str>,
    /// See there.
    pub(super) power: &'a Power,
}

impl Canceller<'_> {
    /// Cancels the newest operation that there is `after` a while, or that is begun soon after.
    pub(super) fn cancel(self, after: Duration) -> Ran {
        wait(after);
        let until = Instant::now() + LOOKS;
        let op = loop {
            match self.newest() {
                None if Instant::now() < until => wait(PAUSE),
                found => break found,
            }
        };
        let Some(op) = op else {
            return ended(Some(1), "there was nothing to cancel");
        };
        let words = ["operations", "cancel", &op];
        let started = || run::start(&mut self.world.banger(words));
        match self.power.with(started) {
            Some(child) => run::finish(child, Vec::new(), CLIENT_LIMIT),
            None => ended(None, "there was no power"),
        }
    }

    fn newest(&self) -> Option<String> {
        // A daemon that was killed has none.
        let all = going_on(self.world).unwrap_or_default();
        let mut all = all.into_iter().rev();
        let found = all.find(|one| {
            one.name_now(self.machines) == self.name && Some(one.kind.as_str()) != self.spared
        });
        found.map(|one| one.op)
    }
}

fn ended(code: Option<i32>, why: &str) -> Ran {
    Ran {
        code,
        stdout: vec![],
        stderr: why.to_owned(),
    }
}
