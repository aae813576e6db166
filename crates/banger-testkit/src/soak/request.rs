//! What `banger-soak` is asked for.

use super::step::Plan;
use std::fmt;
use std::num::NonZeroUsize;

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After so many steps.
    Steps(usize),
    /// When so many machines have come and gone.
    Lifecycles(usize),
}

/// The arguments, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// What happens.
    pub plan: Plan,
    /// When it ends.
    pub end: End,
    /// Guests are on a bridge that a root helper makes.
    pub bridged: bool,
    /// Guests are real.
    pub real: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            plan: Plan {
                seed: 1,
                machines: 6,
                clients: 8,
                power_cuts: false,
            },
            end: End::Lifecycles(200),
            bridged: false,
            real: false,
        }
    }
}

impl Request {
    /// Reads `[--machines N] [--clients N] [--steps N | --lifecycles N] [--seed S] [--power-cuts]
    /// [--bridged] [--real]`.
    ///
    /// # Errors
    /// What is wrong with them, in one line.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut request = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut number = || -> Result<usize, String> {
                let given = rest.next().map_or("nothing", String::as_str);
                let number = given.parse::<NonZeroUsize>().map(NonZeroUsize::get);
                number.map_err(|_| format!("{argument} takes a number from 1, not {given}"))
            };
            match argument.as_str() {
                "--machines" => request.plan.machines = number()?,
                "--clients" => request.plan.clients = number()?,
                "--steps" => request.end = End::Steps(number()?),
                "--lifecycles" => request.end = End::Lifecycles(number()?),
                "--seed" => request.plan.seed = u64::try_from(number()?).unwrap_or(1),
                "--power-cuts" => request.plan.power_cuts = true,
                "--bridged" => request.bridged = true,
                "--real" => request.real = true,
                other => return Err(format!("unknown argument '{other}'")),
            }
        }
        if request.bridged && request.real {
            return Err("--bridged needs guests that are simulated: leave --real out".into());
        }
        Ok(request)
    }
}

/// The command line that does the same again.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, end, .. } = self;
        write!(f, "cargo xtask soak --seed {}", plan.seed)?;
        write!(
            f,
            " --machines {} --clients {}",
            plan.machines, plan.clients
        )?;
        match end {
            End::Steps(count) => write!(f, " --steps {count}")?,
            End::Lifecycles(count) => write!(f, " --lifecycles {count}")?,
        }
        for (is_set, flag) in [
            (plan.power_cuts, "--power-cuts"),
            (self.bridged, "--bridged"),
            (self.real, "--real"),
        ] {
            if is_set {
                write!(f, " {flag}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Request::parse(&words)
    }

    #[test]
    fn a_request_reads_back_from_the_line_that_repeats_it() {
        for line in [
            "",
            "--steps 9 --seed 77 --bridged",
            "--power-cuts --machines 2",
            "--real",
        ] {
            let request = parse(line).expect("fine");
            let again = request.to_string();
            let words = again
                .strip_prefix("cargo xtask soak ")
                .expect("the command");
            assert_eq!(parse(words), Ok(request), "{again}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "soak",
            "--seed",
            "--seed x",
            "--machines 0",
            "--steps -1",
            "--bridged --real",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
