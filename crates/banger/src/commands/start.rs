//! `banger vm start`.

use super::App;
use super::options::Targets;
use crate::client::path;
use crate::client::request::Ask;
use crate::exit::{Exit, Failure};
use banger_model::Wait;
use banger_proto::owner::sandbox::StartRequest;
use clap::Args;
use hyper::Method;

const EXAMPLES: &str = "\
Examples:
  banger vm start dev
  banger vm start --wait init dev db
  banger vm start --filter state=stopped";

/// Start machines
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Start {
    #[command(flatten)]
    sandboxes: Targets,
    /// What to wait for: agent, or init (all of the image's services)
    #[arg(long, value_name = "WHAT", default_value = "agent")]
    wait: Wait,
}

impl Start {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let request = StartRequest { wait: self.wait };
        app.change(&self.sandboxes, "started", |reference| {
            Ask::json(Method::POST, path::sandbox(reference, "/start"), &request)
        })
        .await
    }
}
