//! `banger vm prune`.

use super::App;
use super::options::Filters;
use crate::client::request::Ask;
use crate::client::{Client, path};
use crate::exit::{Exit, Failure};
use crate::operation;
use crate::show::{sandbox, words};
use banger_model::SandboxState;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::Sandbox;
use clap::Args;
use futures_util::future::join_all;
use hyper::Method;
use serde_json::json;
use std::io::{BufRead, IsTerminal};

const EXAMPLES: &str = "\
Examples:
  banger vm prune
  banger vm prune -f
  banger vm prune --filter label=ci --filter 'name=test-*'";

/// Delete all machines that do not run
///
/// Shows them and how much room that gives, and asks. A machine that runs, starts, stops or is being
/// created is never touched; the daemon looks once more at the moment at which it would delete it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Prune {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    filters: Filters,
}

/// What became of one.
enum Pruned {
    Deleted,
    /// It is in use now, or somebody else has deleted it.
    Kept(Fault),
    Failed(Fault),
}

impl Prune {
    /// Does it.
    ///
    /// # Errors
    /// A usage failure when there is nobody to ask, or the daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let mut sandboxes: Vec<Sandbox> = client.get(path::plain("sandboxes")).await?;
        sandboxes.retain(|sandbox| may_prune(sandbox.state) && self.filters.fit(sandbox));
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
        let count = sandboxes.len();
        let tasks = sandboxes.into_iter().map(async |sandbox| {
            let pruned = prune(app, &client, count, &sandbox).await;
            (sandbox, pruned)
        });
        told(app, join_all(tasks).await)
    }
}

async fn prune(app: &App, client: &Client, count: usize, sandbox: &Sandbox) -> Pruned {
    let ask = Ask::bare(Method::POST, path::sandbox(&sandbox.id, "/prune"));
    let progress = app.progress_of(count, &sandbox.name);
    match operation::run::<serde::de::IgnoredAny>(client, ask, &progress).await {
        Ok(_) => Pruned::Deleted,
        Err(fault) if fault.code == FaultCode::Refused => Pruned::Kept(fault),
        Err(fault) => Pruned::Failed(fault),
    }
}

fn told(app: &App, all: Vec<(Sandbox, Pruned)>) -> Result<Exit, Failure> {
    let mut exit = Exit::Success;
    let mut deleted = Vec::new();
    for (sandbox, pruned) in all {
        match pruned {
            Pruned::Deleted => deleted.push(sandbox),
            Pruned::Kept(fault) => app.show.note(&format!("kept: {}", fault.message)),
            Pruned::Failed(fault) => {
                app.show.failure(&fault.into());
                exit = Exit::Failed;
            }
        }
    }
    if app.show.json {
        let entry = |sandbox: &Sandbox| json!({ "deleted": sandbox.id, "name": sandbox.name });
        app.show
            .json(&deleted.iter().map(entry).collect::<Vec<_>>())?;
    } else if app.show.quiet {
        app.show.lines(deleted.iter().map(|sandbox| &sandbox.id))?;
    } else {
        app.show
            .lines(deleted.iter().map(|sandbox| &sandbox.name))?;
    }
    app.show.note(&format!("{} freed", room(&deleted)));
    Ok(exit)
}

/// What disks take on the host.
fn room(sandboxes: &[Sandbox]) -> String {
    let used = sandboxes.iter().map(|sandbox| sandbox.disk_used);
    words::show_bytes(used.fold(0, u64::saturating_add))
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
    eprint!(
        "delete {number} with all disks, {} on this host? [y/N] ",
        room(sandboxes)
    );
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    Ok(read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_model::admission::{Admission, Request, admit};

    #[test]
    fn what_is_shown_before_it_is_deleted_is_what_the_daemon_would_delete() {
        for state in SandboxState::ALL {
            let go = admit(state, Request::Prune) == Admission::Go;
            assert_eq!(may_prune(state), go, "{state}");
        }
    }
}
