//! `banger vm health`.

use super::App;
use super::options::References;
use crate::client::path;
use crate::exit::{Exit, Failure};
use crate::several;
use crate::show::sandbox;
use banger_proto::owner::sandbox::Health as Found;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  banger vm health dev";

/// Show how guests are: init, memory, sessions
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Health {
    #[command(flatten)]
    sandboxes: References,
}

impl Health {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let told = several::each(&client, &self.sandboxes.references, async |reference| {
            client
                .get::<Found>(path::sandbox(&reference, "/health"))
                .await
        })
        .await?;
        several::conclude(app.show, told, |good| {
            if app.show.quiet {
                return app.show.lines(good.iter().map(|(name, _)| name));
            }
            app.show.table(&sandbox::health(
                good.iter().map(|(name, found)| (name.as_str(), found)),
            ))
        })
    }
}
