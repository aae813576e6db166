//! `banger vm restart`.

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
  banger vm restart dev";

/// Stop machines, then start them
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Restart {
    #[command(flatten)]
    sandboxes: Targets,
    /// What to wait for: agent, or init (all of the image's services)
    #[arg(long, value_name = "WHAT", default_value = "agent")]
    wait: Wait,
}

impl Restart {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let request = StartRequest { wait: self.wait };
        app.change(&self.sandboxes, "restarted", |reference| {
            Ask::json(Method::POST, path::sandbox(reference, "/restart"), &request)
        })
        .await
    }
}
