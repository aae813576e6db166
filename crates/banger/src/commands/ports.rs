//! `banger vm ports`.

use super::App;
use super::options::References;
use crate::client::path;
use crate::exit::{Exit, Failure};
use crate::several;
use crate::show::sandbox;
use banger_proto::owner::sandbox::Port;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  banger vm ports dev
  banger vm ports --json dev db";

/// List the sockets that listen in machines
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Ports {
    #[command(flatten)]
    sandboxes: References,
}

impl Ports {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let told = several::each(&client, &self.sandboxes.references, async |reference| {
            client
                .get::<Vec<Port>>(path::sandbox(&reference, "/ports"))
                .await
        })
        .await?;
        several::conclude(app.show, told, |good| {
            if app.show.quiet {
                return app.show.lines(good.iter().map(|(name, _)| name));
            }
            app.show.table(&sandbox::ports(
                good.iter()
                    .map(|(name, all)| (name.as_str(), all.as_slice())),
            ))
        })
    }
}
