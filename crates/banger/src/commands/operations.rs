//! `banger operations`.

use super::App;
use crate::client::path;
use crate::client::request::Ask;
use crate::complete;
use crate::exit::{Exit, Failure};
use crate::operation;
use crate::show::{operation as table, words};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::operation::Operation;
use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;
use hyper::Method;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  banger operations                     what goes on
  banger operations --all               and what has ended
  banger operations follow op-7kq2xw    how far one is, until its end
  banger operations cancel op-7kq2xw";

/// Long operations: list what goes on, follow one, cancel one
///
/// An operation goes on when its command is gone and when the daemon is replaced. Only a machine that is
/// being created is undone when nobody waits for it any more.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Operations {
    /// Also those that have ended: the newest few hundred
    #[arg(short, long)]
    all: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What to do with one.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Show how far an operation is, from its beginning to its end
    ///
    /// The exit status is 0 when it succeeds, 1 when it fails or is cancelled.
    #[command(after_help = "Examples:\n  banger operations follow op-7kq2xw")]
    Follow(One),
    /// Cancel an operation, and wait until what it had begun is undone
    ///
    /// One that waits gives up its place. Of a creation nothing is left; a start is undone, and the machine
    /// is stopped; an image or a kernel is not made, unless others wait for it. What shuts down, deletes,
    /// repairs or changes a machine cannot be cancelled once it has begun.
    #[command(after_help = "Examples:\n  banger operations cancel op-7kq2xw")]
    Cancel(One),
}

/// An operation.
#[derive(Debug, Args)]
struct One {
    /// Its id, as op-7kq2xw
    #[arg(value_name = "OPERATION", add = ArgValueCandidates::new(complete::operations))]
    op: String,
}

impl Operations {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault, or the operation's.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        match self.verb {
            None => list(app, self.all).await,
            Some(Verb::Follow(One { op })) => follow(app, &op).await,
            Some(Verb::Cancel(One { op })) => cancel(app, &op).await,
        }
    }
}

async fn list(app: &App, all: bool) -> Result<Exit, Failure> {
    let client = app.client().await?;
    let path = path::plain(&format!("operations?all={all}"));
    let operations: Vec<Operation> = client.get(path).await?;
    let show = app.show;
    if show.json {
        show.json(&operations)?;
    } else if show.quiet {
        show.lines(operations.iter().map(|operation| &operation.id))?;
    } else {
        show.table(&table::table(&operations, words::now()))?;
    }
    Ok(Exit::Success)
}

async fn follow(app: &App, op: &str) -> Result<Exit, Failure> {
    let client = app.client().await?;
    let mut events = client.follow(op).await?;
    let progress = app.show.progress();
    let result = operation::follow(&mut events, &progress).await?;
    drop(progress);
    if app.show.json {
        app.show.json(&result)?;
    } else if !app.show.quiet {
        app.show.line(&format!("{op} done"))?;
    }
    Ok(Exit::Success)
}

async fn cancel(app: &App, op: &str) -> Result<Exit, Failure> {
    let client = app.client().await?;
    let ask = Ask::bare(Method::POST, path::of("operations", op, "/cancel"));
    let _asked: Operation = client.json(ask).await?;
    let mut events = client.follow(op).await?;
    let progress = app.show.progress();
    let ended = operation::follow(&mut events, &progress).await;
    drop(progress);
    match ended {
        Err(fault) if fault.code == FaultCode::Cancelled => {
            if app.show.json {
                app.show.json(&json!({ "cancelled": op }))?;
            } else {
                app.show.line(&format!("{op} cancelled"))?;
            }
            Ok(Exit::Success)
        }
        Err(fault) => Err(fault.into()),
        Ok(_) => {
            let message = format!("{op} was done before it could be cancelled");
            Err(Fault::new(FaultCode::Conflict, message).into())
        }
    }
}
