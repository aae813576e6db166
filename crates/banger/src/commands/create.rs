//! `banger vm create`.

use super::App;
use super::options::Machine;
use crate::creation;
use crate::exit::{Exit, Failure};
use banger_model::Wait;
use banger_proto::owner::sandbox::CreateRequest;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  banger vm create --name dev --vcpu 2 --memory 4GiB
  banger vm create --no-start --image debian
  id=$(banger vm create -q)";

/// Create a machine and start it
///
/// Prints its name; with -q its id, with --json all about it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Create {
    /// Only create it
    #[arg(long, conflicts_with = "wait")]
    no_start: bool,
    /// What to wait for: agent, or init (all of the image's services)
    #[arg(long, value_name = "WHAT")]
    wait: Option<Wait>,
    #[command(flatten)]
    machine: Machine,
}

impl Create {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let mut signals = app.signals()?;
        let request = CreateRequest {
            start: (!self.no_start).then(|| self.wait.unwrap_or_default()),
            ..self.machine.request()
        };
        let sandbox = creation::create(&client, app.show, &request, &mut signals).await?;
        app.tell_chosen_ports(&sandbox);
        app.created(&sandbox)?;
        Ok(Exit::Success)
    }
}
