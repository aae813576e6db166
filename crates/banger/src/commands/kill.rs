//! `banger vm kill`.

use super::App;
use super::options::Targets;
use crate::client::path;
use crate::client::request::Ask;
use crate::exit::{Exit, Failure};
use banger_proto::owner::sandbox::KillRequest;
use clap::Args;
use hyper::Method;

const EXAMPLES: &str = "\
Examples:
  banger vm kill dev
  banger vm kill --signal TERM dev";

/// End machines at once, or send their VMM process a signal
///
/// What the guest has not written to its disks is lost: `banger vm stop` shuts down in order.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Kill {
    #[command(flatten)]
    sandboxes: Targets,
    /// TERM, KILL, INT, HUP, QUIT, USR1, USR2 or ABRT [default: KILL]
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
}

impl Kill {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let request = KillRequest {
            signal: self.signal.clone(),
        };
        app.change(&self.sandboxes, "killed", |reference| {
            Ask::json(Method::POST, path::sandbox(reference, "/kill"), &request)
        })
        .await
    }
}
