//! `banger vm publish` and `banger vm unpublish`.

use super::App;
use super::options::Reference;
use crate::client::path;
use crate::complete;
use crate::exit::{Exit, Failure};
use banger_model::publish::{PortSelector, Publication};
use banger_proto::fault::Fault;
use banger_proto::owner::sandbox::{PublishRequest, Published, Sandbox, UnpublishRequest};
use clap::Args;
use clap_complete::ArgValueCandidates;

const PUBLISH_EXAMPLES: &str = "\
Examples:
  banger vm publish dev 8080:80              127.0.0.1:8080 leads to the machine's port 80
  banger vm publish dev 0:80                 any free port; prints which
  banger vm publish dev 0.0.0.0:8080:80      for other hosts, too
  banger vm publish dev '[::1]:8080:80' 5353:53/udp

A port is published while its machine runs, and again after each start, until `banger vm unpublish`.
It needs no network of the machine. Servers that are bound to 127.0.0.1 there are reached as well.";

const UNPUBLISH_EXAMPLES: &str = "\
Examples:
  banger vm unpublish dev 8080
  banger vm unpublish dev 127.0.0.1:8080 5353/udp";

/// Publish ports of a machine on this host
///
/// On a machine that runs it takes effect at once, else with its next start.
#[derive(Debug, Args)]
#[command(after_help = PUBLISH_EXAMPLES)]
pub struct Publish {
    #[command(flatten)]
    sandbox: Reference,
    /// Port of this host (0: any free one) and of the machine [default: 127.0.0.1, the same port, TCP]
    #[arg(required = true, value_name = "[ADDR:]PORT[:GUEST][/PROTOCOL]")]
    publish: Vec<Publication>,
}

/// Publish ports of a machine no longer
///
/// Their connections are reset.
#[derive(Debug, Args)]
#[command(after_help = UNPUBLISH_EXAMPLES)]
pub struct Unpublish {
    #[command(flatten)]
    sandbox: Reference,
    /// Port of this host
    #[arg(required = true, value_name = "[ADDR:]PORT[/PROTOCOL]", add = ArgValueCandidates::new(complete::published))]
    ports: Vec<PortSelector>,
}

impl Publish {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let request = PublishRequest {
            publish: self.publish.clone(),
        };
        let sandbox = ask(app, &self.sandbox, "/publish", &request).await?;
        let asked = |one: &&Published| self.publish.contains(&one.asked);
        tell(app, &sandbox, sandbox.publish.iter().filter(asked))
    }
}

impl Unpublish {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let request = UnpublishRequest { ports: self.ports };
        let sandbox = ask(app, &self.sandbox, "/unpublish", &request).await?;
        tell(app, &sandbox, sandbox.publish.iter())
    }
}

async fn ask<T: serde::Serialize>(
    app: &App,
    sandbox: &Reference,
    verb: &str,
    request: &T,
) -> Result<Sandbox, Fault> {
    let client = app.client().await.map_err(|failure| failure.fault)?;
    let path = path::sandbox(&sandbox.reference, verb);
    client.post(path, request).await
}

/// Prints published ports, or their ends on the host.
fn tell<'a>(
    app: &App,
    sandbox: &Sandbox,
    ports: impl Iterator<Item = &'a Published>,
) -> Result<Exit, Failure> {
    if app.show.json {
        app.show.json(sandbox)?;
    } else if app.show.quiet {
        app.show.lines(ports.map(Published::endpoint))?;
    } else {
        app.show.lines(ports.map(ToString::to_string))?;
    }
    Ok(Exit::Success)
}
