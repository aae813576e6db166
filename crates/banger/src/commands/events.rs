//! `banger vm events`.

use super::App;
use crate::client::happenings::{Happenings, Wish};
use crate::complete;
use crate::exit::{Exit, Failure};
use crate::show::event;
use crate::show::words::now;
use banger_proto::owner::event::Event;
use banger_proto::owner::time::UtcTime;
use clap::Args;
use clap_complete::ArgValueCandidates;
use std::str::FromStr;

const EXAMPLES: &str = "\
Examples:
  banger vm events                    all that is kept
  banger vm events -f                 from now on, until Ctrl-C
  banger vm events dev --since 1h
  banger vm events -f --since 4711    what came after event 4711, then what comes
  banger vm events --json | jq 'select(.event == \"stopped\")'

Following goes on when the daemon is killed or replaced: no event is lost or told twice.";

/// Show what happened to machines: created, started, stopped and why, deleted, changed
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Events {
    /// Only of these machines, by name or id; those that are deleted, too
    #[arg(value_name = "SANDBOX", add = ArgValueCandidates::new(complete::sandboxes))]
    references: Vec<String>,
    /// Go on as things happen, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Only events after this one: its number, an age as 90s, 10min, 2h or 3d, or a time
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
}

/// Where the events begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    /// Beyond an event's number.
    Number(u64),
    /// So many seconds ago.
    Age(u64),
    /// At a time.
    Time(UtcTime),
}

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "give an event's number, an age as 90s, 10min, 2h or 3d, or a time as 2026-11-24T02:13:00Z";
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        let unit = match text.get(digits..) {
            Some("s") => Some(1),
            Some("min" | "m") => Some(60),
            Some("h") => Some(3600),
            Some("d") => Some(86_400),
            _ => None,
        };
        let count: Option<u64> = text.get(..digits).and_then(|count| count.parse().ok());
        if let (Some(count), Some(unit)) = (count, unit) {
            return count.checked_mul(unit).map(Self::Age).ok_or(WRONG);
        }
        // Milliseconds, and for those who type it the day alone, may be left out.
        let whole = [
            text.to_owned(),
            text.replace('Z', ".000Z"),
            format!("{text}T00:00:00.000Z"),
        ];
        let mut read = whole.iter().filter_map(|text| text.parse().ok());
        read.next().map(Self::Time).ok_or(WRONG)
    }
}

impl Since {
    /// The number to ask for.
    const fn number(self) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Age(_) | Self::Time(_) => 0,
        }
    }

    /// The earliest time, in milliseconds since 1970.
    const fn earliest(self, now: u64) -> u64 {
        match self {
            Self::Number(_) => 0,
            Self::Age(seconds) => now.saturating_sub(seconds).saturating_mul(1000),
            Self::Time(time) => time.ms(),
        }
    }
}

impl Events {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let wish = Wish {
            sandboxes: self.references,
            follow: self.follow,
            since: self.since.map(Since::number),
        };
        let earliest = self.since.map_or(0, |since| since.earliest(now()));
        let mut events = Happenings::of(&client, wish).await?;
        drop(client);
        let lost = || {
            let words = "the daemon is gone: waiting for the next one";
            app.show.verbose_note(words);
        };
        while let Some(event) = events.next(lost).await? {
            if event.time.ms() >= earliest {
                print(app, &event)?;
            }
        }
        Ok(Exit::Success)
    }
}

fn print(app: &App, event: &Event) -> Result<(), Failure> {
    if app.show.json {
        return app.show.json_line(event);
    }
    if app.show.quiet {
        return app.show.line(&event.seq.to_string());
    }
    let color = app.show.stdout_terminal && !app.show.no_color;
    app.show.raw(event::line(event, color))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_a_number_an_age_or_a_time() {
        let time = |text: &str| Since::Time(text.parse().expect("a time"));
        for (text, since) in [
            ("4711", Since::Number(4711)),
            ("90s", Since::Age(90)),
            ("10min", Since::Age(600)),
            ("10m", Since::Age(600)),
            ("2h", Since::Age(7200)),
            ("3d", Since::Age(259_200)),
            ("2026-11-24T02:13:00Z", time("2026-11-24T02:13:00.000Z")),
            ("2026-11-24T02:13:00.123Z", time("2026-11-24T02:13:00.123Z")),
            ("2026-11-24", time("2026-11-24T00:00:00.000Z")),
        ] {
            assert_eq!(text.parse(), Ok(since), "{text}");
        }
        for text in [
            "",
            "s",
            "-1",
            "1w",
            "1.5h",
            "yesterday",
            "99999999999999999999d",
            "é",
        ] {
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_age_is_taken_from_now() {
        assert_eq!(Since::Age(10).earliest(100), 90_000);
        assert_eq!(Since::Age(10).earliest(5), 0);
        assert_eq!(Since::Number(5).earliest(100), 0);
    }
}
