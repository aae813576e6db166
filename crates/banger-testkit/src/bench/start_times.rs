//! The line by which `banger vm run --timings` tells how long the start took: a pure function.

use std::time::Duration;

/// What is taken from the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartTimes {
    /// Since the start was asked for: the VMM's process is there.
    pub up: Option<Duration>,
    /// The same: the guest runs.
    pub running: Option<Duration>,
    /// The same: the agent has answered and the guest is configured.
    pub agent_answered: Duration,
    /// The same and what the command took, by the command line's clock from when it was told so until
    /// it had the exit status.
    pub first_command: Duration,
}

impl StartTimes {
    /// Reads the line; `None` when it is another one.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let parts = line.strip_prefix("started in: ")?;
        let time = |name: &str| {
            let mut found = parts
                .split(" · ")
                .filter_map(|part| part.strip_prefix(name));
            let seconds: f64 = found.next()?.trim().strip_suffix('s')?.parse().ok()?;
            Duration::try_from_secs_f64(seconds).ok()
        };
        Some(Self {
            up: time("VMM up "),
            running: time("guest running "),
            agent_answered: time("agent answered ")?,
            first_command: time("first command done ")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_times_are_read_wherever_they_stand() {
        let line = "started in: VMM up 0.121s · guest running 0.130s · agent answered 1.520s · \
                    init settled 9.000s · first command done 1.561s";
        let expected = StartTimes {
            up: Some(Duration::from_millis(121)),
            running: Some(Duration::from_millis(130)),
            agent_answered: Duration::from_millis(1520),
            first_command: Duration::from_millis(1561),
        };
        assert_eq!(StartTimes::read(line), Some(expected));
    }

    #[test]
    fn another_line_has_no_times() {
        for line in [
            "",
            "creating a sandbox",
            "started in: VMM up 0.12s · agent answered 1.52s",
            "started in: agent answered -1s · first command done 1s",
            "started in: agent answered soon · first command done 1s",
        ] {
            assert_eq!(StartTimes::read(line), None, "{line}");
        }
    }
}
