//! `banger vm rename`.

use super::App;
use super::options::Reference;
use crate::client::path;
use crate::client::request::Ask;
use crate::exit::{Exit, Failure};
use crate::operation;
use banger_model::SandboxName;
use banger_proto::owner::sandbox::{RenameRequest, Sandbox};
use clap::Args;
use hyper::Method;

const EXAMPLES: &str = "\
Examples:
  banger vm rename dev old-dev
  banger vm rename 3fa9 web

Commands that run in it, published ports and links to others go on. On the bridge it has its new name
for the others at once; what the guest calls itself follows at once or, where its agent does not
answer, with the next start.";

/// Give a machine another name
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Rename {
    #[command(flatten)]
    sandbox: Reference,
    /// The new name: lower-case letters, digits and '-'
    #[arg(value_name = "NAME")]
    name: SandboxName,
}

impl Rename {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = app.client().await?;
        let request = RenameRequest {
            name: Some(self.name),
        };
        let path = path::sandbox(&self.sandbox.reference, "/rename");
        let ask = Ask::json(Method::POST, path, &request);
        let sandbox: Sandbox = operation::run(&client, ask, &app.show.progress()).await?;
        app.created(&sandbox)?;
        Ok(Exit::Success)
    }
}
