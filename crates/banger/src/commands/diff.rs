//! `banger vm diff`.

use super::App;
use super::options::Reference;
use crate::client::path;
use crate::client::request::Ask;
use crate::exit::{Exit, Failure};
use crate::show::diff;
use banger_model::snapshot::Tag;
use banger_proto::owner::diff::{Diff as Found, DiffRequest};
use clap::Args;
use hyper::Method;

const EXAMPLES: &str = "\
Examples:
  banger vm diff dev                      since its image
  banger vm diff dev before-upgrade       since a snapshot
  banger vm diff dev --stat               how much, and where
  banger vm diff dev good --exit-code     1 if anything is different

A is added, M changed and in what, D removed. Times alone are no change. Read from its disks, its work disk as \
/root: nothing has to be in the machine, and one that runs stands still for a moment. What cannot be printed in a \
name is shown as \\xNN.";

/// Show which files of a machine are different from its image or a snapshot
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Diff {
    #[command(flatten)]
    sandbox: Reference,
    /// One of its snapshots [default: its image]
    #[arg(value_name = "SNAPSHOT")]
    snapshot: Option<Tag>,
    /// Count instead of listing: by directory, and how many bytes
    #[arg(long)]
    stat: bool,
    /// End with 1 if there are differences, and with 125 if that cannot be told
    #[arg(long)]
    exit_code: bool,
}

impl Diff {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let exit_code = self.exit_code;
        let found = self.ask(app).await;
        match exit_code {
            true => found.map_err(Failure::around),
            false => found,
        }
    }

    async fn ask(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let request = DiffRequest {
            snapshot: self.snapshot,
            ..DiffRequest::default()
        };
        let path = path::sandbox(&self.sandbox.reference, "/diff");
        let progress = app.show.progress();
        if app.show.stderr_terminal {
            progress.stage("comparing its disks");
        }
        let asked = client.json(Ask::json(Method::POST, path, &request)).await;
        drop(progress);
        let found: Found = asked?;
        if app.show.json {
            app.show.json(&found)?;
        } else if self.stat {
            app.show.table(&diff::by_directory(&found))?;
        } else {
            app.show.raw(diff::lines(&found, app.show.quiet))?;
        }
        if found.paused_ms.is_some() && !found.synced {
            app.show.note(
                "the guest has not written back its files: what was written last may be missing",
            );
        }
        let listed = u64::try_from(found.changes.len()).unwrap_or(u64::MAX);
        if listed < found.count() {
            let more = found.count() - listed;
            app.show.note(&format!("{more} more are not listed"));
        }
        Ok(match self.exit_code && found.count() > 0 {
            true => Exit::Failed,
            false => Exit::Success,
        })
    }
}
