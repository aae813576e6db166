//! `banger vm prune`.

use super::App;
use crate::client::path;
use crate::client::request::Ask;
use crate::exit::{Exit, Failure};
use crate::show::{sandbox, words};
use crate::{operation, several};
use banger_model::SandboxState;
use banger_proto::owner::sandbox::Sandbox;
use clap::Args;
use hyper::Method;
use serde_json::json;
use std::io::{BufRead, IsTerminal};

const EXAMPLES: &str = "\
Examples:
  banger vm prune
  banger vm prune -f";

/// Delete all machines that do not run
///
/// Lists them and asks. Machines that run, start or stop are never touched.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Prune {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
}

impl Prune {
    /// Does it.
    ///
    /// # Errors
    /// A usage failure when there is nobody to ask, or the daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let mut sandboxes: Vec<Sandbox> = client.get(path::plain("sandboxes")).await?;
        sandboxes.retain(|sandbox| may_prune(sandbox.state));
        if sandboxes.is_empty() {
            if app.show.json {
                app.show.json(&sandboxes)?;
            }
            app.show.note("nothing to delete");
            return Ok(Exit::Success);
        }
        if !self.force && !confirmed(app, &sandboxes)? {
            app.show.note("nothing was deleted");
            return Ok(Exit::Failed);
        }
        let ids: Vec<String> = sandboxes.into_iter().map(|sandbox| sandbox.id).collect();
        let told = several::each(&client, &ids, async |reference| {
            let ask = Ask::bare(Method::DELETE, path::sandbox(&reference, ""));
            let progress = app.progress_of(&ids, &reference);
            operation::run::<serde::de::IgnoredAny>(&client, ask, &progress).await?;
            Ok(json!({ "deleted": reference }))
        })
        .await?;
        several::conclude(app.show, told, |good| {
            app.show.lines(good.iter().map(|(label, _)| label))
        })
    }
}

const fn may_prune(state: SandboxState) -> bool {
    matches!(
        state,
        SandboxState::Created | SandboxState::Stopped | SandboxState::NeedsRepair
    )
}

fn confirmed(app: &App, sandboxes: &[Sandbox]) -> Result<bool, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::usage(
            "there is nobody to ask whether to delete",
            "run it on a terminal, or with -f",
        ));
    }
    app.show.table(&sandbox::table(sandboxes, words::now()))?;
    let number = words::count(sandboxes.len(), "machine", "machines");
    eprint!("delete {number} with all disks? [y/N] ");
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_not_run_is_pruned() {
        let pruned: Vec<_> = SandboxState::ALL
            .into_iter()
            .filter(|s| may_prune(*s))
            .collect();
        assert_eq!(
            pruned,
            [
                SandboxState::Created,
                SandboxState::Stopped,
                SandboxState::NeedsRepair
            ]
        );
    }
}
