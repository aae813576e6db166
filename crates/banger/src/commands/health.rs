//! `banger vm health` and `banger vm ping`.

use super::App;
use crate::client::path;
use crate::exit::{Exit, Failure};
use crate::health::{Judged, Verdict, judge};
use crate::show::health;
use crate::{complete, several};
use banger_proto::owner::sandbox::Sandbox;
use clap::Args;
use clap_complete::ArgValueCandidates;
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  banger vm health                    all that run
  banger vm health dev db
  banger vm health dev --json | jq -r .verdict
  until banger vm health -q dev; do sleep 1; done

A machine is healthy when its agent answers and its init is up, starting while its init starts units, and unhealthy
when it does not run, is paused, or does not answer within seconds. The exit status is 1 if one is unhealthy.";

const PING_EXAMPLES: &str = "\
Examples:
  banger vm ping dev
  banger vm ping dev && banger vm exec dev -- make

The time is that of a question to the machine's agent and its answer, the way over the daemon included. The exit
status is 1 if one does not answer.";

/// Say whether guests are well: a verdict of each, init, memory, sessions
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Health {
    /// Names, ids or unique beginnings of ids [default: all that run]
    #[arg(value_name = "SANDBOX", add = ArgValueCandidates::new(complete::sandboxes))]
    references: Vec<String>,
}

/// Ask whether guests answer, and how fast
#[derive(Debug, Args)]
#[command(after_help = PING_EXAMPLES)]
pub struct Ping {
    #[command(flatten)]
    sandboxes: super::options::References,
}

impl Health {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        tell(app, self.references, |judged| {
            app.show.table(&health::table(judged))
        })
        .await
    }
}

impl Ping {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let print = |judged: &[Judged]| app.show.lines(judged.iter().filter_map(health::answer));
        tell(app, self.sandboxes.references, print).await
    }
}

async fn tell(
    app: &App,
    mut references: Vec<String>,
    print: impl FnOnce(&[Judged]) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let client = app.client().await?;
    let all = references.is_empty();
    if all {
        let running: Vec<Sandbox> = client.get(path::plain("sandboxes")).await?;
        let running = running.into_iter().filter(|one| one.state.may_have_vmm());
        references = running.map(|one| one.name).collect();
    }
    if references.is_empty() {
        let nobody = if app.show.json {
            app.show.json(&references)
        } else {
            print(&[])
        };
        return nobody.map(|()| Exit::Success);
    }
    let told = several::each(&client, &references, async |reference| {
        let begun = Instant::now();
        let answer = client.get(path::sandbox(&reference, "/health")).await;
        judge(&reference, answer, begun.elapsed())
    })
    .await?;
    let told = told.into_iter().map(|(label, judged)| {
        // By id where several were looked up.
        let named = judged.map(|judged| Judged {
            name: label.clone(),
            ..judged
        });
        (label, named)
    });
    let mut unhealthy = Vec::new();
    let told: Vec<_> = told
        .inspect(|(_, judged)| {
            let fault = judged.as_ref().ok().and_then(|judged| judged.fault.clone());
            unhealthy.extend(fault);
        })
        .collect();
    let exit = several::conclude(app.show, told, |good| {
        let judged: Vec<_> = good.iter().map(|(_, judged)| judged.clone()).collect();
        if app.show.quiet {
            let well = judged
                .iter()
                .filter(|one| one.verdict != Verdict::Unhealthy);
            return app.show.lines(well.map(|one| &one.name));
        }
        print(&judged)
    })?;
    for fault in &unhealthy {
        if !app.show.json {
            app.show.failure(&fault.clone().into());
        }
    }
    Ok(if unhealthy.is_empty() {
        exit
    } else {
        Exit::Failed
    })
}
