//! `banger vm set`.

use super::App;
use super::options::Targets;
use crate::client::path;
use crate::client::request::Ask;
use crate::exit::{Exit, Failure};
use banger_proto::owner::sandbox::SetRequest;
use clap::{ArgGroup, Args};
use hyper::Method;

const EXAMPLES: &str = "\
Examples:
  banger vm set --nat dev          let it reach the outside from now on
  banger vm set --no-nat dev web   and no longer

On the bridge it takes effect at once, connections that are open included; a network in user mode
changes with the next start.";

/// Change what machines are to be
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("change").required(true))]
pub struct Set {
    #[command(flatten)]
    sandboxes: Targets,
    /// Let the guest reach the outside
    #[arg(long, group = "change")]
    nat: bool,
    /// Let it reach the outside no longer
    #[arg(long, group = "change")]
    no_nat: bool,
}

impl Set {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let request = SetRequest {
            nat: Some(self.nat && !self.no_nat),
            ..SetRequest::default()
        };
        app.change(&self.sandboxes, "changed", |reference| {
            Ask::json(Method::POST, path::sandbox(reference, "/set"), &request)
        })
        .await
    }
}
