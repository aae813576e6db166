//! `banger daemon` and `banger version`.

use super::App;
use crate::client::{Client, path, version};
use crate::exit::{Exit, Failure};
use crate::show::{daemon, words};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::daemon::{Status, StopRequest, Version};
use clap::{Args, Subcommand};
use serde_json::json;

/// The daemon behind the command line; it is started when it is needed
#[derive(Debug, Subcommand)]
pub enum DaemonCommand {
    /// Show the daemon's process, socket, version and load
    ///
    /// Exit status 1 when none runs; it is not started for this.
    #[command(after_help = "Examples:\n  banger daemon status\n  banger daemon status --json")]
    Status,
    /// Stop the daemon
    ///
    /// Machines go on running; the next command starts a daemon that finds them.
    Stop(Stop),
}

/// `banger daemon stop`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  banger daemon stop\n  banger daemon stop --if-idle")]
pub struct Stop {
    /// Only when no machine runs, no operation goes on and no session is attached
    #[arg(long)]
    if_idle: bool,
}

impl DaemonCommand {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = Client::if_running(app.surroundings.clone()).await?;
        match (self, client) {
            (Self::Status, None) => Err(Fault::new(
                FaultCode::Unavailable,
                format!(
                    "no daemon listens on {}",
                    app.surroundings.place().socket().display()
                ),
            )
            .with_remedy("any command that needs it starts it, as `banger ps`")
            .into()),
            (Self::Status, Some(client)) => {
                let status: Status = client.get(path::plain("daemon")).await?;
                if app.show.json {
                    app.show.json(&status)?;
                } else if app.show.quiet {
                    app.show.line(&status.pid.to_string())?;
                } else {
                    app.show.table(&daemon::status(&status, words::now()))?;
                }
                Ok(Exit::Success)
            }
            (Self::Stop(_), None) => {
                app.show.note("no daemon runs");
                Ok(Exit::Success)
            }
            (Self::Stop(Stop { if_idle }), Some(client)) => {
                let request = StopRequest { if_idle };
                client.stop(&request).await?;
                app.show.note("the daemon has stopped");
                Ok(Exit::Success)
            }
        }
    }
}

/// Show the versions of the command line and of the daemon, if one runs
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  banger version\n  banger version --json")]
pub struct ShowVersion {}

impl ShowVersion {
    /// Does it.
    ///
    /// # Errors
    /// The daemon's fault.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let client = Client::if_running(app.surroundings.clone()).await?;
        let running: Option<Version> = match client {
            Some(client) => Some(client.get(path::plain("version")).await?),
            None => None,
        };
        if app.show.json {
            app.show
                .json(&json!({ "version": version::OWN, "daemon": running }))?;
            return Ok(Exit::Success);
        }
        app.show.line(&format!("banger {}", version::OWN))?;
        app.show.line(&match running {
            Some(daemon) => format!(
                "bangerd {} (build {}, api {})",
                daemon.version, daemon.build, daemon.api
            ),
            None => "bangerd: none runs".into(),
        })?;
        Ok(Exit::Success)
    }
}
