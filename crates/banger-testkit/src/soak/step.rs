//! What happens in one step: a pure function of seed and number, so that a run can be repeated whatever
//! the machine under it does.

use super::random::Random;
use std::fmt;
use std::time::Duration;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// `vm create --no-start`.
    Create,
    /// `vm run -d`.
    RunDetached,
    /// `vm run --rm -- true`.
    RunRm,
    /// `vm start`.
    Start,
    /// `vm stop`.
    Stop,
    /// `vm restart`.
    Restart,
    /// `vm kill`.
    Kill,
    /// `vm exec`, with output that is checked.
    Exec,
    /// `vm exec` of what writes a mark to the work disk and has it reach the disk.
    Mark,
    /// `vm cp` into the guest.
    Copy,
    /// `vm set --nat`, or `--no-nat`.
    Nat(bool),
    /// `vm publish` of any free port.
    Publish,
    /// `vm unpublish` of the port that is published.
    Unpublish,
    /// `vm rename` to the name of another place, or of the same.
    Rename(usize),
    /// `vm label`, with a value that nobody else writes.
    Label,
    /// `vm label` that takes the label away.
    Unlabel,
    /// `repair` of the machine.
    Repair,
    /// `repair` of all that need it, and of what belongs to no machine.
    RepairAll,
    /// `operations cancel` of what goes on for the machine, once so many milliseconds are over.
    Cancel(u16),
    /// `vm rm`.
    Delete,
    /// `vm list` and `vm show`.
    Look,
}

/// How often each is asked for; place and time of those that have one are drawn apart.
const VERBS: &[(usize, Verb)] = &[
    (4, Verb::Create),
    (10, Verb::RunDetached),
    (8, Verb::RunRm),
    (5, Verb::Start),
    (4, Verb::Stop),
    (2, Verb::Restart),
    (3, Verb::Kill),
    (4, Verb::Exec),
    (6, Verb::Mark),
    (2, Verb::Copy),
    (1, Verb::Nat(true)),
    (1, Verb::Nat(false)),
    (4, Verb::Publish),
    (2, Verb::Unpublish),
    (4, Verb::Rename(0)),
    (2, Verb::Label),
    (1, Verb::Unlabel),
    (2, Verb::Repair),
    (1, Verb::RepairAll),
    (6, Verb::Cancel(0)),
    (13, Verb::Delete),
    (2, Verb::Look),
];

/// What is done to the processes while the verbs are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL to the daemon.
    KillDaemon,
    /// SIGTERM to the daemon.
    TerminateDaemon,
    /// SIGKILL to the root helper; nothing where there is none.
    KillHelper,
    /// SIGKILL to the VMM of a place's machine; nothing where none runs.
    KillVmm(usize),
    /// SIGKILL to every carrier of published ports; nothing where no machine that runs publishes one.
    KillCarriers,
    /// SIGKILL to all: clients, daemon, helper, VMMs, carriers and who starts them. With `true` also what a
    /// reboot takes: the runtime directory.
    PowerCut(bool),
}

impl Blow {
    /// Whether operations that are under way may be cut off by it, whatever machine they are for.
    #[must_use]
    pub const fn disturbs_all(self) -> bool {
        !matches!(self, Self::KillVmm(_) | Self::KillCarriers)
    }

    /// Whether the daemon that serves afterwards is another one.
    #[must_use]
    pub const fn ends_the_daemon(self) -> bool {
        !matches!(
            self,
            Self::KillVmm(_) | Self::KillCarriers | Self::KillHelper
        )
    }
}

/// One step: all verbs begin at once, each by a client of its own; the next step begins when all of
/// them have ended and everything has come to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number, from 0.
    pub number: usize,
    /// Places of machines, and what is asked for there.
    pub verbs: Vec<(usize, Verb)>,
    /// What strikes, and how long after the verbs began.
    pub blow: Option<(Duration, Blow)>,
}

/// What the steps of a run are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Determines everything.
    pub seed: u64,
    /// How many places for machines there are; each holds at most one.
    pub machines: usize,
    /// How many clients there are at most at the same time.
    pub clients: usize,
    /// Every step ends in a power cut, and nothing else strikes.
    pub power_cuts: bool,
}

/// Steps in a row that leave the daemon alone, after as many that do not: in those its memory and
/// descriptors are measured.
pub const STRETCH: usize = 100;

/// The longest time from the beginning of a step until something strikes: a start takes as long where
/// guests are simulated.
const LONGEST_WAIT: usize = 400;

/// Whether the daemon is left alone in a step.
#[must_use]
pub const fn is_calm(number: usize) -> bool {
    (number / STRETCH) % 2 == 1
}

impl Plan {
    /// The step of a number.
    #[must_use]
    pub fn step(&self, number: usize) -> Step {
        let mut random = Random::of(self.seed, u64::try_from(number).unwrap_or(0));
        let count = 1 + random.below(self.clients);
        let verbs = (0..count).filter_map(|_| {
            let place = random.below(self.machines);
            let verb = match random.weighted(VERBS)? {
                Verb::Rename(_) => Verb::Rename(random.below(self.machines)),
                Verb::Cancel(_) => {
                    let after = random.below(LONGEST_WAIT);
                    Verb::Cancel(after.try_into().unwrap_or(0))
                }
                verb => verb,
            };
            Some((place, verb))
        });
        let verbs = verbs.collect();
        let blow = self.blow(number, &mut random);
        let after = Duration::from_millis(random.below(LONGEST_WAIT).try_into().unwrap_or(0));
        Step {
            number,
            verbs,
            blow: blow.map(|blow| (after, blow)),
        }
    }

    fn blow(&self, number: usize, random: &mut Random) -> Option<Blow> {
        let place = random.below(self.machines);
        if self.power_cuts {
            return Some(Blow::PowerCut(random.chance(50)));
        }
        let blow = random.weighted(&[
            (8, Some(Blow::KillDaemon)),
            (4, Some(Blow::TerminateDaemon)),
            (6, Some(Blow::KillHelper)),
            (10, Some(Blow::KillVmm(place))),
            (10, Some(Blow::KillCarriers)),
            (2, Some(Blow::PowerCut(place.is_multiple_of(2)))),
            (50, None),
        ]);
        blow.flatten()
            .filter(|blow| !(blow.ends_the_daemon() && is_calm(number)))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}:", self.number)?;
        for (place, verb) in &self.verbs {
            write!(f, " s{place}:{verb:?}")?;
        }
        match &self.blow {
            Some((after, blow)) => write!(f, " | after {} ms {blow:?}", after.as_millis()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        seed: 5,
        machines: 6,
        clients: 6,
        power_cuts: false,
    };

    #[test]
    fn a_seed_gives_the_same_steps_again_and_another_gives_others() {
        let steps = |plan: Plan| -> Vec<Step> { (0..50).map(|n| plan.step(n)).collect() };
        assert_eq!(steps(PLAN), steps(PLAN));
        assert_ne!(steps(PLAN), steps(Plan { seed: 6, ..PLAN }));
    }

    #[test]
    fn every_verb_and_every_blow_comes_in_a_few_hundred_steps() {
        let steps: Vec<Step> = (0..500).map(|n| PLAN.step(n)).collect();
        let drawn = |verb: Verb| match verb {
            Verb::Rename(_) => Verb::Rename(0),
            Verb::Cancel(_) => Verb::Cancel(0),
            verb => verb,
        };
        for (_, verb) in VERBS {
            let asked = |step: &&Step| step.verbs.iter().any(|(_, asked)| drawn(*asked) == *verb);
            assert!(steps.iter().find(asked).is_some(), "{verb:?}");
        }
        let mut verbs = steps.iter().flat_map(|step| &step.verbs);
        let elsewhere =
            |(from, verb): &(usize, Verb)| matches!(verb, Verb::Rename(to) if to != from);
        assert!(verbs.any(elsewhere));
        assert!(verbs.any(|(_, verb)| matches!(verb, Verb::Cancel(after) if *after > 100)));
        let strikes = |is: fn(Blow) -> bool| {
            let mut blows = steps.iter().filter_map(|step| step.blow);
            blows.any(|(_, blow)| is(blow))
        };
        assert!(strikes(|blow| blow == Blow::KillDaemon));
        assert!(strikes(|blow| blow == Blow::TerminateDaemon));
        assert!(strikes(|blow| blow == Blow::KillHelper));
        assert!(strikes(|blow| matches!(blow, Blow::KillVmm(_))));
        assert!(strikes(|blow| blow == Blow::KillCarriers));
        assert!(strikes(|blow| blow == Blow::PowerCut(true)));
        assert!(strikes(|blow| blow == Blow::PowerCut(false)));
    }

    #[test]
    fn the_daemon_is_left_alone_in_every_second_stretch() {
        let ends = |number: usize| {
            let blow = PLAN.step(number).blow;
            blow.is_some_and(|(_, blow)| blow.ends_the_daemon())
        };
        assert!((0..STRETCH).any(ends));
        assert!(!(STRETCH..2 * STRETCH).any(ends));
    }

    #[test]
    fn a_run_of_power_cuts_has_one_in_every_step() {
        let plan = Plan {
            power_cuts: true,
            ..PLAN
        };
        for number in 0..2 * STRETCH {
            let blow = plan.step(number).blow;
            assert!(matches!(blow, Some((_, Blow::PowerCut(_)))), "{number}");
        }
    }
}
