//! `banger-bench`: banger and the bare mechanism beneath it, alternately in one run.
//!
//! ```text
//! request ─▶ start ──▶ bare (a QEMU of our own) ─▶ port (the agent's protocol, blocking)
//!            exec  ─┘   └─ raw (a second port, no protocol)
//!            ps, daemon, network, state, fork   all ─▶ statistics ─▶ figure ─▶ table or JSON
//! ```
//!
//! Each part has a [`World`](crate::World) of its own; with it go all processes and files. Slow results
//! are printed and are no failure; wrong and missing ones are an [`Error`]. What the figures mean is
//! in `docs/bench.md`.

pub mod bare;
pub mod command_line;
pub mod daemon;
pub mod error;
pub mod exec;
pub mod figure;
pub mod fork;
pub mod interrupt;
pub mod network;
pub mod port;
pub mod process;
pub mod ps;
pub mod raw;
pub mod request;
pub mod start;
pub mod start_times;
pub mod state;
pub mod statistics;

use error::Error;
use figure::Figure;
use fork::What;
use request::{Part, Request};
use statistics::Samples;
use std::process::ExitCode;
use std::time::Duration;

/// The program: `arguments` without its name.
#[must_use]
pub fn main(arguments: &[String]) -> ExitCode {
    if let [verb, socket, path] = arguments
        && verb == ps::GET_VERB
    {
        return outcome(ps::get(socket.as_ref(), path));
    }
    if let [verb] = arguments
        && verb == network::name_server::SERVE_VERB
    {
        return outcome(network::name_server::serve());
    }
    match Request::parse(arguments) {
        Ok(request) => outcome(measure(&request)),
        Err(why) => {
            eprintln!("banger-bench: {why}");
            ExitCode::from(2)
        }
    }
}

fn outcome(result: Result<(), Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("banger-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(request: &Request) -> Result<(), Error> {
    interrupt::watch()?;
    let mut figures: Vec<Figure> = Vec::new();
    for part in &request.parts {
        figures.extend(match part {
            Part::Start => start::measure(request.count)?,
            Part::Exec => exec::measure(request.count)?,
            Part::Ps => ps::measure(request.count)?,
            Part::Daemon => daemon::measure(request.count)?,
            Part::Network => network::measure(request.count)?,
            Part::Fork => fork::measure(&What::ALL, request.count)?,
            Part::Runs => fork::measure(&[What::Runs], request.count)?,
            Part::Undo => fork::measure(&[What::Undo], request.count)?,
            Part::Wake => fork::measure(&[What::Wake], request.count)?,
            Part::Memory => fork::measure(&[What::Memory], request.count)?,
            Part::State => state::measure(request.count)?,
            Part::Places => network::measure_places(request.count)?,
            Part::Tcp => network::measure_tcp(request.count)?,
        });
    }
    let text = if request.json {
        figure::json(&figures)
    } else {
        figure::table(&figures)
    };
    print!("{text}");
    Ok(())
}

/// Does something so many times, saying how far it is, until somebody interrupts.
fn repeat(
    what: &str,
    count: usize,
    mut each: impl FnMut(usize) -> Result<(), Error>,
) -> Result<(), Error> {
    for index in 0..count {
        interrupt::check()?;
        eprintln!("{what}: {} of {count}", index + 1);
        each(index)?;
    }
    Ok(())
}

fn milliseconds(what: &str, durations: &[Duration]) -> Result<Samples, Error> {
    missing(what, Samples::milliseconds(durations))
}

fn missing(what: &str, samples: Option<Samples>) -> Result<Samples, Error> {
    samples.ok_or_else(|| Error::wrong(format!("nothing was measured for {what}")))
}
