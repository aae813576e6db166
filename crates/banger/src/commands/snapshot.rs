//! `banger vm snapshot`, `snapshots` and `restore`.

use super::App;
use super::options::Reference;
use crate::client::path;
use crate::client::request::Ask;
use crate::exit::{Exit, Failure};
use crate::operation;
use crate::show::snapshot;
use crate::show::words::now;
use banger_model::snapshot::Tag;
use banger_proto::owner::sandbox::{RestoreRequest, Sandbox, Snapshot, SnapshotRequest};
use banger_proto::owner::time::UtcTime;
use clap::Args;
use hyper::Method;

const TAKE_EXAMPLES: &str = "\
Examples:
  banger vm snapshot dev
  banger vm snapshot dev before-upgrade
  banger vm restore dev before-upgrade

A machine that runs goes on after a short halt; its memory is kept with its disks.";

/// Keep this moment of a machine
#[derive(Debug, Args)]
#[command(after_help = TAKE_EXAMPLES)]
pub struct Take {
    #[command(flatten)]
    sandbox: Reference,
    /// Its name: a-z, 0-9, '.', '_' and '-' [default: the time]
    #[arg(value_name = "TAG")]
    tag: Option<Tag>,
}

impl Take {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let tag = match self.tag {
            Some(tag) => tag,
            None => of_now()?,
        };
        let request = SnapshotRequest {
            tag: Some(tag.clone()),
        };
        let path = path::sandbox(&self.sandbox.reference, "/snapshots");
        let ask = Ask::json(Method::POST, path, &request);
        let sandbox: Sandbox = operation::run(&client, ask, &app.show.progress()).await?;
        if app.show.json {
            app.show
                .json(&serde_json::json!({ "sandbox": sandbox.id, "tag": tag }))?;
        } else if app.show.quiet {
            app.show.line(tag.as_str())?;
        } else {
            app.show.line(&format!("{} snapshot {tag}", sandbox.name))?;
        }
        Ok(Exit::Success)
    }
}

/// The tag of a snapshot that was given none.
fn of_now() -> Result<Tag, Failure> {
    let tag = UtcTime::from_ms(now().saturating_mul(1000)).tag();
    tag.ok_or_else(|| Failure::usage("this host's clock says no date", "give a tag"))
}

const LIST_EXAMPLES: &str = "\
Examples:
  banger vm snapshots dev
  banger vm snapshots dev --rm before-upgrade";

/// List the snapshots of a machine, or remove some
#[derive(Debug, Args)]
#[command(after_help = LIST_EXAMPLES)]
pub struct Snapshots {
    #[command(flatten)]
    sandbox: Reference,
    /// Remove this one (repeatable)
    #[arg(long, value_name = "TAG")]
    rm: Vec<Tag>,
}

impl Snapshots {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let reference = &self.sandbox.reference;
        for tag in &self.rm {
            let path = path::sandbox(reference, &format!("/snapshots/{tag}"));
            let _removed: serde::de::IgnoredAny =
                client.json(Ask::bare(Method::DELETE, path)).await?;
            app.deleted(tag.as_str())?;
        }
        if !self.rm.is_empty() {
            return Ok(Exit::Success);
        }
        let all: Vec<Snapshot> = client.get(path::sandbox(reference, "/snapshots")).await?;
        if app.show.json {
            app.show.json(&all)?;
        } else if app.show.quiet {
            app.show.lines(all.iter().map(|one| &one.tag))?;
        } else {
            app.show.table(&snapshot::table(&all, now()))?;
        }
        Ok(Exit::Success)
    }
}

const RESTORE_EXAMPLES: &str = "\
Examples:
  banger vm restore dev before-upgrade

What the machine was until then is lost; take a snapshot of it first if it may be wanted.";

/// Take a machine back to one of its snapshots
#[derive(Debug, Args)]
#[command(after_help = RESTORE_EXAMPLES)]
pub struct Restore {
    #[command(flatten)]
    sandbox: Reference,
    /// Which snapshot
    #[arg(value_name = "TAG")]
    tag: Tag,
}

impl Restore {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let request = RestoreRequest {
            tag: Some(self.tag),
        };
        let path = path::sandbox(&self.sandbox.reference, "/restore");
        let ask = Ask::json(Method::POST, path, &request);
        let sandbox: Sandbox = operation::run(&client, ask, &app.show.progress()).await?;
        app.created(&sandbox)?;
        Ok(Exit::Success)
    }
}
