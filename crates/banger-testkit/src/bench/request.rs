//! What `banger-bench` is asked for.

/// Samples of each figure unless another number is asked for.
const COUNT: usize = 20;
/// The most that can be asked for.
const MOST: usize = 10_000;

/// A part of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Cold starts.
    Start,
    /// Commands in a running guest.
    Exec,
    /// The list of recorded machines.
    Ps,
    /// The daemon's memory.
    Daemon,
    /// The host's network.
    Network,
    /// What is remembered of many machines.
    State,
    /// Guests that go on from saved memory.
    Fork,
    /// Of the network, places on the bridge.
    Places,
    /// Of the network, TCP.
    Tcp,
    /// Of the forks, runs from a template and from the pool.
    Runs,
    /// Of the forks, checkpoints and undoing.
    Undo,
    /// Of the forks, suspended machines that are woken.
    Wake,
    /// Of the forks, what a hundred guests take.
    Memory,
}

impl Part {
    /// Everything, in the order in which it runs.
    pub const ALL: [Self; 7] = [
        Self::Start,
        Self::Exec,
        Self::Ps,
        Self::Daemon,
        Self::Network,
        Self::State,
        Self::Fork,
    ];

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "start" => Self::Start,
            "exec" => Self::Exec,
            "ps" => Self::Ps,
            "daemon" => Self::Daemon,
            "network" => Self::Network,
            "state" => Self::State,
            "fork" => Self::Fork,
            "places" => Self::Places,
            "tcp" => Self::Tcp,
            "runs" => Self::Runs,
            "undo" => Self::Undo,
            "wake" => Self::Wake,
            "memory" => Self::Memory,
            _ => return None,
        })
    }
}

/// The arguments, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// In order, each once.
    pub parts: Vec<Part>,
    /// Print a list instead of a table.
    pub json: bool,
    /// Samples of each figure.
    pub count: usize,
}

impl Request {
    /// Reads `[NAME…] [--json] [-n COUNT]`; no name means all.
    ///
    /// # Errors
    /// What is wrong with them, in one line.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let (mut parts, mut json, mut count) = (Vec::new(), false, COUNT);
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--json" => json = true,
                "-n" => count = number(rest.next())?,
                name => match Part::named(name) {
                    Some(part) => parts.push(part),
                    None => return Err(format!("unknown argument '{name}'")),
                },
            }
        }
        parts.sort_unstable();
        parts.dedup();
        if parts.is_empty() {
            parts = Part::ALL.to_vec();
        }
        Ok(Self { parts, json, count })
    }
}

fn number(text: Option<&String>) -> Result<usize, String> {
    let given = text.map_or("nothing", String::as_str);
    let number = given
        .parse()
        .ok()
        .filter(|count| (1..=MOST).contains(count));
    number.ok_or_else(|| format!("-n takes a number from 1 to {MOST}, not {given}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Request::parse(&words)
    }

    #[test]
    fn without_a_name_everything_is_measured_twenty_times() {
        let request = parse("").expect("fine");
        assert_eq!(request.parts, Part::ALL);
        assert_eq!((request.json, request.count), (false, 20));
    }

    #[test]
    fn named_parts_run_once_in_their_order() {
        let request = parse("exec --json start exec -n 5").expect("fine");
        assert_eq!(request.parts, [Part::Start, Part::Exec]);
        assert_eq!((request.json, request.count), (true, 5));
        for (name, part) in ["start", "exec", "ps", "daemon", "network", "state", "fork"]
            .iter()
            .zip(Part::ALL)
        {
            assert_eq!(parse(name).expect("fine").parts, [part]);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "boot", "--yaml", "-n", "-n 0", "-n -3", "-n 10001", "-n many",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
