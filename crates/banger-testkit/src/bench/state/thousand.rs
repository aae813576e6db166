//! A thousand recorded machines, none of which runs: starting the daemon, listing, memory.

use super::super::error::Error;
use super::super::figure::{Figure, Unit};
use super::super::process::Process;
use super::super::ps::{GET_VERB, listed};
use super::super::statistics::Samples;
use super::super::{milliseconds, missing, repeat};
use super::served::Served;
use super::{create, side_by_side};
use crate::{World, api};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How many there are.
const MACHINES: usize = 1000;
/// Creations at the same time, when they are made.
const CONNECTIONS: usize = 8;
/// How long a daemon may take to answer before it counts as one that does not come up.
const UP_LIMIT: Duration = Duration::from_secs(60);

/// Samples of each kind.
#[derive(Default)]
struct Measured {
    up: Vec<Duration>,
    memory: Vec<f64>,
    command: Vec<Duration>,
    request: Vec<Duration>,
    bare: Vec<Duration>,
}

/// Measures it.
///
/// # Errors
/// When the daemon does not come up or a machine is missing in a list.
pub(super) fn measure(count: usize) -> Result<Vec<Figure>, Error> {
    let (full, empty) = (World::simulated(), World::simulated());
    let _ = full.run(["ps"]).good();
    eprintln!("state: {MACHINES} machines are made");
    let names: Vec<String> = (0..MACHINES)
        .map(|index| format!("recorded-{index}"))
        .collect();
    side_by_side(&names, CONNECTIONS, |name| create(&full, name))?;
    full.stop_daemon();
    let (mut with, mut without) = (Measured::default(), Measured::default());
    sample(&full, MACHINES, &mut Measured::default())?;
    sample(&empty, 0, &mut Measured::default())?;
    repeat("state.1000", count, |_| {
        sample(&full, MACHINES, &mut with)?;
        sample(&empty, 0, &mut without)
    })?;
    figures(&with, &without)
}

fn figures(with: &Measured, without: &Measured) -> Result<Vec<Figure>, Error> {
    let ms = Unit::Milliseconds;
    let time = |name, durations: &[Duration]| milliseconds(name, durations);
    let memory = |measured: &Measured| missing("memory", Samples::new(measured.memory.clone()));
    let bare = time("the same bytes", &with.bare)?;
    let (up, up_empty) = (time("up", &with.up)?, time("up, empty", &without.up)?);
    let (command, request) = (time("list", &with.command)?, time("GET", &with.request)?);
    Ok(vec![
        Figure::new("state.up.1000", ms, &up, Some(&up_empty)).with_goal(None, Some(100.0)),
        Figure::new("state.list.1000", ms, &command, Some(&bare)).with_goal(None, Some(25.0)),
        Figure::new("state.list.1000.api", ms, &request, Some(&bare)),
        Figure::new(
            "state.memory.1000",
            Unit::Mebibytes,
            &memory(with)?,
            Some(&memory(without)?),
        )
        .with_goal(None, Some(40.0)),
    ])
}

/// One daemon: from the start of its process to its first answer, then lists, then its memory.
fn sample(world: &World, machines: usize, into: &mut Measured) -> Result<(), Error> {
    let begun = Instant::now();
    let mut command = world.program("bangerd");
    command.arg("serve").stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let daemon = Process::spawn(&mut command)?;
    first_answer(world, &daemon)?;
    into.up.push(begun.elapsed());

    let list = listed(&mut world.banger(["vm", "list"]), machines)?;
    let body = api::get(world, "/v1/sandboxes").map_err(Error::io("ask for the list"))?;
    into.request.push(body.took);
    into.command.push(list);
    let socket = world.path("served.sock");
    let served = Served::new(&socket, &body.body)?;
    into.bare.push(listed(&mut bare_get(&socket)?, machines)?);
    drop(served);
    let _gone = std::fs::remove_file(&socket);
    into.memory.push(super::super::daemon::resident(world)?);
    let _ = world.run(["daemon", "stop"]).good();
    daemon.finish().map(drop)
}

/// Asks until it is answered; a connection that waits for the daemon is answered first.
fn first_answer(world: &World, daemon: &Process) -> Result<(), Error> {
    let until = Instant::now() + UP_LIMIT;
    while api::get(world, "/v1/version").is_err() {
        if daemon.ends_within(Duration::from_millis(1))? || Instant::now() >= until {
            return Err(Error::wrong("a daemon did not come up"));
        }
    }
    Ok(())
}

fn bare_get(socket: &Path) -> Result<Command, Error> {
    let own = std::env::current_exe().map_err(Error::io("find this program"))?;
    let mut command = Command::new(own);
    command.arg(GET_VERB).arg(socket).arg("/v1/sandboxes");
    Ok(command)
}
