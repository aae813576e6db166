//! `banger vm run`.

use super::App;
use super::options::{Machine, Session};
use crate::client::{Client, path};
use crate::exec;
use crate::exit::{Exit, Failure};
use crate::show::sandbox::{spec_line, times};
use crate::{creation, operation};
use banger_model::{SandboxState, Wait};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::daemon::Defaults;
use banger_proto::owner::sandbox::{CreateRequest, Sandbox};
use clap::Args;
use std::ffi::OsString;
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Examples:
  banger vm run                              a shell in a new machine
  banger vm run --rm -- uname -a             one command, and nothing is left
  banger vm run --rm --nat -- sh -c 'apt-get update'
  tar c . | banger vm run --rm -- tar x      input goes to the command
  banger vm run -d --name dev --memory 4GiB  a machine in the background
  banger vm run -d -p 8080:80                127.0.0.1:8080 leads to the machine's port 80
  banger vm run --rm --timings -- true       how long each part of the start took

The exit status is the command's own, 128+n when signal n ended it, 125 when banger itself failed.
See `banger help exit-codes`, and `banger help stdin` for what is sent as input.";

/// Create a machine, start it and run a command or a shell in it
///
/// Without a command you get a login shell. Without --rm the machine goes on running afterwards.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Run {
    /// Delete the machine when the command or shell ends, whatever its end
    #[arg(long)]
    rm: bool,
    /// Leave the machine running in the background and return
    #[arg(short, long)]
    detach: bool,
    /// What to wait for before the command runs: agent, or init (all of the image's services)
    #[arg(long, value_name = "WHAT")]
    wait: Option<Wait>,
    /// Print on standard error how long each part of the start took
    #[arg(long)]
    timings: bool,
    /// The command and its arguments [default: a login shell]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    #[command(flatten)]
    machine: Machine,
    #[command(flatten)]
    session: Session,
}

impl Run {
    /// Options that contradict each other are refused before anything is created.
    fn check(&self) -> Result<(), Failure> {
        let refuse = |message: &str, remedy: &str| Err(Failure::usage(message, remedy));
        if self.detach && self.rm {
            return refuse(
                "-d and --rm contradict each other: nothing would tell when to delete the machine",
                "leave one of them out, and delete it later with `banger vm rm NAME`",
            );
        }
        if self.detach && !self.command.is_empty() {
            return refuse(
                "-d runs no command: its output would go nowhere",
                "start the machine with -d, then run `banger vm exec NAME -- COMMAND`",
            );
        }
        Ok(())
    }

    fn request(&self) -> CreateRequest {
        CreateRequest {
            ephemeral: self.rm,
            start: Some(self.wait.unwrap_or_default()),
            ..self.machine.request()
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// A failure with exit status 125 to 127, or 2 for options that contradict each other.
    pub async fn run(self, app: &App) -> Result<Exit, Failure> {
        self.check()?;
        let client = app.client().await.map_err(Failure::around)?;
        let request = self.request();
        if app.show.stderr_terminal && !app.show.quiet {
            let defaults: Defaults = client
                .get(path::plain("defaults"))
                .await
                .map_err(|fault| Failure::from(fault).around())?;
            app.show.note(&spec_line(&request, &defaults));
        }
        let mut signals = app.signals().map_err(Failure::around)?;
        let sandbox = creation::create(&client, app.show, &request, &mut signals)
            .await
            .map_err(Failure::around)?;
        app.tell_chosen_ports(&sandbox);
        // The daemon's times begin with the start, not with this program: an image may have been made
        // before it. The last of them is now.
        let up = Instant::now();
        if self.detach {
            self.tell_times(app, &sandbox, None);
            app.created(&sandbox)?;
            return Ok(Exit::Success);
        }
        let (rm, shell) = (self.rm, self.command.is_empty());
        let timings = self.timings;
        let command = self.session.command(self.command);
        let ended = exec::run(&client, &sandbox.id, app.show, &command, &mut signals).await;
        if timings {
            let done = (!shell).then(|| up.elapsed());
            tell_times(app, &sandbox, done);
        }
        if rm {
            remove(app, &client, &sandbox, ended).await
        } else {
            remind(app, &client, &sandbox).await;
            ended
        }
    }

    fn tell_times(&self, app: &App, sandbox: &Sandbox, done: Option<Duration>) {
        if self.timings {
            tell_times(app, sandbox, done);
        }
    }
}

/// `after` is how long after the machine was up its first command was done.
fn tell_times(app: &App, sandbox: &Sandbox, after: Option<Duration>) {
    if let Some(run) = &sandbox.run {
        let up = run
            .times
            .init_settled_ms
            .unwrap_or(run.times.agent_answered_ms);
        let done = after.map(|after| Duration::from_secs_f64(up.max(0.0) / 1000.0) + after);
        app.show
            .note(&format!("started in: {}", times(&run.times, done)));
    }
}

/// Deletes the machine after its session, whatever that came to. The command's own failure comes
/// first; a deletion that fails turns success into failure.
async fn remove(
    app: &App,
    client: &Client,
    sandbox: &Sandbox,
    ended: Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let deleted = operation::delete(client, &sandbox.id, &app.show.progress()).await;
    let Err(fault) = deleted else { return ended };
    let fault = Fault {
        message: format!("{} was not deleted: {}", sandbox.name, fault.message),
        ..fault
    }
    .with_remedy(format!("delete it with `banger vm rm {}`", sandbox.name));
    match ended {
        Ok(Exit::Success | Exit::Command(0)) => Err(Failure::from(fault).around()),
        other => {
            app.show.failure(&fault.into());
            other
        }
    }
}

/// A machine that goes on is not left unmentioned.
async fn remind(app: &App, client: &Client, sandbox: &Sandbox) {
    let found: Result<Sandbox, Fault> = client.get(path::sandbox(&sandbox.id, "")).await;
    let name = &sandbox.name;
    match found {
        Ok(found) if found.state == SandboxState::Running => app.show.note(&format!(
            "{name} still runs: enter it with `banger shell {name}`, stop it with `banger vm stop \
             {name}`, delete it with `banger rm {name}`"
        )),
        Ok(found) => app.show.note(&format!("{name} is {}", found.state)),
        Err(fault) if fault.code == FaultCode::NotFound => {}
        Err(fault) => app
            .show
            .note(&format!("cannot tell how {name} is: {fault}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Wrapper {
        #[command(flatten)]
        run: Run,
    }

    fn parse(arguments: &[&str]) -> Result<Run, clap::Error> {
        let all = ["run"].iter().chain(arguments);
        Wrapper::try_parse_from(all).map(|wrapper| wrapper.run)
    }

    #[test]
    fn only_what_was_typed_is_sent() {
        let bare = parse(&[]).expect("fine").request();
        let expected = CreateRequest {
            start: Some(Wait::Agent),
            ..CreateRequest::default()
        };
        assert_eq!(bare, expected);
        let full = parse(&[
            "--name",
            "dev",
            "--vcpu",
            "2",
            "--memory",
            "1GiB",
            "--rm",
            "--wait=init",
            "-p",
            "8080:80",
            "--publish=[::1]:0:53/udp",
        ]);
        let full = full.expect("fine").request();
        assert_eq!(full.memory_mib.map(|size| size.mib()), Some(1024));
        assert_eq!(full.vcpu.map(|count| count.get()), Some(2));
        assert_eq!((full.ephemeral, full.start), (true, Some(Wait::Init)));
        let published: Vec<_> = full.publish.iter().map(ToString::to_string).collect();
        assert_eq!(published, ["127.0.0.1:8080:80/tcp", "[::1]:0:53/udp"]);
    }

    #[test]
    fn contradictions_are_refused_with_a_remedy() {
        for arguments in [&["-d", "--rm"][..], &["-d", "--", "true"]] {
            let failure = parse(arguments)
                .expect("readable")
                .check()
                .expect_err("refused");
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.fault.remedy.is_some());
        }
        assert!(
            parse(&["--rm", "--", "true"])
                .expect("readable")
                .check()
                .is_ok()
        );
    }

    #[test]
    fn bad_values_are_refused_before_anything_is_asked() {
        for arguments in [
            &["--name", "Dev"][..],
            &["--name", "-x"],
            &["--vcpu", "0"],
            &["--vcpu", "65"],
            &["--memory", "1"],
            &["--memory", "0x10"],
            &["--disk-size", "99999TiB"],
            &["--image", "../x"],
            &["--init", "openrc"],
            &["--wait", "long"],
            &["-p", "0"],
            &["-p", "localhost:80"],
            &["true"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn what_looks_like_an_option_behind_the_dashes_is_the_commands() {
        let run = parse(&["--", "ls", "--rm", "-d"]).expect("fine");
        assert!(!run.rm && !run.detach);
        assert_eq!(run.command, ["ls", "--rm", "-d"]);
    }
}
