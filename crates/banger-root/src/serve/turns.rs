//! Requests that read and then change the same objects go one after the other.

use banger_proto::root::Verb;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Between two looks whether the client still waits.
const LOOK: Duration = Duration::from_millis(100);

/// Who is at work, by what it works on.
#[derive(Debug, Default)]
pub(super) struct Turns {
    taken: Mutex<Taken>,
    freed: Condvar,
}

/// What a request keeps others from. TAPs are none of it: each is an object of its own, and the kernel
/// has its own lock for links.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Taken {
    bridge: bool,
    rules: bool,
}

impl Taken {
    const fn by(verb: &Verb) -> Self {
        let (bridge, rules) = match verb {
            Verb::Ping {} | Verb::Survey {} | Verb::MakeTaps { .. } | Verb::DeleteTaps { .. } => {
                (false, false)
            }
            Verb::EnsureBridge { .. } | Verb::RemoveBridge {} | Verb::Sweep { .. } => (true, true),
            Verb::SetResolver { .. } | Verb::ClearResolver {} => (true, false),
            Verb::SetPolicy { .. } | Verb::ClearPolicy {} | Verb::ProbePath { .. } => (false, true),
        };
        Self { bridge, rules }
    }

    const fn collides(self, other: Self) -> bool {
        self.bridge && other.bridge || self.rules && other.rules
    }
}

/// A turn; it is over when this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    mine: Taken,
}

impl Turns {
    /// Waits for the verb's turn; none when the client is gone before it comes.
    pub(super) fn wait(&self, verb: &Verb, is_gone: impl Fn() -> bool) -> Option<Turn<'_>> {
        let mine = Taken::by(verb);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while taken.collides(mine) {
            if is_gone() {
                return None;
            }
            let waited = self.freed.wait_timeout(taken, LOOK);
            taken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        taken.bridge |= mine.bridge;
        taken.rules |= mine.rules;
        drop(taken);
        Some(Turn { turns: self, mine })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self
            .turns
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.bridge &= !self.mine.bridge;
        taken.rules &= !self.mine.rules;
        drop(taken);
        self.turns.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_proto::root::PathKind;

    #[test]
    fn requests_on_the_same_objects_go_one_after_the_other() {
        let turns = Turns::default();
        let probe = Verb::ProbePath {
            kind: PathKind::OutIpv4,
        };
        let first = turns
            .wait(&Verb::ClearPolicy {}, || false)
            .expect("nobody is there");
        assert!(turns.wait(&probe, || true).is_none(), "its client is gone");
        assert!(turns.wait(&Verb::RemoveBridge {}, || true).is_none());
        let _beside = turns
            .wait(&Verb::ClearResolver {}, || true)
            .expect("it needs the bridge only");
        let _survey = turns
            .wait(&Verb::Survey {}, || true)
            .expect("it changes nothing");
        drop(first);
        assert!(turns.wait(&probe, || true).is_some());
    }

    #[test]
    fn who_waits_is_woken() {
        let turns = Turns::default();
        let first = turns.wait(&Verb::RemoveBridge {}, || false);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| turns.wait(&Verb::RemoveBridge {}, || false).is_some());
            drop(first);
            assert!(second.join().expect("no panic"));
        });
    }
}
