//! `banger template`, and `banger image prepare`.

use super::App;
use super::options::Machine;
use crate::client::path;
use crate::client::request::Ask;
use crate::exit::{Exit, Failure};
use crate::operation;
use crate::show::{snapshot, words};
use banger_proto::owner::sandbox::Snapshot;
use clap::{Args, Subcommand};
use hyper::Method;

/// Templates: images that were booted once, for machines to go on from
#[derive(Debug, Subcommand)]
pub enum TemplateCommand {
    /// List templates
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  banger template list\n  banger template ls --json"
    )]
    List,
    /// Remove templates; machines that went on from them are not touched
    #[command(
        visible_alias = "remove",
        after_help = "Examples:\n  banger template rm 3fa90c1b22d4e5f6"
    )]
    Rm(Keys),
}

/// Which templates.
#[derive(Debug, Args)]
pub struct Keys {
    /// Their keys, as `banger template list` shows them
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
}

impl TemplateCommand {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        match self {
            Self::List => {
                let all: Vec<Snapshot> = client.get(path::plain("templates")).await?;
                if app.show.json {
                    app.show.json(&all)?;
                } else if app.show.quiet {
                    app.show.lines(all.iter().map(|one| &one.tag))?;
                } else {
                    app.show.table(&snapshot::templates(&all, words::now()))?;
                }
            }
            Self::Rm(Keys { keys }) => {
                for key in keys {
                    let ask = Ask::bare(Method::DELETE, path::of("templates", &key, ""));
                    let _removed: serde::de::IgnoredAny = client.json(ask).await?;
                    app.deleted(&key)?;
                }
            }
        }
        Ok(Exit::Success)
    }
}

/// `banger image prepare`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  banger image prepare
  banger image prepare --image debian --memory 4GiB --vcpu 2

Machines with the same image, kernel, sizes, network and init go on from it instead of booting.")]
pub struct Prepare {
    #[command(flatten)]
    machine: Machine,
}

impl Prepare {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let ask = Ask::json(
            Method::POST,
            path::plain("templates"),
            &self.machine.request(),
        );
        let progress = app.show.progress();
        let _made: serde::de::IgnoredAny = operation::run(&client, ask, &progress).await?;
        drop(progress);
        app.show.note("prepared: see `banger template list`");
        Ok(Exit::Success)
    }
}
