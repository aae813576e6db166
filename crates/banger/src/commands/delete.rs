//! `banger vm delete`.

use super::App;
use super::options::Targets;
use crate::client::path;
use crate::client::request::Ask;
use crate::exit::{Exit, Failure};
use crate::{operation, several};
use clap::Args;
use hyper::Method;
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  banger vm rm dev
  banger rm dev db 3fa9
  banger rm --filter label=ci --filter 'name=test-*'";

/// Delete machines with their disks, running or not
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Delete {
    #[command(flatten)]
    sandboxes: Targets,
}

impl Delete {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let chosen = several::choose(&client, app.show, &self.sandboxes).await?;
        let count = chosen.count();
        let act = async |reference: String| {
            let ask = Ask::bare(Method::DELETE, path::sandbox(&reference, ""));
            let progress = app.progress_of(count, &reference);
            operation::run::<serde::de::IgnoredAny>(&client, ask, &progress).await?;
            Ok(json!({ "deleted": reference }))
        };
        several::each_chosen(app.show, chosen, act, |good| {
            app.show.lines(good.iter().map(|(label, _)| label))
        })
        .await
    }
}
