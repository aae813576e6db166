//! `banger repair`.

use super::App;
use crate::client::request::Ask;
use crate::client::{Client, path};
use crate::complete;
use crate::exit::{Exit, Failure};
use crate::several::Told;
use crate::{operation, several};
use banger_model::SandboxState;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::repair::Strays;
use banger_proto::owner::sandbox::{Repaired, Sandbox};
use clap::Args;
use clap_complete::ArgValueCandidates;
use hyper::Method;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  banger repair          all machines that need it, and what belongs to no machine
  banger repair dev
  banger repair --json";

/// Bring what is recorded and what is there together again
///
/// A machine that lives goes on, a deletion that was begun is finished, what should be gone is removed.
/// No machine is started and no disk is made. Without names all machines that need it are repaired, and
/// directories that no machine knows are removed, unless they have a work disk; other things are named.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Repair {
    /// Name, id or unique beginning of an id; several at once are fine [default: all that need it]
    #[arg(value_name = "SANDBOX", add = ArgValueCandidates::new(complete::sandboxes))]
    sandboxes: Vec<String>,
}

impl Repair {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        if self.sandboxes.is_empty() {
            return everything(app, &client).await;
        }
        let told = each(app, &client, &self.sandboxes).await?;
        several::conclude(app.show, told, |good| {
            app.show.lines(good.iter().map(|(_, one)| line(app, one)))
        })
    }
}

async fn each(
    app: &App,
    client: &Client,
    references: &[String],
) -> Result<Vec<Told<Repaired>>, Fault> {
    several::each(client, references, async |reference| {
        let ask = Ask::bare(Method::POST, path::sandbox(&reference, "/repair"));
        let progress = app.progress_of(references.len(), &reference);
        operation::run(client, ask, &progress).await
    })
    .await
}

/// Whether a repair may have something to do, by the state alone: what is under way is waited for.
const fn needs_repair(state: SandboxState) -> bool {
    matches!(
        state,
        SandboxState::NeedsRepair | SandboxState::Deleting | SandboxState::Unreadable
    )
}

async fn everything(app: &App, client: &Client) -> Result<Exit, Failure> {
    let mut sandboxes: Vec<Sandbox> = client.get(path::plain("sandboxes")).await?;
    sandboxes.retain(|sandbox| needs_repair(sandbox.state));
    let ids: Vec<String> = sandboxes.into_iter().map(|sandbox| sandbox.id).collect();
    let told = if ids.is_empty() {
        vec![]
    } else {
        each(app, client, &ids).await?
    };
    let strays: Strays = client.post(path::plain("repair"), &json!({})).await?;
    let (good, bad) = good_and_bad(told);
    if app.show.json {
        app.show.json(&json!({
            "sandboxes": good, "removed": strays.removed, "left": strays.left,
        }))?;
    } else {
        let removed = strays.removed.iter().map(|stray| match app.show.quiet {
            true => stray.path.clone(),
            false => format!("{} removed: {}", stray.path, stray.what),
        });
        app.show
            .lines(good.iter().map(|one| line(app, one)).chain(removed))?;
        for stray in &strays.left {
            app.show.note(&format!("{}: {}", stray.path, stray.what));
        }
        if good.is_empty() && bad.is_empty() && strays == Strays::default() {
            app.show.note("nothing to repair");
        }
    }
    let exit = match bad.is_empty() {
        true => Exit::Success,
        false => Exit::Failed,
    };
    for fault in bad {
        app.show.failure(&fault.into());
    }
    Ok(exit)
}

/// Those that are repaired, and the faults of the others. One that was deleted since the list was made
/// needs no repair any more.
fn good_and_bad<T>(told: Vec<Told<T>>) -> (Vec<T>, Vec<Fault>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (_, result) in told {
        match result {
            Ok(repaired) => good.push(repaired),
            Err(fault) if fault.code == FaultCode::NotFound => {}
            Err(fault) => bad.push(fault),
        }
    }
    (good, bad)
}

/// What became of one.
fn line(app: &App, repaired: &Repaired) -> String {
    let sandbox = &repaired.sandbox;
    if app.show.quiet {
        return sandbox.id.clone();
    }
    let what = match (repaired.deleted, repaired.report.is_empty()) {
        (true, _) => "deleted".to_owned(),
        (false, true) => format!("is {}: nothing to repair", sandbox.state),
        (false, false) => format!("repaired: it is {}", sandbox.state),
    };
    format!("{} {what}", sandbox.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_was_deleted_meanwhile_is_no_failure_of_repairing_all() {
        let fault = |code| Err(Fault::new(code, "the sandbox s3 was deleted"));
        let told = [Ok(1), fault(FaultCode::NotFound), fault(FaultCode::Failed)];
        let told = told.map(|result| ("s3".to_owned(), result));
        let (good, bad) = good_and_bad(told.into());
        assert_eq!(good, [1]);
        let bad: Vec<_> = bad.iter().map(|fault| fault.code).collect();
        assert_eq!(bad, [FaultCode::Failed]);
    }

    #[test]
    fn what_is_as_it_should_be_is_not_repaired_unasked() {
        let repaired: Vec<_> = SandboxState::ALL
            .into_iter()
            .filter(|state| needs_repair(*state))
            .collect();
        assert_eq!(
            repaired,
            [
                SandboxState::Deleting,
                SandboxState::NeedsRepair,
                SandboxState::Unreadable
            ]
        );
    }
}
