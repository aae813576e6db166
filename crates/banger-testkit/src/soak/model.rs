//! What may be true: for each place the set of facts that its machine may have come to. Pure.
//!
//! ```text
//! one verb alone that succeeded        exactly what it promises, whatever was killed
//! one verb alone that was cut off      anything on its way
//! several at once                      anything that any order of them can lead to
//! nothing asked                        what was
//! ```
//!
//! What is seen then narrows the sets to one fact each.

use super::step::{Blow, Verb};
use std::collections::BTreeSet;
use std::fmt;

/// What a place can come to rest in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// There is no machine.
    Absent,
    /// It has never run.
    Created,
    /// It does not run.
    Stopped,
    /// It runs.
    Running,
}

impl Fact {
    /// The fact of a state that something can rest in.
    #[must_use]
    pub fn of_state(word: &str) -> Option<Self> {
        Some(match word {
            "created" => Self::Created,
            "stopped" => Self::Stopped,
            "running" => Self::Running,
            _ => return None,
        })
    }
}

/// One place: a name that at most one machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What may be.
    pub facts: BTreeSet<Fact>,
    /// The machine's id, once it was seen.
    pub id: Option<String>,
    /// There may be another machine now.
    pub renewed: bool,
    /// The client that was to delete it, or to hear of its creation, was killed: the daemon takes it
    /// away some time.
    pub goes_by_itself: bool,
    /// Whether it may have a way out.
    pub nat: BTreeSet<bool>,
    /// Whether it may publish a port.
    pub published: BTreeSet<bool>,
    /// Which mark may be on its work disk; 0 for none.
    pub marks: BTreeSet<u64>,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            facts: [Fact::Absent].into(),
            id: None,
            renewed: false,
            goes_by_itself: false,
            nat: [false].into(),
            published: [false].into(),
            marks: [0].into(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            facts,
            nat,
            published,
            marks,
            ..
        } = self;
        write!(f, "{facts:?}, nat {nat:?}, published {published:?}, ")?;
        write!(f, "marks {marks:?}")
    }
}

/// A verb that was asked for and has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// What was asked.
    pub verb: Verb,
    /// The number that a [`Verb::Mark`] wrote.
    pub mark: u64,
    /// Whether its client ended with success; `None` when the client was killed.
    pub succeeded: Option<bool>,
}

/// What befell one place in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Befell {
    /// Something was killed that operations of this place depend on.
    pub disturbed: bool,
    /// Its VMM was killed.
    pub vmm_killed: bool,
    /// Everything was killed.
    pub power_cut: bool,
}

impl Befell {
    /// What a blow means for a place; `struck` says whether it found what it was to kill.
    #[must_use]
    pub fn of(blow: Option<Blow>, struck: bool, place: usize) -> Self {
        let Some(blow) = blow.filter(|_| struck) else {
            return Self::default();
        };
        let vmm_killed = blow == Blow::KillVmm(place);
        Self {
            disturbed: blow.disturbs_all() || vmm_killed,
            vmm_killed,
            power_cut: matches!(blow, Blow::PowerCut(_)),
        }
    }
}

/// Whether a verb succeeds when nothing comes in between.
const fn succeeds(verb: Verb, fact: Fact, published: bool) -> bool {
    match verb {
        Verb::Create | Verb::RunDetached | Verb::RunRm => matches!(fact, Fact::Absent),
        Verb::Exec | Verb::Mark | Verb::Copy => matches!(fact, Fact::Running),
        Verb::Unpublish => !matches!(fact, Fact::Absent) && published,
        Verb::Look => true,
        _ => !matches!(fact, Fact::Absent),
    }
}

/// What a verb that succeeded has led to.
const fn promised(verb: Verb, before: Fact) -> Fact {
    match verb {
        Verb::Create => Fact::Created,
        Verb::RunDetached | Verb::Start | Verb::Restart => Fact::Running,
        Verb::RunRm | Verb::Delete => Fact::Absent,
        Verb::Stop | Verb::Kill if matches!(before, Fact::Running) => Fact::Stopped,
        _ => before,
    }
}

/// What a verb that was cut off, or met by another, may have led to besides what was.
fn reachable(verb: Verb, before: Fact) -> &'static [Fact] {
    use Fact::{Absent, Created, Running, Stopped};
    match (verb, before) {
        (Verb::Create, Absent) => &[Created],
        (Verb::RunDetached | Verb::RunRm, Absent) => &[Created, Stopped, Running],
        (_, Absent) => &[],
        (Verb::Start | Verb::Restart, _) => &[Stopped, Running],
        (Verb::Stop | Verb::Kill, Running) => &[Stopped],
        (Verb::Delete, _) => &[Stopped, Absent],
        (Verb::RunRm, _) => &[Absent],
        _ => &[],
    }
}

const fn creates(verb: Verb) -> bool {
    matches!(verb, Verb::Create | Verb::RunDetached | Verb::RunRm)
}

impl Place {
    /// Notes what was asked of it and what befell it.
    ///
    /// # Errors
    /// What a client ended with though it could not.
    pub fn step(&mut self, asked: &[Asked], befell: Befell) -> Result<(), String> {
        let judged = match asked {
            [] => Ok(()),
            [one] => self.alone(*one, befell),
            several => {
                self.anything(several);
                Ok(())
            }
        };
        self.renewed |= asked.iter().any(|asked| creates(asked.verb));
        if befell.vmm_killed {
            self.lose_vmm(asked.is_empty());
        }
        if befell.power_cut {
            self.lose_vmm(true);
            // What was cut off is gone on with by the next daemon.
            let goes_on = asked.iter().filter(|asked| asked.succeeded != Some(true));
            self.anything(&goes_on.copied().collect::<Vec<_>>());
        }
        if self.goes_by_itself {
            self.facts.insert(Fact::Absent);
        }
        judged
    }

    fn alone(&mut self, asked: Asked, befell: Befell) -> Result<(), String> {
        let published: Vec<bool> = self.published.iter().copied().collect();
        let outcome = |fact: &Fact| {
            let each = published.iter().map(|on| succeeds(asked.verb, *fact, *on));
            each.collect::<BTreeSet<bool>>()
        };
        let possible: BTreeSet<bool> = self.facts.iter().flat_map(outcome).collect();
        let Some(succeeded) = asked.succeeded else {
            self.anything(&[asked]);
            return Ok(());
        };
        let cut_off = befell.disturbed && !succeeded;
        if !possible.contains(&succeeded) && !cut_off && !self.goes_by_itself {
            let ended = if succeeded { "succeeded" } else { "failed" };
            return Err(format!("{:?} {ended} at {self}", asked.verb));
        }
        if succeeded {
            self.keep_promise(asked);
        } else if cut_off || self.goes_by_itself {
            self.anything(&[asked]);
        }
        Ok(())
    }

    fn keep_promise(&mut self, asked: Asked) {
        let before = std::mem::take(&mut self.facts);
        let led_to = before.iter().filter(|fact| {
            let mut published = self.published.iter();
            published.any(|on| succeeds(asked.verb, **fact, *on))
        });
        self.facts = led_to.map(|fact| promised(asked.verb, *fact)).collect();
        match asked.verb {
            verb if creates(verb) => self.begin_anew(),
            Verb::Nat(on) => self.nat = [on].into(),
            Verb::Publish => self.published = [true].into(),
            Verb::Unpublish => self.published = [false].into(),
            Verb::Mark => self.marks = [asked.mark].into(),
            _ => {}
        }
    }

    /// Its creation goes on, or is taken back.
    pub fn may_come_and_go(&mut self) {
        self.goes_by_itself = true;
        self.renewed = true;
        self.facts = [Fact::Absent, Fact::Created, Fact::Stopped, Fact::Running].into();
    }

    fn begin_anew(&mut self) {
        self.nat = [false].into();
        self.published = [false].into();
        self.marks = [0].into();
        self.goes_by_itself = false;
    }

    /// The closure over all verbs: whatever their order, and wherever each was cut off.
    fn anything(&mut self, asked: &[Asked]) {
        loop {
            let next = self.facts.iter().flat_map(|fact| {
                let ways = asked.iter().map(|asked| reachable(asked.verb, *fact));
                ways.flatten().copied()
            });
            let next: BTreeSet<Fact> = next.collect();
            if next.is_subset(&self.facts) {
                break;
            }
            self.facts.extend(next);
        }
        for one in asked {
            match one.verb {
                Verb::RunRm => self.goes_by_itself = true,
                verb if creates(verb) && one.succeeded.is_none() => self.goes_by_itself = true,
                Verb::Nat(on) => drop(self.nat.insert(on)),
                Verb::Publish => drop(self.published.insert(true)),
                Verb::Unpublish => drop(self.published.insert(false)),
                Verb::Mark => drop(self.marks.insert(one.mark)),
                _ => {}
            }
            if creates(one.verb) {
                self.nat.insert(false);
                self.published.insert(false);
                self.marks.insert(0);
            }
        }
    }

    /// A guest that ran does not any more; `surely` when nothing can have started it since.
    fn lose_vmm(&mut self, surely: bool) {
        if self.facts.contains(&Fact::Running) {
            self.facts.insert(Fact::Stopped);
            if surely {
                self.facts.remove(&Fact::Running);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Fact::{Absent, Created, Running, Stopped};

    const CALM: Befell = Befell {
        disturbed: false,
        vmm_killed: false,
        power_cut: false,
    };
    const DAEMON_KILLED: Befell = Befell {
        disturbed: true,
        ..CALM
    };

    fn at(fact: Fact) -> Place {
        Place {
            facts: [fact].into(),
            ..Place::default()
        }
    }

    fn asked(verb: Verb, succeeded: bool) -> Asked {
        Asked {
            verb,
            mark: 9,
            succeeded: Some(succeeded),
        }
    }

    fn facts(place: &Place) -> Vec<Fact> {
        place.facts.iter().copied().collect()
    }

    #[test]
    fn what_succeeded_is_so_even_when_the_daemon_was_killed() {
        for (verb, before, after) in [
            (Verb::Create, Absent, Created),
            (Verb::RunDetached, Absent, Running),
            (Verb::RunRm, Absent, Absent),
            (Verb::Start, Created, Running),
            (Verb::Stop, Running, Stopped),
            (Verb::Stop, Created, Created),
            (Verb::Delete, Running, Absent),
        ] {
            let mut place = at(before);
            place
                .step(&[asked(verb, true)], DAEMON_KILLED)
                .expect("possible");
            assert_eq!(facts(&place), [after], "{verb:?}");
        }
    }

    #[test]
    fn what_must_succeed_and_fails_is_told_unless_something_was_killed() {
        assert!(
            at(Stopped)
                .step(&[asked(Verb::Start, false)], CALM)
                .is_err()
        );
        let mut place = at(Stopped);
        place
            .step(&[asked(Verb::Start, false)], DAEMON_KILLED)
            .expect("cut off");
        assert_eq!(facts(&place), [Stopped, Running]);
    }

    #[test]
    fn what_must_be_refused_and_succeeds_is_told_whatever_was_killed() {
        for (verb, fact) in [
            (Verb::Create, Stopped),
            (Verb::Exec, Stopped),
            (Verb::Delete, Absent),
            (Verb::Unpublish, Running),
        ] {
            let judged = at(fact).step(&[asked(verb, true)], DAEMON_KILLED);
            assert!(judged.is_err(), "{verb:?}");
            let judged = at(fact).step(&[asked(verb, false)], CALM);
            assert!(judged.is_ok(), "{verb:?}");
        }
    }

    #[test]
    fn verbs_at_once_may_come_in_any_order() {
        let mut place = at(Stopped);
        let both = [asked(Verb::Delete, true), asked(Verb::RunDetached, true)];
        place.step(&both, CALM).expect("anything");
        assert_eq!(facts(&place), [Absent, Created, Stopped, Running]);
        assert!(place.renewed);
        let mut place = at(Running);
        let both = [asked(Verb::Stop, true), asked(Verb::Exec, false)];
        place.step(&both, CALM).expect("anything");
        assert_eq!(facts(&place), [Stopped, Running]);
    }

    #[test]
    fn nothing_changes_where_nothing_was_asked_but_a_power_cut_stops_guests() {
        let mut place = at(Running);
        place.step(&[], DAEMON_KILLED).expect("nothing");
        assert_eq!(facts(&place), [Running]);
        let cut = Befell::of(Some(Blow::PowerCut(true)), true, 0);
        place.step(&[], cut).expect("nothing");
        assert_eq!(facts(&place), [Stopped]);
    }

    #[test]
    fn a_start_that_a_power_cut_cut_off_may_be_gone_on_with_and_one_that_was_done_is_not() {
        let cut = Befell::of(Some(Blow::PowerCut(false)), true, 0);
        let mut place = at(Stopped);
        let killed = Asked {
            succeeded: None,
            ..asked(Verb::Start, false)
        };
        place.step(&[killed], cut).expect("cut off");
        assert_eq!(facts(&place), [Stopped, Running]);
        let mut place = at(Stopped);
        place.step(&[asked(Verb::Start, true)], cut).expect("done");
        assert_eq!(facts(&place), [Stopped]);
    }

    #[test]
    fn a_killed_vmm_is_one_machine_s_alone() {
        let blow = Some(Blow::KillVmm(1));
        assert_eq!(Befell::of(blow, true, 0), CALM);
        assert_eq!(Befell::of(blow, false, 1), CALM);
        let mut place = at(Running);
        place.step(&[], Befell::of(blow, true, 1)).expect("nothing");
        assert_eq!(facts(&place), [Stopped]);
        let mut place = at(Running);
        let restarted = [asked(Verb::Restart, true)];
        place
            .step(&restarted, Befell::of(blow, true, 1))
            .expect("either");
        assert_eq!(facts(&place), [Stopped, Running]);
    }

    #[test]
    fn a_mark_that_was_synced_is_there_and_one_that_was_cut_off_may_be() {
        let mut place = at(Running);
        place
            .step(&[asked(Verb::Mark, true)], DAEMON_KILLED)
            .expect("fine");
        assert_eq!(place.marks, [9].into());
        let cut_off = Asked {
            mark: 10,
            ..asked(Verb::Mark, false)
        };
        place.step(&[cut_off], DAEMON_KILLED).expect("cut off");
        assert_eq!(place.marks, [9, 10].into());
    }

    #[test]
    fn a_run_rm_that_was_cut_off_leaves_what_goes_by_itself() {
        let mut place = at(Absent);
        let killed = Asked {
            succeeded: None,
            ..asked(Verb::RunRm, false)
        };
        place.step(&[killed], DAEMON_KILLED).expect("cut off");
        assert!(place.goes_by_itself);
        place.facts = [Running].into();
        place.step(&[], CALM).expect("nothing");
        assert_eq!(facts(&place), [Absent, Running]);
    }
}
