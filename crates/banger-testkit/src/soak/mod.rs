//! `banger-soak`: many machines through random verbs by several clients at once, while processes are
//! killed, and after every step the question whether all that must hold does.
//!
//! ```text
//! seed ─▶ step (pure) ─▶ act: clients, and what is killed ─▶ model (pure): what may be now
//!           ▲                                                    │
//!           └── narrow ◀── judge (pure): no complaints ◀── look ◀┘
//! ```
//!
//! What happens follows from the seed alone, not from how it went: a run that failed is repeated by the
//! command line that it prints. How the operating system mixes the processes is not repeated.

mod act;
mod cancel;
pub mod growth;
pub mod judge;
pub mod look;
pub mod model;
pub mod random;
pub mod request;
pub mod step;

use crate::World;
use act::{Done, act};
use growth::Growth;
use judge::{Machine, Seen, complaints, narrow};
use look::{footprint, look};
use model::{Befell, Fact, Place};
use request::{End, Request};
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use step::{Blow, Step};

/// How long it may take until everything has come to rest: four times the grace of a lost client.
const REST_LIMIT: Duration = Duration::from_secs(60);
/// How long a machine of `run --rm` whose client was killed may stay: four times its grace.
const ABANDONED_LIMIT: Duration = Duration::from_secs(60);
/// Every so many steps all machines are deleted, and what is left is measured.
const CLEARED_EVERY: usize = 20;
/// After power cuts there is always somebody's creation that is waited for, a quarter of a minute.
const CLEARED_SELDOM: usize = 50;
/// Lines of the trace that a failure prints.
const TRACE: usize = 60;

/// What a run has come to.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Steps that were done.
    pub steps: usize,
    /// Commands that clients ran.
    pub commands: usize,
    /// Machines that came and went.
    pub lifecycles: usize,
    /// Times that something was killed.
    pub blows: usize,
    /// Times that it was carriers of published ports.
    pub carriers: usize,
    /// What daemons took up.
    pub growth: Growth,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            steps,
            commands,
            lifecycles,
            blows,
            carriers,
            growth,
            took,
        } = self;
        let seconds = took.as_secs();
        writeln!(
            f,
            "{lifecycles} lifecycles in {steps} steps, {commands} commands, {blows} times something \
             was killed ({carriers} times carriers), {seconds} s"
        )?;
        for grown in growth.grown() {
            let (first, last) = (grown.first, grown.last);
            writeln!(
                f,
                "a daemon without machines, over {} samples: {} to {} KiB, {} to {} descriptors",
                grown.samples,
                first.memory_kib,
                last.memory_kib,
                first.descriptors,
                last.descriptors
            )?;
        }
        Ok(())
    }
}

/// The program: `arguments` without its name.
#[must_use]
pub fn main(arguments: &[String]) -> ExitCode {
    let request = match Request::parse(arguments) {
        Ok(request) => request,
        Err(why) => {
            eprintln!("banger-soak: {why}");
            return ExitCode::from(2);
        }
    };
    match soak(&request, true) {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Runs it in a world of its own; `tells` says now and then how far it is.
///
/// # Errors
/// What does not hold, the last steps, and how to repeat it.
pub fn soak(request: &Request, tells: bool) -> Result<Report, String> {
    eprintln!("{request}");
    let world = match (request.real, request.bridged) {
        (true, _) => World::real(),
        (false, true) => World::simulated_bridged(),
        (false, false) => World::simulated(),
    };
    let mut run = Run {
        request: *request,
        world,
        places: vec![Place::default(); request.plan.machines],
        seen: Seen::default(),
        report: Report::default(),
        trace: VecDeque::new(),
        begun: Instant::now(),
    };
    // A helper of the tests that gives up says so by a panic.
    let ended = catch_unwind(AssertUnwindSafe(|| run.go_through(tells)));
    let ended = ended.unwrap_or_else(|_| Err(vec!["a panic, above".to_owned()]));
    ended.map_err(|wrong| run.failure(&wrong))?;
    run.report.took = run.begun.elapsed();
    Ok(run.report)
}

struct Run {
    request: Request,
    world: World,
    places: Vec<Place>,
    /// The last that was seen, at rest.
    seen: Seen,
    report: Report,
    trace: VecDeque<String>,
    begun: Instant,
}

impl Run {
    fn go_through(&mut self, tells: bool) -> Result<(), Vec<String>> {
        for number in 0.. {
            let enough = match self.request.end {
                End::Steps(steps) => number >= steps,
                End::Lifecycles(count) => self.report.lifecycles >= count,
            };
            if enough {
                break;
            }
            let step = self.request.plan.step(number);
            self.step(&step)?;
            let cleared_every = match self.request.plan.power_cuts {
                true => CLEARED_SELDOM,
                false => CLEARED_EVERY,
            };
            if (number + 1).is_multiple_of(cleared_every) {
                self.clear()?;
                if tells {
                    let Report { lifecycles, .. } = self.report;
                    eprintln!("{} steps, {lifecycles} lifecycles", number + 1);
                }
            }
        }
        self.clear()?;
        let grown = self.report.growth.complaints();
        if grown.is_empty() { Ok(()) } else { Err(grown) }
    }

    fn note(&mut self, line: String) {
        if self.trace.len() == TRACE {
            self.trace.pop_front();
        }
        self.trace.push_back(line);
    }

    fn step(&mut self, step: &Step) -> Result<(), Vec<String>> {
        self.note(step.to_string());
        let done = act(&self.world, step, &self.seen.machines);
        done.told.iter().for_each(|line| self.note(line.clone()));
        self.report.steps += 1;
        self.report.commands += done.asked.len();
        self.report.blows += usize::from(done.struck);
        let of_carriers = matches!(step.blow, Some((_, Blow::KillCarriers)));
        self.report.carriers += usize::from(done.struck && of_carriers);
        let mut wrong = self.believe(step, &done);
        if wrong.is_empty() {
            wrong = self.come_to_rest(REST_LIMIT);
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// What may be after a step, and what clients were told that cannot be.
    fn believe(&mut self, step: &Step, done: &Done) -> Vec<String> {
        let mut wrong = done.wrong.clone();
        let ran = |(_, asked): &&(usize, model::Asked)| {
            (asked.verb, asked.succeeded) == (step::Verb::RunRm, Some(true))
        };
        self.report.lifecycles += done.asked.iter().filter(ran).count();
        let blow = step.blow.map(|(_, blow)| blow);
        let befell = |number| Befell::of(blow, done.struck, number);
        wrong.extend(model::step(&mut self.places, &done.asked, befell));
        wrong
    }

    /// Looks until nothing is to complain about any more; what still is at the end.
    fn come_to_rest(&mut self, limit: Duration) -> Vec<String> {
        let until = Instant::now() + limit;
        loop {
            let (seen, wrong) = match look(&self.world) {
                Ok(seen) => {
                    let wrong = complaints(&self.places, &seen);
                    (Some(seen), wrong)
                }
                Err(error) => (None, vec![format!("the daemon does not answer: {error}")]),
            };
            match seen {
                Some(seen) if wrong.is_empty() => {
                    self.count_gone(&seen);
                    narrow(&mut self.places, &seen);
                    self.seen = seen;
                    return wrong;
                }
                _ if Instant::now() >= until => return wrong,
                _ => pause(),
            }
        }
    }

    fn count_gone(&mut self, seen: &Seen) {
        let there = |machine: &&Machine| seen.machines.iter().all(|m| m.id != machine.id);
        self.report.lifecycles += self.seen.machines.iter().filter(there).count();
    }

    /// Deletes all machines, and sees that nothing is left of them and the daemon no larger. Those that
    /// clients have left behind have to go by themselves first.
    fn clear(&mut self) -> Result<(), Vec<String>> {
        self.note("all are deleted".to_owned());
        if self.places.iter().any(|place| place.goes_by_itself) {
            self.abandoned_go()?;
        }
        for machine in self.seen.machines.clone() {
            let ran = self.world.run(["vm", "rm", &machine.id]);
            // An abandoned one may go at this very moment.
            if ran.code != Some(0) && !machine.ephemeral {
                return Err(vec![format!(
                    "{} cannot be deleted: {}",
                    machine.name, ran.stderr
                )]);
            }
        }
        self.only_absent();
        let wrong = self.come_to_rest(REST_LIMIT);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        self.measure()
    }

    fn abandoned_go(&mut self) -> Result<(), Vec<String>> {
        for place in &mut self.places {
            if std::mem::take(&mut place.goes_by_itself) {
                // One that never came up is kept, so that its console can be looked at.
                place.facts = [Fact::Absent, Fact::Stopped].into();
            }
        }
        let wrong = self.come_to_rest(ABANDONED_LIMIT);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn only_absent(&mut self) {
        for place in &mut self.places {
            place.facts = [Fact::Absent].into();
        }
    }

    /// Samples the daemon. Descriptors are counted: the same daemon without machines has as many as
    /// when it was first looked at, as soon as its connections are closed.
    fn measure(&mut self) -> Result<(), Vec<String>> {
        let until = Instant::now() + REST_LIMIT;
        loop {
            let sample = footprint(&self.world).map_err(|error| vec![error.to_string()])?;
            let before = self.report.growth.descriptors_before(sample.pid);
            match before {
                Some(before) if sample.descriptors > before => {
                    if Instant::now() >= until {
                        let now = sample.descriptors;
                        return Err(vec![format!("descriptors grew from {before} to {now}")]);
                    }
                    pause();
                }
                _ => {
                    self.report.growth.sample(sample);
                    return Ok(());
                }
            }
        }
    }

    fn failure(&self, wrong: &[String]) -> String {
        let trace: Vec<&str> = self.trace.iter().map(String::as_str).collect();
        let log = std::fs::read_to_string(self.world.state().join("bangerd.log"));
        let log = log.unwrap_or_default();
        let log: Vec<&str> = log.lines().rev().take(TRACE).collect();
        let log: Vec<&str> = log.into_iter().rev().collect();
        format!(
            "The last of the daemon's log:\n{}\n\nThe last steps:\n{}\n\nWhat does not hold:\n  {}\n\n\
             Repeat it with:\n  {}\n",
            log.join("\n"),
            trace.join("\n"),
            wrong.join("\n  "),
            self.request
        )
    }
}

fn pause() {
    #[expect(
        clippy::disallowed_methods,
        reason = "between two looks at a condition"
    )]
    std::thread::sleep(Duration::from_millis(30));
}
