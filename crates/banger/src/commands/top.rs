//! `banger top`.

use super::App;
use crate::exit::{Exit, Failure};
use crate::top::{self, Order, Wish};
use clap::Args;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  banger top                       live, until q or Ctrl-C
  banger top --sort memory
  banger top -n 2                  two tables: since the start of each run, and of the last second
  banger top -n 10 --json          an object for each machine, on a line of its own, ten times

Keys: m sorts by memory, c by processor time, q leaves.

Without a terminal, with -n or with --json plain tables are printed, one if -n does not say more. The first look
is taken over the whole run of a machine, each later one since the look before. What has a `*`, and the guest's
memory and load, is the guest's own word. A daemon that goes away is waited for, never started.";

/// Show live what machines take: processor time, memory, disk, network
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Top {
    /// Print plain tables, so many
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print one plain table: -n 1
    #[arg(long, conflicts_with = "count")]
    once: bool,
    /// Seconds between two looks, 0.1 to 3600
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = pause)]
    delay: Duration,
    /// By what machines are sorted
    #[arg(long, value_enum, default_value_t)]
    sort: Order,
}

fn pause(text: &str) -> Result<Duration, &'static str> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds")?;
    if (0.1..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("give 0.1 to 3600 seconds")
    }
}

impl Top {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let count = if self.once { Some(1) } else { self.count };
        let wish = Wish {
            count,
            delay: self.delay,
            order: self.sort,
        };
        top::run(app, wish).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_tenth_of_a_second_to_an_hour() {
        assert_eq!(pause("0.5"), Ok(Duration::from_millis(500)));
        for text in ["", "0", "-1", "1e9", "NaN", "inf", "1s"] {
            assert!(pause(text).is_err(), "{text}");
        }
    }
}
