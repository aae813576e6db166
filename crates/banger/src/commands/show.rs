//! `banger vm show`.

use super::App;
use super::options::References;
use crate::client::path;
use crate::exit::{Exit, Failure};
use crate::several;
use crate::show::{sandbox, words};
use banger_proto::owner::sandbox::Sandbox;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  banger vm show dev
  banger vm show --json dev | jq .state";

/// Show everything about machines
///
/// Behind each value that you did not give stands where it came from: config, host or builtin.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Show {
    #[command(flatten)]
    sandboxes: References,
}

impl Show {
    /// Does it.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let told = several::each(&client, &self.sandboxes.references, async |reference| {
            client.get::<Sandbox>(path::sandbox(&reference, "")).await
        })
        .await?;
        several::conclude(app.show, told, |good| {
            for (at, (_, found)) in good.iter().enumerate() {
                if app.show.quiet {
                    app.show.line(&found.id)?;
                    continue;
                }
                if at > 0 {
                    app.show.line("")?;
                }
                app.show.table(&sandbox::details(found, words::now()))?;
            }
            Ok(())
        })
    }
}
