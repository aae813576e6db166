//! `banger vm`.

use super::{
    App, attempt, copy, create, delete, diff, events, exec, export, fork, health, import, kill,
    label, list, logs, ports, prune, publish, rename, restart, run, set, show, snapshot, start,
    stats, stop, suspend, undo,
};
use crate::exit::{Exit, Failure};
use clap::Subcommand;

/// Machines: create, use, look at and delete them
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "each is documented where it is defined, and that is the help"
)]
pub enum VmCommand {
    Run(run::Run),
    Create(create::Create),
    Start(start::Start),
    Stop(stop::Stop),
    Restart(restart::Restart),
    Suspend(suspend::Suspend),
    Resume(suspend::Resume),
    Snapshot(snapshot::Take),
    Snapshots(snapshot::Snapshots),
    Restore(snapshot::Restore),
    Diff(diff::Diff),
    Undo(undo::Undo),
    History(undo::History),
    Export(export::Export),
    Import(import::Import),
    Fork(fork::Fork),
    Try(attempt::Try),
    Kill(kill::Kill),
    Set(set::Set),
    Rename(rename::Rename),
    Label(label::Label),
    #[command(visible_alias = "rm")]
    Delete(delete::Delete),
    #[command(visible_alias = "ls")]
    List(list::List),
    Show(show::Show),
    Exec(exec::Exec),
    Shell(exec::Shell),
    Cp(copy::Copy),
    Logs(logs::Logs),
    Events(events::Events),
    Prune(prune::Prune),
    Publish(publish::Publish),
    Unpublish(publish::Unpublish),
    Ports(ports::Ports),
    Health(health::Health),
    Ping(health::Ping),
    Stats(stats::Stats),
}

impl VmCommand {
    /// Does it.
    ///
    /// # Errors
    /// The verb's failure.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        match self {
            Self::Run(verb) => verb.run(app).await,
            Self::Create(verb) => verb.run(app).await,
            Self::Start(verb) => verb.run(app).await,
            Self::Stop(verb) => verb.run(app).await,
            Self::Restart(verb) => verb.run(app).await,
            Self::Suspend(verb) => verb.run(app).await,
            Self::Resume(verb) => verb.run(app).await,
            Self::Snapshot(verb) => verb.run(app).await,
            Self::Snapshots(verb) => verb.run(app).await,
            Self::Restore(verb) => verb.run(app).await,
            Self::Diff(verb) => verb.run(app).await,
            Self::Undo(verb) => verb.run(app).await,
            Self::History(verb) => verb.run(app).await,
            Self::Export(verb) => verb.run(app).await,
            Self::Import(verb) => verb.run(app).await,
            Self::Fork(verb) => verb.run(app).await,
            Self::Try(verb) => verb.run(app).await,
            Self::Kill(verb) => verb.run(app).await,
            Self::Set(verb) => verb.run(app).await,
            Self::Rename(verb) => verb.run(app).await,
            Self::Label(verb) => verb.run(app).await,
            Self::Delete(verb) => verb.run(app).await,
            Self::List(verb) => verb.run(app).await,
            Self::Show(verb) => verb.run(app).await,
            Self::Exec(verb) => verb.run(app).await,
            Self::Shell(verb) => verb.run(app).await,
            Self::Cp(verb) => verb.run(app).await,
            Self::Logs(verb) => verb.run(app).await,
            Self::Events(verb) => verb.run(app).await,
            Self::Prune(verb) => verb.run(app).await,
            Self::Publish(verb) => verb.run(app).await,
            Self::Unpublish(verb) => verb.run(app).await,
            Self::Ports(verb) => verb.run(app).await,
            Self::Health(verb) => verb.run(app).await,
            Self::Ping(verb) => verb.run(app).await,
            Self::Stats(verb) => verb.run(app).await,
        }
    }
}
