//! `banger vm stats`.

use super::App;
use crate::client::path;
use crate::complete;
use crate::exit::{Exit, Failure};
use crate::several;
use crate::show::stats;
use crate::stats::{Measured, measure};
use banger_proto::owner::stats::Stats as Counted;
use clap::Args;
use clap_complete::ArgValueCandidates;

const EXAMPLES: &str = "\
Examples:
  banger vm stats                  all that run
  banger vm stats dev db
  banger vm stats dev --json | jq .vmm.cpu_ms

CPU is the average since the machine was started, in hundredths of one processor; `banger top` shows
what happens now. OWN is memory that no other process has, SHARED what machines
of one template or snapshot have together. READ and WRITTEN are bytes from and to the host's disks. What has a `*`, and the guest's
memory, is the guest's own word.";

/// Show what machines take: processor time, memory, disk, network
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Stats {
    /// Names, ids or unique beginnings of ids [default: all that run]
    #[arg(value_name = "SANDBOX", add = ArgValueCandidates::new(complete::sandboxes))]
    references: Vec<String>,
}

impl Stats {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        if self.references.is_empty() {
            let all: Vec<Counted> = client.get(path::plain("stats")).await?;
            let all: Vec<_> = all.into_iter().map(|one| measure(None, one)).collect();
            match app.show.json {
                true => app.show.json(&all)?,
                false => print(app, &all)?,
            }
            return Ok(Exit::Success);
        }
        let told = several::each(&client, &self.references, async |reference| {
            let one: Counted = client.get(path::sandbox(&reference, "/stats")).await?;
            Ok(measure(None, one))
        })
        .await?;
        several::conclude(app.show, told, |good| {
            let all: Vec<_> = good.iter().map(|(_, one)| one.clone()).collect();
            print(app, &all)
        })
    }
}

fn print(app: &App, all: &[Measured]) -> Result<(), Failure> {
    if app.show.quiet {
        return app.show.lines(all.iter().map(|one| &one.stats.name));
    }
    app.show.table(&stats::totals(all))?;
    if stats::is_said(all) {
        app.show.aside(stats::SAID_NOTE);
    }
    for one in all {
        if let Some(trouble) = &one.stats.guest_trouble {
            app.show.note(&format!("{}: {trouble}", one.stats.name));
        }
    }
    Ok(())
}
