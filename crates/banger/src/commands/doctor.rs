//! `banger doctor`.

use super::App;
use crate::client::{Client, apart, path, version};
use crate::exit::{Exit, Failure};
use crate::place::Place;
use crate::show::doctor;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::daemon::{Check, Verdict, Version, build_of};
use banger_proto::owner::doctor::{Baseline, Fixed, Proof};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  banger doctor
  banger doctor --fix
  banger doctor --json | jq '.[] | select(.verdict == \"fail\")'
  banger doctor --prove --baseline     record what there is, before banger makes anything
  banger doctor --prove                say what is left behind; exit status 0 only when nothing is

Without a daemon it looks by itself and starts none.";

/// Check what this machine can do and what is left behind, and say what helps
///
/// Nothing is changed without --fix. Exit status 1 when a check fails, or with --prove when something
/// is left.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Doctor {
    /// Repair what can be repaired without losing anything, and say what was done
    #[arg(long, conflicts_with = "prove")]
    fix: bool,
    /// Say what banger has left on this host and nobody needs: links, rules, mounts, devices, cgroups,
    /// sockets, ports, processes, files
    #[arg(long)]
    prove: bool,
    /// Record what there is now; later proofs leave it out
    #[arg(long, requires = "prove")]
    baseline: bool,
    /// List what is not banger's and new since the baseline, too
    #[arg(long, requires = "prove", conflicts_with = "baseline")]
    all: bool,
}

impl Doctor {
    /// Does it.
    ///
    /// # Errors
    /// The fault of whoever looks.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        if self.baseline {
            return baseline(app).await;
        }
        if self.prove {
            return prove(app, self.all).await;
        }
        if self.fix {
            return fix(app).await;
        }
        let (mut checks, daemon) = match running(app).await? {
            Some(client) => {
                let daemon: Version = client.get(path::plain("version")).await?;
                (client.get(path::plain("doctor")).await?, Some(daemon))
            }
            None => (ask_apart::<Vec<Check>>(app, &["doctor"]).await?, None),
        };
        checks.insert(0, versions(app, daemon.as_ref()));
        show(app, &checks)
    }
}

/// The daemon, if one answers; none where something keeps it from that, which the checks tell.
async fn running(app: &App) -> Result<Option<Client>, Failure> {
    let found = Client::if_running(app.surroundings.clone()).await;
    match (found, app.surroundings.place()) {
        (Ok(Some(client)), _) => Ok(Some(client)),
        (Ok(None), Place::Given(socket)) => Err(Fault::new(
            FaultCode::Unavailable,
            format!("no daemon listens on {}", socket.display()),
        )
        .with_remedy("unset BANGER_SOCKET to look at your own")
        .into()),
        (Err(fault), Place::Given(_)) => Err(fault.into()),
        (Ok(None) | Err(_), Place::Standalone(_)) => Ok(None),
    }
}

async fn ask_apart<T: serde::de::DeserializeOwned>(
    app: &App,
    arguments: &[&str],
) -> Result<T, Failure> {
    Ok(apart::ask(&app.surroundings, arguments).await?)
}

/// Whether command line, daemon and the daemon's program are of one version and build.
fn versions(app: &App, daemon: Option<&Version>) -> Check {
    let program = app.surroundings.daemon_program();
    let file = program
        .as_deref()
        .and_then(|program| std::fs::metadata(program).ok());
    let build = file.as_ref().map(build_of);
    let (verdict, found, remedy) = match daemon {
        None => (
            Verdict::Pass,
            format!("banger {}; no daemon runs", version::OWN),
            None,
        ),
        Some(daemon) if daemon.version != version::OWN => (
            Verdict::Warn,
            format!("banger {}, and a daemon {}", version::OWN, daemon.version),
            Some("`banger daemon stop`: the next command starts the daemon of its own version"),
        ),
        Some(daemon) if build.is_some() && build.as_deref() != Some(&daemon.build) => (
            Verdict::Warn,
            format!(
                "banger and daemon {}, of another build than the program that is installed",
                version::OWN
            ),
            Some("`banger daemon stop`: machines go on, and the next command starts the new one"),
        ),
        Some(_) => (
            Verdict::Pass,
            format!("banger and daemon {}", version::OWN),
            None,
        ),
    };
    Check {
        name: "versions".into(),
        verdict,
        found,
        remedy: remedy.map(Into::into),
    }
}

fn show(app: &App, checks: &[Check]) -> Result<Exit, Failure> {
    if app.show.json {
        app.show.json(checks)?;
    } else {
        let shown = checks
            .iter()
            .filter(|check| !app.show.quiet || check.verdict != Verdict::Pass);
        let shown: Vec<Check> = shown.cloned().collect();
        app.show.table(&doctor::checks(&shown))?;
    }
    let failed = checks.iter().any(|check| check.verdict == Verdict::Fail);
    Ok(if failed { Exit::Failed } else { Exit::Success })
}

/// The daemon repairs; it is started for that, which repairs by itself what a killed one left.
async fn fix(app: &App) -> Result<Exit, Failure> {
    let client = app.client().await?;
    let fixed: Fixed = client.post(path::plain("doctor/fix"), &()).await?;
    let failed = fixed.repairs.iter().any(|repair| repair.failed.is_some());
    let exit = if app.show.json {
        app.show.json(&fixed)?;
        let broken = fixed
            .checks
            .iter()
            .any(|check| check.verdict == Verdict::Fail);
        if broken { Exit::Failed } else { Exit::Success }
    } else {
        app.show.table(&doctor::repairs(&fixed.repairs))?;
        if fixed.repairs.is_empty() {
            app.show.note("nothing that could be repaired safely");
        }
        show(app, &fixed.checks)?
    };
    Ok(if failed { Exit::Failed } else { exit })
}

async fn baseline(app: &App) -> Result<Exit, Failure> {
    let baseline: Baseline = match running(app).await? {
        Some(client) => client.post(path::plain("prove/baseline"), &()).await?,
        None => ask_apart(app, &["baseline"]).await?,
    };
    if app.show.json {
        app.show.json(&baseline)?;
    } else {
        let count = baseline.things.len();
        app.show.note(&format!(
            "recorded {count} things that are there and not banger's to remove"
        ));
    }
    Ok(Exit::Success)
}

async fn prove(app: &App, all: bool) -> Result<Exit, Failure> {
    let proof: Proof = match running(app).await? {
        Some(client) => client.get(path::plain(&format!("prove?all={all}"))).await?,
        None if all => ask_apart(app, &["prove", "--all"]).await?,
        None => ask_apart(app, &["prove"]).await?,
    };
    if app.show.json {
        app.show.json(&proof)?;
    } else if app.show.quiet {
        app.show
            .lines(proof.left.iter().map(|left| left.thing.name.as_str()))?;
    } else {
        app.show.raw(doctor::proof(
            &proof,
            app.show.stdout_terminal && !app.show.no_color,
        ))?;
    }
    Ok(if proof.left.is_empty() {
        Exit::Success
    } else {
        Exit::Failed
    })
}
