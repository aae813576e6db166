//! `banger vm try`.

use super::App;
use super::options::Reference;
use crate::attempt::fork::{Fork, Forks};
use crate::attempt::rank::{self, Better, Result as Ranked};
use crate::attempt::{Attempt, Printing, Task, run_to, shell, vary};
use crate::client::request::Ask;
use crate::client::{Client, path};
use crate::exec::{self, Command};
use crate::exit::{Exit, Failure};
use crate::operation;
use crate::show::attempt as shown;
use banger_model::SandboxName;
use banger_model::snapshot::Tag;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::diff::{Diff, DiffRequest};
use banger_proto::owner::sandbox::{PromoteRequest, RenameRequest, Sandbox, SetRequest};
use clap::Args;
use futures_util::future::join_all;
use hyper::Method;
use std::ffi::OsString;
use std::rc::Rc;
use tokio::task::LocalSet;

const EXAMPLES: &str = "\
Examples:
  banger vm try dev -n 4 -- ./fix-it.sh                 four forks of dev; each is told which it is
  banger vm try dev --vary CC=gcc,clang -- make test    one for each value
  banger vm try dev --vary O=1,2,3 --score 'stat -c %s prog' --smaller -- make
  banger vm try dev -n 3 --side-by-side -- ./bench.sh   what each prints, in columns
  banger vm try dev -n 3 -w /root/app --promote -- ./agent.sh     dev goes on as the best of them
  banger vm try dev -n 3 -w /root/app --diff --keep=best -- ./agent.sh

Each fork has BANGER_TRY_INDEX (from 1), BANGER_TRY_COUNT and the values of --vary in its environment; several
--vary give every combination, with --zip the first value of each, then the second ones. The best is the one with
the lowest exit status, then with the best score, then the fastest. All others are deleted, and so is the best
without --keep or --promote. The exit status is that of the best one's command.";

/// Try a command in several forks of a machine at once, and keep the best
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Try {
    #[command(flatten)]
    sandbox: Reference,
    /// How many forks [default: as many as there are combinations]
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    number: Option<u16>,
    /// Give each fork one of these values of a variable (repeatable)
    #[arg(long, value_name = "NAME=VALUE,…")]
    vary: Vec<vary::Variation>,
    /// Of several --vary the first values go together, then the second ones
    #[arg(long, requires = "vary")]
    zip: bool,
    /// From one of its snapshots, instead of what it is now
    #[arg(long, value_name = "TAG")]
    from: Option<Tag>,
    /// Run this with `sh -c` in each fork afterwards, where the command ran: its last line is the score, a number;
    /// the bigger one is better
    #[arg(long, value_name = "COMMAND")]
    score: Option<String>,
    /// The smaller score is better
    #[arg(long, requires = "score")]
    smaller: bool,
    /// Print what each fork prints when it has ended, instead of line by line as it comes
    #[arg(long)]
    group: bool,
    /// Print what all have printed beside each other, when they have ended
    #[arg(long, conflicts_with = "group")]
    side_by_side: bool,
    /// Keep the best one as a machine, under this name or the one that it has
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, conflicts_with = "promote")]
    #[expect(
        clippy::option_option,
        reason = "clap's way to say: absent, without a value, with one"
    )]
    keep: Option<Option<SandboxName>>,
    /// Let the machine go on as the best one: its disks and memory become those; what it was is lost
    #[arg(long, conflicts_with = "from")]
    promote: bool,
    /// Print what the best one has changed: in the git repository that the command ran in, or else which files
    #[arg(long)]
    diff: bool,
    /// Set a variable; NAME alone passes your own value on (repeatable)
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<OsString>,
    /// Working directory in the guest [default: the user's home]
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<OsString>,
    /// User, or user:group, by name or number [default: root]
    #[arg(short, long)]
    user: Option<String>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What `git diff` says of everything since the last commit, new files included; the index stays as it is. Where there is
/// no repository, or no git, it ends with [`NO_REPOSITORY`].
const GIT_DIFF: &str = "git rev-parse --is-inside-work-tree >/dev/null 2>&1 || exit 77
index=$(mktemp) && cp \"$(git rev-parse --git-dir)/index\" \"$index\" 2>/dev/null
export GIT_INDEX_FILE=\"$index\"
git add -A -N . && git --no-pager diff HEAD
status=$?; rm -f \"$index\"; exit $status";

/// A status that git does not end with.
const NO_REPOSITORY: u8 = 77;

impl Try {
    /// Does it.
    ///
    /// # Errors
    /// What is wrong with the arguments, too little room, a fork that cannot be made, or the best one that cannot be
    /// kept. No fork is left then.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        let values = vary::values(self.number.map(usize::from), &self.vary, self.zip)?;
        let client = Rc::new(app.client().await?);
        let original = self.original(&client, values.len()).await?;
        let mut signals = app.signals()?;
        let local = LocalSet::new();
        let trying = async {
            let forks = Forks::new(Rc::clone(&client));
            let ended = tokio::select! {
                biased;
                number = signals.stop() => {
                    app.show.note("banger: interrupted: deleting the forks");
                    Ok(Exit::Signal(number))
                }
                ended = self.all(app, &client, &original, &forks, values) => ended,
            };
            let deleted = tokio::select! {
                deleted = forks.delete() => deleted,
                // The daemon deletes them when nobody holds them any more.
                _ = signals.stop() => Ok(()),
            };
            match ended {
                Ok(Exit::Success | Exit::Command(0)) => {
                    deleted?;
                    ended
                }
                ended => ended,
            }
        };
        local.run_until(trying).await
    }

    /// Everything that can be wrong is found before anything is made.
    async fn original(&self, client: &Client, count: usize) -> Result<Sandbox, Failure> {
        let original: Sandbox = client
            .get(path::sandbox(&self.sandbox.reference, ""))
            .await?;
        if let Some(Some(name)) = &self.keep {
            let taken: Result<Sandbox, Fault> = client.get(path::sandbox(name.as_str(), "")).await;
            if taken.is_ok_and(|other| other.name == name.as_str()) {
                let message = format!("there is a machine {name} already");
                let fault = Fault::new(FaultCode::Conflict, message);
                return Err(fault.with_remedy("give --keep another name").into());
            }
        }
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        super::capacity::require(client, &original.name, count).await?;
        Ok(original)
    }

    async fn all(
        &self,
        app: &App,
        client: &Client,
        original: &Sandbox,
        forks: &Forks,
        values: Vec<vary::Values>,
    ) -> Result<Exit, Failure> {
        let progress = app.show.progress();
        progress.stage(&format!("forking {} {} times", original.name, values.len()));
        let made = forks
            .make(&original.id, self.from.as_ref(), values.len())
            .await;
        drop(progress);
        let made = made?;
        let task = self.task(app, values.len());
        let attempts: Vec<Attempt> = values
            .into_iter()
            .zip(1..)
            .map(|(values, index)| Attempt { index, values })
            .collect();
        let running = made
            .iter()
            .zip(&attempts)
            .map(|(fork, attempt)| task.run(client, app.show, fork, attempt));
        let (mut results, printed): (Vec<_>, Vec<_>) = join_all(running).await.into_iter().unzip();
        if self.side_by_side {
            let width = usize::from(exec::terminal::size().columns);
            task.print_beside(attempts.iter().zip(&printed), width)?;
        }
        let better = match self.smaller {
            true => Better::Smaller,
            false => Better::Bigger,
        };
        rank::sort(&mut results, better);
        let winner = results.first().cloned();
        let fork = winner.as_ref().and_then(|best| made.get(best.index - 1));
        let (Some(winner), Some(fork)) = (winner, fork) else {
            return Err(Fault::new(FaultCode::Failed, "there was no attempt").into());
        };
        self.conclude(app, client, original, forks, &results, &winner, fork)
            .await
    }

    fn task(&self, app: &App, count: usize) -> Task {
        Task {
            command: self.with(self.command.clone()),
            score: self.score.clone(),
            count,
            printing: match (self.group, self.side_by_side) {
                (_, true) => Printing::Beside,
                (true, false) => Printing::Grouped,
                (false, false) => Printing::AtOnce,
            },
            // What is printed there is to be read by a program.
            aside: app.show.json || self.diff,
        }
    }

    fn with(&self, argv: Vec<OsString>) -> Command {
        Command {
            argv,
            environment: self.env.clone(),
            directory: self.workdir.clone(),
            user: self.user.clone(),
            ..Command::default()
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the end of a try has all that it was about"
    )]
    async fn conclude(
        &self,
        app: &App,
        client: &Client,
        original: &Sandbox,
        forks: &Forks,
        results: &[Ranked],
        winner: &Ranked,
        fork: &Fork,
    ) -> Result<Exit, Failure> {
        let good = winner.exit == Some(0);
        let diff = match self.diff && good {
            true => Some(self.changes(client, fork).await?),
            false => None,
        };
        let mut kept = None;
        if good {
            if let Some(name) = &self.keep {
                kept = Some(keep(client, fork, name.as_ref()).await?);
                forks.stays(fork);
            }
            if self.promote {
                promote(app, client, original, fork).await?;
            }
        }
        let outcome = shown::Outcome {
            attempts: results,
            kept: kept.as_deref(),
            promoted: good && self.promote,
            diff: diff.as_ref().map(|bytes| String::from_utf8_lossy(bytes)),
        };
        if app.show.json {
            app.show.json(&outcome)?;
        } else if let Some(diff) = &diff {
            for line in shown::table(results).render(false).lines() {
                app.show.note(line);
            }
            app.show.raw(diff)?;
        } else if app.show.quiet {
            app.show.lines([kept.as_deref().unwrap_or(&winner.name)])?;
        } else {
            app.show.table(&shown::table(results))?;
        }
        for line in shown::notes(&outcome, &original.name) {
            app.show.note(&line);
        }
        Ok(match winner.exit {
            Some(status) => Exit::Command(status),
            None => Exit::Around,
        })
    }

    async fn changes(&self, client: &Client, fork: &Fork) -> Result<Vec<u8>, Failure> {
        let (out, err) = <(crate::attempt::output::Kept, crate::attempt::output::Kept)>::default();
        let command = self.with(shell(GIT_DIFF));
        let ended = run_to(client, fork, &command, out.clone(), err.clone()).await?;
        match ended.number() {
            0 => return Ok(out.take().0),
            NO_REPOSITORY => return files(client, fork).await,
            _ => {}
        }
        let why = String::from_utf8_lossy(&err.take().0).trim().to_owned();
        let message = format!("there are no changes to print: {why}");
        Err(Fault::new(FaultCode::Failed, message)
            .with_remedy("use --keep, and look into it with `banger vm exec`")
            .into())
    }
}

/// Which of its files are others than those of the machine that it was a fork of.
async fn files(client: &Client, fork: &Fork) -> Result<Vec<u8>, Failure> {
    let from_origin = DiffRequest {
        origin: true,
        ..DiffRequest::default()
    };
    let ask = Ask::json(Method::POST, path::sandbox(&fork.id, "/diff"), &from_origin);
    let found: Diff = client.json(ask).await?;
    Ok(crate::show::diff::lines(&found, false).into_bytes())
}

/// Makes a fork a machine as any other; its name then.
async fn keep(client: &Client, fork: &Fork, name: Option<&SandboxName>) -> Result<String, Fault> {
    let silent = crate::show::Show::silent().progress();
    let stays = SetRequest {
        keep: true,
        ..SetRequest::default()
    };
    let ask = Ask::json(Method::POST, path::sandbox(&fork.id, "/set"), &stays);
    let kept: Sandbox = operation::run(client, ask, &silent).await?;
    let Some(name) = name else {
        return Ok(kept.name);
    };
    let rename = RenameRequest {
        name: Some(name.clone()),
    };
    let ask = Ask::json(Method::POST, path::sandbox(&fork.id, "/rename"), &rename);
    let renamed: Sandbox = operation::run(client, ask, &silent).await?;
    Ok(renamed.name)
}

async fn promote(app: &App, client: &Client, original: &Sandbox, fork: &Fork) -> Result<(), Fault> {
    let request = PromoteRequest {
        fork: fork.id.clone(),
    };
    let ask = Ask::json(
        Method::POST,
        path::sandbox(&original.id, "/promote"),
        &request,
    );
    let _original: Sandbox = operation::run(client, ask, &app.show.progress()).await?;
    Ok(())
}
