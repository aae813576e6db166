//! The command line: arguments in, requests out, answers shown.
//!
//! `main` calls [`run`]. A verb ([`commands`]) talks to the daemon through [`client`], runs commands
//! through [`exec`], and prints through [`show`] alone. It never touches a guest or a VMM itself.

pub mod attempt;
pub mod client;
pub mod commands;
pub mod complete;
pub mod copy;
pub mod creation;
pub mod exec;
pub mod exit;
pub mod health;
pub mod operation;
pub mod output_file;
pub mod place;
pub mod runtime_directory;
pub mod several;
pub mod show;
pub mod stats;
pub mod top;
pub mod upload;

use banger_proto::fault::{Fault, FaultCode};
use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use commands::{App, Cli};
use exit::{Exit, Failure};
use place::Surroundings;
use show::Show;
use std::process::ExitCode;

/// Does what the process's arguments say.
#[must_use]
pub fn run() -> ExitCode {
    CompleteEnv::with_factory(Cli::command)
        .var(commands::completion::VARIABLE)
        .complete();
    match Cli::try_parse() {
        Ok(cli) => execute(cli).into(),
        Err(error) => explain(&error).into(),
    }
}

fn execute(cli: Cli) -> Exit {
    let app = App {
        show: Show::of_process(cli.json, cli.quiet, cli.verbose),
        surroundings: Surroundings::of_process(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(cli.command.run(&app));
            // A thread that still waits for input must not hold the process up.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(Fault::from_error(FaultCode::Failed, &error).into()),
    };
    ended.unwrap_or_else(|failure| {
        app.show.failure(&failure);
        failure.exit
    })
}

/// Prints what clap has to say: help and versions as they are, errors in our own form.
fn explain(error: &clap::Error) -> Exit {
    let json = std::env::args_os()
        .skip(1)
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json");
    let show = Show::of_process(json, false, false);
    if !error.use_stderr() {
        return match show.raw(rendered(error, show.stdout_terminal && !show.no_color)) {
            Ok(()) => Exit::Success,
            Err(failure) => failure.exit,
        };
    }
    let text = rendered(error, false);
    let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
    if json {
        let message = text.lines().next().unwrap_or_default();
        show.failure(&Failure::from(Fault::new(FaultCode::BadRequest, message)));
    } else {
        eprintln!("banger: {text}");
    }
    Exit::Usage
}

fn rendered(error: &clap::Error, color: bool) -> String {
    let text = error.render();
    if color {
        text.ansi().to_string()
    } else {
        text.to_string()
    }
}
