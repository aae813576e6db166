//! `banger vm suspend` and `banger vm resume`.

use super::App;
use super::options::Targets;
use crate::client::path;
use crate::client::request::Ask;
use crate::exit::{Exit, Failure};
use banger_proto::owner::sandbox::StartRequest;
use clap::Args;
use hyper::Method;

const SUSPEND_EXAMPLES: &str = "\
Examples:
  banger vm suspend dev
  banger vm suspend --filter label=role=web

Its memory is saved on the host's disk and given back to the host. It goes on where it was with `banger vm
resume`, or as soon as somebody uses it: exec, shell, cp.";

/// Save the memory of machines and let the host have it back
#[derive(Debug, Args)]
#[command(after_help = SUSPEND_EXAMPLES)]
pub struct Suspend {
    #[command(flatten)]
    sandboxes: Targets,
}

impl Suspend {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let request = serde_json::json!({});
        app.change(&self.sandboxes, "suspended", |reference| {
            Ask::json(Method::POST, path::sandbox(reference, "/suspend"), &request)
        })
        .await
    }
}

const RESUME_EXAMPLES: &str = "\
Examples:
  banger vm resume dev
  banger vm resume --filter state=suspended";

/// Let suspended machines go on; others are started
#[derive(Debug, Args)]
#[command(after_help = RESUME_EXAMPLES)]
pub struct Resume {
    #[command(flatten)]
    sandboxes: Targets,
}

impl Resume {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let request = StartRequest::default();
        app.change(&self.sandboxes, "resumed", |reference| {
            Ask::json(Method::POST, path::sandbox(reference, "/start"), &request)
        })
        .await
    }
}
