//! `banger vm undo` and `banger vm history`.

use super::App;
use super::options::Reference;
use crate::client::path;
use crate::client::request::Ask;
use crate::exit::{Exit, Failure};
use crate::operation;
use crate::show::history;
use crate::show::words::now;
use banger_proto::owner::sandbox::{History as Shown, Sandbox, UndoRequest};
use clap::Args;
use hyper::Method;

const UNDO_EXAMPLES: &str = "\
Examples:
  banger vm create --name dev --checkpoint
  banger exec dev -- rm -rf /srv
  banger vm undo dev                 /srv is there again
  banger vm undo dev 3               what dev was before its last three commands

Files, memory and running programs of the machine are what they were before the command; what was outside of the \
machine stays as it is. What has happened since is lost. `banger vm history` lists what can be undone.";

/// Take a machine back to what it was before its last commands
#[derive(Debug, Args)]
#[command(after_help = UNDO_EXAMPLES)]
pub struct Undo {
    #[command(flatten)]
    sandbox: Reference,
    /// How many commands are undone
    #[arg(value_name = "COMMANDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    commands: u32,
}

impl Undo {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let request = UndoRequest {
            commands: Some(self.commands),
        };
        let path = path::sandbox(&self.sandbox.reference, "/undo");
        let ask = Ask::json(Method::POST, path, &request);
        let sandbox: Sandbox = operation::run(&client, ask, &app.show.progress()).await?;
        app.created(&sandbox)?;
        Ok(Exit::Success)
    }
}

const HISTORY_EXAMPLES: &str = "\
Examples:
  banger vm history dev
  banger vm history dev --json";

/// List the commands of a machine that can be undone
#[derive(Debug, Args)]
#[command(after_help = HISTORY_EXAMPLES)]
pub struct History {
    #[command(flatten)]
    sandbox: Reference,
}

impl History {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let path = path::sandbox(&self.sandbox.reference, "/checkpoints");
        let shown: Shown = client.get(path).await?;
        if app.show.json {
            app.show.json(&shown)?;
        } else if app.show.quiet {
            let commands = shown.checkpoints.iter().map(|one| &one.command);
            app.show.lines(commands)?;
        } else {
            app.show.table(&history::table(&shown, now()))?;
            app.show.note(&history::words(&shown));
        }
        Ok(Exit::Success)
    }
}
