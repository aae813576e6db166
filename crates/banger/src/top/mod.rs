//! The live table: looks at regular times, on the terminal's other screen or as plain tables.

mod screen;
mod source;
mod table;

use crate::commands::App;
use crate::exec::input;
use crate::exec::signals::Came;
use crate::exec::terminal::{self, Raw};
use crate::exit::{Exit, Failure};
use crate::show::stats::{SAID_NOTE, is_said};
use crate::stats::{Looks, Measured};
use banger_proto::fault::{Fault, FaultCode};
use screen::{Key, Screen, key};
use source::{Look, look};
use std::io::IsTerminal;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// For how long plain tables wait for a daemon that is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// Plain tables, so many.
    pub count: Option<u64>,
    /// Between two looks.
    pub delay: Duration,
    /// By what machines are sorted.
    pub order: Order,
}

/// By what machines are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Order {
    /// Processor time
    #[default]
    Cpu,
    /// Memory of the host
    Memory,
}

/// Does it.
///
/// # Errors
/// The daemon's fault.
pub async fn run(app: &App, wish: Wish) -> Result<Exit, Failure> {
    // As every command: a daemon is started, and one of another build replaced.
    drop(app.client().await?);
    let terminal = app.show.stdout_terminal && std::io::stdin().is_terminal();
    match wish.count {
        None if terminal && !app.show.json && !app.show.quiet => live(app, wish).await,
        count => plain(app, wish, count.unwrap_or(1)).await,
    }
}

async fn plain(app: &App, wish: Wish, count: u64) -> Result<Exit, Failure> {
    let mut looks = Looks::default();
    let mut ticks = ticks(wish.delay);
    let mut printed = 0;
    let mut seen = Instant::now();
    while printed < count {
        ticks.tick().await;
        let now = match look(&app.surroundings).await? {
            Look::Seen(now) => now,
            Look::Gone if seen.elapsed() < PATIENCE => continue,
            Look::Gone => {
                let fault = Fault::new(
                    FaultCode::Unavailable,
                    "the daemon is gone, and no other has come",
                );
                return Err(fault
                    .with_remedy("run the command again: it starts one")
                    .into());
            }
        };
        seen = Instant::now();
        let mut rows = looks.next(now);
        table::sort(&mut rows, wish.order);
        print(app, &rows, printed > 0)?;
        printed += 1;
    }
    Ok(Exit::Success)
}

fn print(app: &App, rows: &[Measured], again: bool) -> Result<(), Failure> {
    if app.show.json {
        return rows.iter().try_for_each(|row| app.show.json_line(row));
    }
    if app.show.quiet {
        return app.show.lines(rows.iter().map(|row| &row.stats.name));
    }
    if again {
        app.show.raw("\n")?;
    }
    app.show.table(&table::table(rows))?;
    if is_said(rows) {
        app.show.aside(SAID_NOTE);
    }
    Ok(())
}

fn ticks(delay: Duration) -> tokio::time::Interval {
    let mut ticks = interval(delay);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn live(app: &App, wish: Wish) -> Result<Exit, Failure> {
    let mut signals = app.signals()?;
    // The screen is left before the terminal's modes are restored.
    let raw = Raw::enter();
    let mut screen = Screen::enter(app.show)?;
    let mut keys = input::read();
    let mut looks = Looks::default();
    let mut ticks = ticks(wish.delay);
    let (mut rows, mut order, mut gone) = (Vec::new(), wish.order, false);
    let exit = loop {
        tokio::select! {
            looked = async { ticks.tick().await; look(&app.surroundings).await } => match looked {
                Ok(Look::Seen(now)) => (rows, gone) = (looks.next(now), false),
                Ok(Look::Gone) => gone = true,
                Err(fault) => {
                    drop((screen, raw));
                    return Err(fault.into());
                }
            },
            came = signals.next() => match came {
                Came::Resize => {}
                Came::Interrupt(_) => break Exit::Success,
                Came::End(signal) => break Exit::Signal(signal),
            },
            pressed = keys.recv() => match pressed.as_deref().map(key) {
                Some(Some(Key::Sort(by))) => order = by,
                Some(None) => {}
                // Ctrl-C is a key here; a terminal that is gone has none.
                Some(Some(Key::Leave)) | None => break Exit::Success,
            },
        }
        table::sort(&mut rows, order);
        screen.draw(&rows, order, gone, terminal::size())?;
    };
    drop((screen, raw));
    Ok(exit)
}
