//! `banger vm cp`.

use super::App;
use crate::client::request::Ask;
use crate::client::{Client, path};
use crate::copy::endpoint::Direction;
use crate::copy::{copy, endpoint};
use crate::exit::{Exit, Failure};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::CheckpointRequest;
use clap::Args;
use hyper::Method;
use serde::de::IgnoredAny;
use std::ffi::OsString;

const EXAMPLES: &str = "\
Examples:
  banger vm cp ./site dev:/srv                 a directory, to /srv/site
  banger vm cp ./site/. dev:/srv               what is in it
  banger vm cp dev:/var/log/syslog .           out of the machine
  banger vm cp a.txt b.txt dev:                several, into /root
  banger vm cp - dev:notes < notes             standard input into a file
  banger vm cp dev:/etc/os-release - | grep ID

It works like `cp -r`: a target that is a directory takes the sources in, any other is taken as the
new name. Modes, times and symbolic links are kept; owners are not, nor set-user-id bits of what
comes out of a machine. Paths in the machine are absolute or begin at /root. A file here with a
colon in its name is written ./a:b.";

/// Copy files into or out of a running machine
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Copy {
    /// What to copy: paths here or SANDBOX:PATH, '-' for standard input
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<OsString>,
    /// Where to: SANDBOX:PATH or a path here, '-' for standard output
    target: OsString,
    /// Copy without a checkpoint before, though the machine keeps them
    #[arg(long)]
    no_checkpoint: bool,
}

impl Copy {
    /// One for all that is copied; a machine that keeps none does nothing.
    async fn checkpoint(&self, client: &Client, reference: &str) -> Result<(), Failure> {
        let words = self.sources.iter().chain([&self.target]);
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        let request = CheckpointRequest {
            command: format!("cp {}", words.join(" ")),
        };
        let path = path::sandbox(reference, "/checkpoints");
        let ask = Ask::json(Method::POST, path, &request);
        let _made: IgnoredAny = client.json(ask).await?;
        Ok(())
    }

    /// Does it.
    ///
    /// # Errors
    /// The first fault; what was copied before stays.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let direction = endpoint::direction(&self.sources, &self.target)?;
        let client = app.client().await?;
        let copying = async {
            if let Direction::Into { reference, .. } = &direction
                && !self.no_checkpoint
            {
                self.checkpoint(&client, reference).await?;
            }
            copy(&client, app.show, direction).await
        };
        let mut signals = app.signals()?;
        tokio::select! {
            copied = copying => copied.map(|()| Exit::Success),
            number = signals.stop() => {
                let fault = Fault::new(FaultCode::Cancelled, "interrupted; each file is whole or absent");
                Err(Failure { fault, exit: Exit::Signal(number) })
            }
        }
    }
}
