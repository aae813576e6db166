//! What may be true: for each place the set of facts that its machine may have come to. Pure.
//!
//! ```text
//! one verb alone that succeeded        exactly what it promises, whatever was killed
//! one verb alone that was cut off      anything on its way
//! one verb, and a cancelling           what it promises, or undone when that succeeded
//! several at once                      anything that any order of them can lead to
//! nothing asked                        what was
//! ```
//!
//! Renaming takes a machine from one place to another: see [`moves`].
//!
//! What is seen then narrows the sets to one fact each.

mod moves;
mod verbs;

#[cfg(test)]
mod tests;

pub use moves::step;

use super::step::{Blow, Verb};
use std::collections::BTreeSet;
use std::fmt;
use verbs::{creates, is_operation, promised, reachable, starts, succeeds, undone};

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
    /// Machines that may be the one here, by their ids; one that was not seen yet has none.
    pub ids: BTreeSet<String>,
    /// Of those that were here, the ones that must still be somewhere.
    pub kept: BTreeSet<String>,
    /// There may be a machine that nobody has seen before.
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
    /// Which label it may have; 0 for none.
    pub labels: BTreeSet<u64>,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            facts: [Fact::Absent].into(),
            ids: BTreeSet::new(),
            kept: BTreeSet::new(),
            renewed: false,
            goes_by_itself: false,
            nat: [false].into(),
            published: [false].into(),
            marks: [0].into(),
            labels: [0].into(),
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
            labels,
            ..
        } = self;
        write!(f, "{facts:?}, nat {nat:?}, published {published:?}, ")?;
        write!(f, "marks {marks:?}, labels {labels:?}")
    }
}

/// A verb that was asked for and has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// What was asked.
    pub verb: Verb,
    /// The number that a [`Verb::Mark`] or [`Verb::Label`] wrote.
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

impl Place {
    /// Notes what was asked of it and what befell it; [`step`] does so for places that renamings join.
    ///
    /// # Errors
    /// What a client ended with though it could not.
    pub fn step(&mut self, asked: &[Asked], befell: Befell) -> Result<(), String> {
        let mut goes_on = asked.to_vec();
        let judged = match asked {
            [] => Ok(()),
            [one] => self.alone(*one, befell),
            [one, other] if cancels(*one) != cancels(*other) => {
                let (one, cancelling) = match cancels(*other) {
                    true => (*one, *other),
                    false => (*other, *one),
                };
                if cancelling.succeeded == Some(true) {
                    goes_on.clear();
                }
                self.cancelled(one, cancelling, befell)
            }
            several => {
                self.anything(several);
                Ok(())
            }
        };
        self.renewed |= asked.iter().any(|asked| creates(asked.verb));
        if befell.vmm_killed {
            self.lose_vmm(!asked.iter().any(|asked| starts(asked.verb)));
        }
        if befell.power_cut {
            self.lose_vmm(true);
            self.go_on(&goes_on);
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
        if succeeded && possible.contains(&true) {
            self.keep_promise(asked);
        } else if succeeded || cut_off || self.goes_by_itself {
            self.anything(&[asked]);
        }
        Ok(())
    }

    /// One verb, and a client that cancels what it finds to cancel.
    fn cancelled(&mut self, one: Asked, cancelling: Asked, befell: Befell) -> Result<(), String> {
        // What it found may be a creation of before, or one of several operations.
        let unclear = self.goes_by_itself || one.verb == Verb::RunRm;
        match cancelling.succeeded {
            Some(true) if unclear => self.anything(&[one]),
            Some(true) if one.succeeded == Some(true) || !is_operation(one.verb) => {
                return Err(format!(
                    "{:?} was cancelled and succeeded at {self}",
                    one.verb
                ));
            }
            Some(true) => {
                let ways = self.facts.iter().flat_map(|fact| undone(one.verb, *fact));
                let ways: Vec<Fact> = ways.copied().collect();
                self.facts.extend(ways);
            }
            Some(false) => return self.alone(one, befell),
            None if one.succeeded == Some(true) => return self.alone(one, befell),
            None => self.anything(&[one]),
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
            Verb::Label => self.labels = [asked.mark].into(),
            Verb::Unlabel => self.labels = [0].into(),
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
        self.labels = [0].into();
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
                Verb::Label => drop(self.labels.insert(one.mark)),
                Verb::Unlabel => drop(self.labels.insert(0)),
                _ => {}
            }
            if creates(one.verb) {
                self.nat.insert(false);
                self.published.insert(false);
                self.marks.insert(0);
                self.labels.insert(0);
            }
        }
    }

    /// What a power cut cut off is gone on with by the next daemon.
    fn go_on(&mut self, asked: &[Asked]) {
        let goes_on = asked.iter().filter(|asked| asked.succeeded != Some(true));
        self.anything(&goes_on.copied().collect::<Vec<_>>());
    }

    /// Or everything is as it may be with another place.
    fn or(&mut self, other: &Self) {
        let Self {
            facts,
            ids,
            kept,
            renewed,
            goes_by_itself,
            nat,
            published,
            marks,
            labels,
        } = other;
        self.facts.extend(facts);
        self.ids.extend(ids.iter().cloned());
        self.kept.extend(kept.iter().cloned());
        self.renewed |= renewed;
        self.goes_by_itself |= goes_by_itself;
        self.nat.extend(nat);
        self.published.extend(published);
        self.marks.extend(marks);
        self.labels.extend(labels);
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

const fn cancels(asked: Asked) -> bool {
    matches!(asked.verb, Verb::Cancel(_))
}
