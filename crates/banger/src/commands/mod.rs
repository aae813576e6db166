//! The verbs: one file each, with arguments, help and body together.

pub mod attempt;
pub mod capacity;
pub mod completion;
pub mod copy;
pub mod create;
pub mod daemon;
pub mod delete;
pub mod diff;
pub mod doctor;
pub mod events;
pub mod exec;
pub mod export;
pub mod fork;
pub mod health;
pub mod image;
pub mod import;
pub mod kernel;
pub mod kill;
pub mod label;
pub mod list;
pub mod logs;
pub mod operations;
pub mod options;
pub mod ports;
pub mod prune;
pub mod publish;
pub mod rename;
pub mod repair;
pub mod restart;
pub mod run;
pub mod set;
pub mod show;
pub mod snapshot;
pub mod start;
pub mod stats;
pub mod stop;
pub mod suspend;
pub mod template;
pub mod top;
pub mod topics;
pub mod undo;
pub mod vm;

use self::options::Targets;
use crate::client::Client;
use crate::client::request::Ask;
use crate::exec::signals::Signals;
use crate::exit::{Exit, Failure};
use crate::place::Surroundings;
use crate::show::{Show, progress::Progress};
use crate::{operation, several};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::sandbox::Sandbox;
use clap::{Parser, Subcommand};
use serde_json::json;

const AFTER_HELP: &str = "\
Examples:
  banger run                       a shell in a new machine
  banger run --rm -- make test     one command in a new machine, and nothing is left
  banger ps                        what runs

More: `banger help VERB`, `banger help exit-codes`, `banger help stdin`, `banger doctor`.";

/// Real Linux machines, one command each
///
/// A daemon does the work; it is started when it is needed, as you, and leaves when it is idle.
#[derive(Debug, Parser)]
#[command(name = "banger", version, propagate_version = false, after_help = AFTER_HELP)]
pub struct Cli {
    /// Print results and errors as JSON
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
    /// Print names or ids only, and no progress
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub quiet: bool,
    /// Say more about what goes on
    #[arg(
        short,
        long,
        global = true,
        help_heading = "Everywhere",
        conflicts_with = "quiet"
    )]
    pub verbose: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "each is documented where it is defined, and that is the help"
)]
pub enum Command {
    #[command(subcommand)]
    Vm(vm::VmCommand),
    /// Short for `vm run`: run a command or a shell in a new machine
    Run(run::Run),
    /// Short for `vm exec`: run a command in a running machine
    Exec(exec::Exec),
    /// Short for `vm shell`: open a shell in a running machine
    Shell(exec::Shell),
    /// Short for `vm delete`: delete machines
    Rm(delete::Delete),
    Ps(list::Ps),
    Top(top::Top),
    Capacity(capacity::Capacity),
    #[command(subcommand)]
    Image(image::ImageCommand),
    #[command(subcommand)]
    Kernel(kernel::KernelCommand),
    #[command(subcommand)]
    Template(template::TemplateCommand),
    Operations(operations::Operations),
    #[command(subcommand)]
    Daemon(daemon::DaemonCommand),
    Repair(repair::Repair),
    Doctor(doctor::Doctor),
    Version(daemon::ShowVersion),
    Completion(completion::Completion),
    /// What the exit statuses mean
    #[command(long_about = topics::EXIT_CODES, hide = true)]
    ExitCodes,
    /// What a command gets as standard input
    #[command(long_about = topics::STDIN, hide = true)]
    Stdin,
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// The verb's failure.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        match self {
            Self::Vm(verb) => verb.run(app).await,
            Self::Run(verb) => verb.run(app).await,
            Self::Exec(verb) => verb.run(app).await,
            Self::Shell(verb) => verb.run(app).await,
            Self::Rm(verb) => verb.run(app).await,
            Self::Ps(verb) => verb.run(app).await,
            Self::Top(verb) => verb.run(app).await,
            Self::Capacity(verb) => verb.run(app).await,
            Self::Image(verb) => verb.run(app).await,
            Self::Kernel(verb) => verb.run(app).await,
            Self::Template(verb) => verb.run(app).await,
            Self::Operations(verb) => verb.run(app).await,
            Self::Daemon(verb) => verb.run(app).await,
            Self::Repair(verb) => verb.run(app).await,
            Self::Doctor(verb) => verb.run(app).await,
            Self::Version(verb) => verb.run(app).await,
            Self::Completion(verb) => verb.run(app),
            Self::ExitCodes => app
                .show
                .lines(topics::EXIT_CODES.lines())
                .map(|()| Exit::Success),
            Self::Stdin => app
                .show
                .lines(topics::STDIN.lines())
                .map(|()| Exit::Success),
        }
    }
}

/// What every verb works with.
pub struct App {
    /// How to print.
    pub show: Show,
    /// Where the daemon is.
    pub surroundings: Surroundings,
}

impl App {
    /// Connects to the daemon, which is started if need be.
    ///
    /// # Errors
    /// A fault when there is none that fits.
    pub async fn client(&self) -> Result<Client, Failure> {
        let client = Client::connect(self.surroundings.clone()).await?;
        if let Some(note) = client.note() {
            self.show.aside(note);
        }
        Ok(client)
    }

    /// Takes the signals over: from now on an interrupt cleans up.
    ///
    /// # Errors
    /// When the process cannot have handlers.
    pub fn signals(&self) -> Result<Signals, Failure> {
        Signals::listen().map_err(|error| Fault::from_error(FaultCode::Failed, &error).into())
    }

    /// Where the events about one of so many references go: several bars would write over another.
    #[must_use]
    pub fn progress_of(&self, count: usize, reference: &str) -> Progress {
        if count < 2 {
            return self.show.progress();
        }
        let plain = Show {
            stderr_terminal: false,
            ..self.show
        };
        plain
            .progress()
            .about(reference.get(..8).unwrap_or(reference))
    }

    /// Says which ports were found where any free one was asked for.
    pub fn tell_chosen_ports(&self, sandbox: &Sandbox) {
        let chosen = sandbox
            .publish
            .iter()
            .filter(|one| one.asked.port.is_none());
        for published in chosen.filter(|one| one.open) {
            self.show.note(&format!("published {published}"));
        }
    }

    /// Prints a sandbox that was just made or renamed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn created(&self, sandbox: &Sandbox) -> Result<(), Failure> {
        if self.show.json {
            self.show.json(sandbox)
        } else if self.show.quiet {
            self.show.line(&sandbox.id)
        } else {
            self.show.line(&sandbox.name)
        }
    }

    /// Prints that something was deleted.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn deleted(&self, name: &str) -> Result<Exit, Failure> {
        if self.show.json {
            self.show.json(&json!({ "deleted": name }))?;
        } else {
            self.show.line(name)?;
        }
        Ok(Exit::Success)
    }

    /// Changes each of several sandboxes by the same long operation.
    ///
    /// # Errors
    /// The fault of a single reference, or one about the daemon.
    pub async fn change(
        &self,
        targets: &Targets,
        done: &str,
        ask: impl Fn(&str) -> Ask,
    ) -> Result<Exit, Failure> {
        let client = self.client().await?;
        let chosen = several::choose(&client, self.show, targets).await?;
        let count = chosen.count();
        let act = async |reference: String| {
            let progress = self.progress_of(count, &reference);
            operation::run::<Sandbox>(&client, ask(&reference), &progress).await
        };
        several::each_chosen(self.show, chosen, act, |good| {
            self.show.lines(good.iter().map(|(_, sandbox)| {
                if self.show.quiet {
                    sandbox.id.clone()
                } else {
                    format!("{} {done}", sandbox.name)
                }
            }))
        })
        .await
    }
}
