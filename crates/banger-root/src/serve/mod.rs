//! Serving: one thread at the door, a fixed number of workers behind it.
//!
//! Who has connected and not sent anything costs a descriptor, no thread and no buffer, and is sent
//! away when it takes too long or others come. So ten thousand connections cost what a few do.

mod request;
mod turns;

use crate::judge::Place;
use crate::log;
use banger_linux::memory;
use banger_linux::programs::Programs;
use banger_linux::seqpacket::{Connection, Listener};
use request::Desk;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Requests at work at the same time. Those that change the same objects go one after the other anyway.
const WORKERS: usize = 4;
/// A worker's stack. Deepest is the reader of JSON, which goes down at most 128 levels.
const STACK: usize = 512 * 1024;
/// Connections that may be open without having sent their request.
const SILENT_MAX: usize = 128;
/// How long one may be silent: a client sends as soon as it is connected.
const SILENT_TIME: Duration = Duration::from_secs(5);
/// Between two looks at who has been silent too long.
const LOOK: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};
/// After the system has refused a connection: descriptors are freed when requests end.
const PAUSE: Duration = Duration::from_millis(50);

/// The helper, ready to serve.
pub(crate) struct Server {
    listener: Listener,
    workers: SyncSender<Connection>,
}

struct Silent {
    connection: Connection,
    since: Instant,
}

impl Server {
    /// Starts the workers.
    pub(crate) fn new(
        place: Place,
        programs: Programs,
        listener: Listener,
    ) -> Result<Self, String> {
        let desk = Arc::new(Desk::new(place, programs));
        let (workers, connections) = sync_channel(WORKERS);
        let connections = Arc::new(Mutex::new(connections));
        for number in 0..WORKERS {
            let (desk, connections) = (Arc::clone(&desk), Arc::clone(&connections));
            Builder::new()
                .name(format!("worker-{number}"))
                .stack_size(STACK)
                .spawn(move || work(&desk, &connections))
                .map_err(|error| format!("cannot start a thread: {error}"))?;
        }
        Ok(Self { listener, workers })
    }

    /// Serves until the process is ended.
    pub(crate) fn serve(self) -> ExitCode {
        let mut silent = VecDeque::with_capacity(SILENT_MAX);
        loop {
            let ready = match self.wait(&silent) {
                Ok(ready) => ready,
                Err(error) => {
                    log::line(None, format_args!("cannot wait for requests: {error}"));
                    return ExitCode::FAILURE;
                }
            };
            let (door, speaking) = ready
                .split_first()
                .map_or((false, &[][..]), |(door, rest)| (*door, rest));
            if self.hand_over(&mut silent, speaking).is_none() {
                log::line(None, "all workers are gone");
                return ExitCode::FAILURE;
            }
            silent.retain(|client: &Silent| client.since.elapsed() < SILENT_TIME);
            if door {
                self.let_in(&mut silent);
            }
        }
    }

    /// Waits until somebody connects or speaks; says who, the door first.
    fn wait(&self, silent: &VecDeque<Silent>) -> rustix::io::Result<Vec<bool>> {
        let mut waiting = Vec::with_capacity(1 + silent.len());
        waiting.push(PollFd::new(&self.listener, PollFlags::IN));
        waiting.extend(
            silent
                .iter()
                .map(|client| PollFd::new(&client.connection, PollFlags::IN)),
        );
        rustix::io::retry_on_intr(|| poll(&mut waiting, Some(&LOOK)))?;
        Ok(waiting
            .iter()
            .map(|entry| !entry.revents().is_empty())
            .collect())
    }

    /// Gives those who have spoken, or have gone, to the workers. Where all are busy it waits.
    fn hand_over(&self, silent: &mut VecDeque<Silent>, speaking: &[bool]) -> Option<()> {
        let mut kept = VecDeque::with_capacity(SILENT_MAX);
        for (client, speaks) in silent.drain(..).zip(speaking) {
            if *speaks {
                self.workers.send(client.connection).ok()?;
            } else {
                kept.push_back(client);
            }
        }
        *silent = kept;
        Some(())
    }

    /// Takes everybody who waits at the door, up to as many as may be silent; the longest silent go.
    fn let_in(&self, silent: &mut VecDeque<Silent>) {
        for _ in 0..SILENT_MAX {
            match self.listener.accept(Instant::now()) {
                Ok(Some(connection)) => {
                    if silent.len() >= SILENT_MAX {
                        silent.pop_front();
                    }
                    silent.push_back(Silent {
                        connection,
                        since: Instant::now(),
                    });
                }
                Ok(None) => return,
                Err(error) => {
                    log::line(None, format_args!("cannot take a connection: {error}"));
                    // The oldest has had its time, and a descriptor is free again.
                    silent.pop_front();
                    std::thread::park_timeout(PAUSE);
                    return;
                }
            }
        }
    }
}

/// Takes one connection after the other.
fn work(desk: &Desk, connections: &Mutex<Receiver<Connection>>) {
    loop {
        let next = connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(connection) = next else {
            return;
        };
        serve_apart(desk, &connection);
        drop(connection);
        memory::give_back();
    }
}

/// In a thread that ends with the request: glibc keeps small pieces for each thread, all over the heap, and
/// could give nothing back around them (with a thousand guests that was 3 MiB, measured).
fn serve_apart(desk: &Desk, connection: &Connection) {
    std::thread::scope(|scope| {
        let apart = Builder::new().stack_size(STACK);
        match apart.spawn_scoped(scope, || desk.serve(connection)) {
            // A panic ends the request alone.
            Ok(serving) => _ = serving.join(),
            // The system has no thread for it.
            Err(_) => desk.serve(connection),
        }
    });
}
