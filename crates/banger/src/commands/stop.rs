//! `banger vm stop`.

use super::App;
use super::options::Targets;
use crate::client::path;
use crate::client::request::Ask;
use crate::exit::{Exit, Failure};
use clap::Args;
use hyper::Method;

const EXAMPLES: &str = "\
Examples:
  banger vm stop dev
  banger vm stop dev db
  banger vm stop --filter label=role=web --filter state=running";

/// Shut machines down in order; their disks are kept
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Stop {
    #[command(flatten)]
    sandboxes: Targets,
}

impl Stop {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let request = serde_json::json!({});
        app.change(&self.sandboxes, "stopped", |reference| {
            Ask::json(Method::POST, path::sandbox(reference, "/stop"), &request)
        })
        .await
    }
}
