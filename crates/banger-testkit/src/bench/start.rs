//! Cold starts: from nothing to a guest whose agent has answered, and its first command.

use super::bare::Template;
use super::error::Error;
use super::figure::{Figure, Unit};
use super::process;
use super::start_times::StartTimes;
use super::{milliseconds, repeat};
use crate::World;
use std::io::{BufRead, BufReader};
use std::process::{ChildStdin, ChildStdout};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The name of the sandbox whose command line the bare machines get.
const MODEL: &str = "model";

/// Times of one kind each.
#[derive(Debug, Default)]
struct Times {
    agent: Vec<Duration>,
    command: Vec<Duration>,
    whole: Vec<Duration>,
    bare_hello: Vec<Duration>,
    bare_configured: Vec<Duration>,
    bare_command: Vec<Duration>,
}

/// Measures them.
///
/// # Errors
/// When a start fails or leaves something behind.
pub fn measure(count: usize) -> Result<Vec<Figure>, Error> {
    let world = World::real();
    let template = model(&world)?;
    let mut times = Times::default();
    // What the first of each kind reads from the disk, the others find in memory.
    run(&world, &mut Times::default())?;
    boot(&world, &template, &mut Times::default())?;
    repeat("start", count, |_| {
        run(&world, &mut times)?;
        boot(&world, &template, &mut times)
    })?;
    world.assert_nothing_left();
    figures(&times)
}

fn figures(times: &Times) -> Result<Vec<Figure>, Error> {
    let agent = milliseconds("start", &times.agent)?;
    let command = milliseconds("first command", &times.command)?;
    let whole = milliseconds("vm run", &times.whole)?;
    let hello = milliseconds("hello", &times.bare_hello)?;
    let configured = milliseconds("configured", &times.bare_configured)?;
    let bare_command = milliseconds("bare command", &times.bare_command)?;
    let ms = Unit::Milliseconds;
    Ok(vec![
        Figure::new("start.agent", ms, &agent, Some(&configured)).with_goal(Some(1.15), None),
        Figure::new("start.agent.hello", ms, &agent, Some(&hello)),
        Figure::new("start.first-command", ms, &command, Some(&bare_command))
            .with_goal(None, Some(50.0)),
        Figure::new("start.run", ms, &whole, None),
    ])
}

/// One `vm run --rm`, as a user types it.
fn run(world: &World, times: &mut Times) -> Result<(), Error> {
    let arguments = [
        "vm",
        "run",
        "--rm",
        "--init",
        "none",
        "--timings",
        "--",
        "true",
    ];
    let ran = process::run_for_output(&mut world.banger(arguments))?;
    let mut read = ran
        .notes
        .iter()
        .filter_map(|(come, line)| Some((*come, StartTimes::read(line)?)));
    let (come, start) = read
        .next()
        .ok_or_else(|| Error::wrong(format!("no start times in {:?}", ran.notes)))?;
    let command = start.first_command.saturating_sub(start.agent_answered);
    times.command.push(command);
    // The line comes at once when the command is done; our clock began before the process.
    times.agent.push(come.saturating_sub(command));
    times.whole.push(ran.took);
    Ok(())
}

/// One boot without banger.
fn boot(world: &World, template: &Template, times: &mut Times) -> Result<(), Error> {
    let mut bare = template.boot(world)?;
    times.bare_hello.push(bare.answered);
    times.bare_configured.push(bare.configured);
    let begun = Instant::now();
    bare.port.run(&["true"])?;
    times.bare_command.push(begun.elapsed());
    Ok(())
}

/// Runs a machine as [`run`] does, to see what banger starts for it.
fn model(world: &World) -> Result<Template, Error> {
    let arguments = [
        "vm",
        "run",
        "--rm",
        "--init",
        "none",
        "--name",
        MODEL,
        "-i",
        "--",
        "sh",
        "-c",
        "echo up; read line; :",
    ];
    let (seen, may_end) = mpsc::channel::<()>();
    let hold = move |stdin: ChildStdin| {
        // Ends when the other end is dropped.
        let _never = may_end.recv();
        drop(stdin);
    };
    let look = move |stdout: ChildStdout| {
        let _seen_then = seen;
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        if read.is_err() || line != "up\n" {
            return Err(Error::wrong(format!("the model machine said {line:?}")));
        }
        Template::of_running(world, MODEL)
    };
    process::run(&mut world.banger(arguments), hold, look)?.output
}
