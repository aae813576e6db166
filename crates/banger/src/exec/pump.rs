//! A session from its start to the command's end: terminal, signals, input, output, and the link,
//! which is made again when it breaks.

use super::input;
use super::link::{Link, NoLink};
use super::output::{Output, Written};
use super::session::{Brought, Session, Stream, resize_message, signal_message};
use super::signals::{Came, Press, Presses, SIGHUP, Signals};
use super::terminal::{self, Raw};
use crate::client::Client;
use crate::exit::{Exit, Failure, SIGPIPE};
use crate::show::Show;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::exec::{Ended, Start};
use hyper::body::Bytes;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long a lost daemon is looked for.
const RECONNECT_LIMIT: Duration = Duration::from_secs(30);
/// How long a command that writes into a closed pipe may take to end.
const CLOSED_PIPE_LIMIT: Duration = Duration::from_secs(5);

/// Everything that a session holds on to.
pub(super) struct Pump<'a> {
    client: &'a Client,
    reference: String,
    show: Show,
    session: Session,
    input: Option<mpsc::Receiver<Vec<u8>>>,
    pending: Vec<u8>,
    output: Output,
    signals: &'a mut Signals,
    presses: Presses,
    raw: Option<Raw>,
    /// Set when standard output has no reader: until then the command may end by itself.
    closed: Option<Instant>,
}

/// How one connection ended.
enum Outcome {
    Ended(Ended),
    Lost,
    Left(Exit),
}

impl<'a> Pump<'a> {
    /// Prepares a session. The terminal turns raw if the command gets one.
    pub(super) fn new(
        client: &'a Client,
        reference: &str,
        show: Show,
        start: Start,
        output: Output,
        signals: &'a mut Signals,
    ) -> Self {
        let raw = start.terminal.and_then(|_| Raw::enter());
        let input = start.stdin.then(input::read);
        Self {
            client,
            reference: reference.to_owned(),
            show,
            session: Session::new(start),
            input,
            pending: Vec::new(),
            output,
            signals,
            presses: Presses::default(),
            raw,
            closed: None,
        }
    }

    /// Runs the session to its end.
    ///
    /// # Errors
    /// A failure when the command's own end is not known.
    pub(super) async fn run(mut self) -> Result<Exit, Failure> {
        loop {
            let mut link = match self.attach().await? {
                Ok(link) => link,
                Err(left) => return Ok(left),
            };
            match self.converse(&mut link).await? {
                Outcome::Lost => {}
                Outcome::Left(exit) => {
                    link.send(signal_message(SIGHUP));
                    link.leave().await;
                    return Ok(exit);
                }
                Outcome::Ended(ended) => {
                    link.leave().await;
                    return self.finish(ended).await;
                }
            }
        }
    }

    /// Attaches, again and again while there is hope; `Err` inside when the user leaves.
    async fn attach(&mut self) -> Result<Result<Link, Exit>, Failure> {
        let deadline = Instant::now() + RECONNECT_LIMIT;
        let again = self.session.is_known();
        let mut pause = Duration::from_millis(20);
        loop {
            let tried = tokio::select! {
                tried = Link::attach(self.client, &mut self.reference, &mut self.session) => tried,
                number = self.signals.stop() => return Ok(Err(self.left(number))),
            };
            let no_link = match tried {
                Ok(link) => {
                    if again {
                        self.say("(daemon restarted, session continued)");
                    }
                    return Ok(Ok(link));
                }
                Err(NoLink::Unstarted(fault)) => return Err(self.unstarted(fault)),
                Err(no_link) => no_link,
            };
            let hope = match no_link {
                NoLink::Lost(_) => Instant::now() < deadline,
                NoLink::Later(_) => again && Instant::now() < deadline,
                NoLink::Refused(_) | NoLink::Unstarted(_) => false,
            };
            if !hope {
                return Err(Failure::from(no_link.into_fault()).around());
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                number = self.signals.stop() => return Ok(Err(self.left(number))),
            }
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    fn unstarted(&self, fault: Fault) -> Failure {
        let exit = if self.session.is_known() {
            Exit::Around
        } else {
            Exit::of_unstarted(fault.code)
        };
        Failure { fault, exit }
    }

    async fn converse(&mut self, link: &mut Link) -> Result<Outcome, Failure> {
        loop {
            self.feed(link);
            let hungry = self.pending.is_empty() && self.session.room() > 0;
            tokio::select! {
                message = link.next() => {
                    let Some(message) = message else { return Ok(Outcome::Lost) };
                    if let Some(ended) = self.receive(&message)? {
                        return Ok(Outcome::Ended(ended));
                    }
                }
                bytes = next_input(&mut self.input), if hungry && self.session.takes_input() => {
                    match bytes {
                        Some(bytes) => self.pending = bytes,
                        None => self.session.end_input(),
                    }
                }
                written = self.output.written(), if self.output.is_busy() => {
                    self.wrote(written, Some(link))?;
                }
                came = self.signals.next() => {
                    if let Some(exit) = self.signal(came, link) {
                        return Ok(Outcome::Left(exit));
                    }
                }
                () = until(self.closed) => return Ok(Outcome::Left(Exit::Signal(SIGPIPE))),
            }
        }
    }

    /// Sends what may be sent.
    fn feed(&mut self, link: &mut Link) {
        let taken = self.session.input(&self.pending);
        self.pending.drain(..taken);
        if !self.session.takes_input() {
            self.pending.clear();
        }
        while let Some(message) = self.session.outgoing() {
            link.send(message);
        }
    }

    fn receive(&mut self, message: &Bytes) -> Result<Option<Ended>, Failure> {
        let brought = self
            .session
            .receive(message)
            .map_err(|broken| Failure::from(Fault::from(broken)).around())?;
        match brought {
            Brought::Nothing => Ok(None),
            Brought::Ended(ended) => Ok(Some(ended)),
            Brought::Output(stream) => {
                self.output.write(stream, message.slice(1..));
                Ok(None)
            }
        }
    }

    /// Some output was written, or its reader has left: then the command gets what a local one
    /// would get, SIGPIPE, and a little time.
    fn wrote(&mut self, written: Written, link: Option<&mut Link>) -> Result<(), Failure> {
        let credit = self.session.wrote(written.stream, written.count);
        let Some(link) = link else {
            return match written.error {
                Some(error) if written.stream == Stream::Out => Err(Failure::output(&error)),
                _ => Ok(()),
            };
        };
        if let Some(credit) = credit {
            link.send(credit);
        }
        match written.error {
            Some(error) if written.stream == Stream::Out => {
                if error.kind() != std::io::ErrorKind::BrokenPipe {
                    return Err(Failure::output(&error).around());
                }
                if self.closed.is_none() {
                    self.closed = Some(Instant::now() + CLOSED_PIPE_LIMIT);
                    link.send(signal_message(SIGPIPE));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What a signal means for the session; an exit when it ends here.
    fn signal(&mut self, came: Came, link: &mut Link) -> Option<Exit> {
        match came {
            Came::Resize => {
                if self.raw.is_some() {
                    link.send(resize_message(terminal::size()));
                }
                None
            }
            Came::End(number) => Some(self.left(number)),
            Came::Interrupt(number) => match self.presses.press(Instant::now()) {
                Press::GiveUp => {
                    self.show
                        .note("banger: no longer waiting; the command was hung up");
                    Some(Exit::Signal(number))
                }
                press => {
                    link.send(signal_message(number));
                    if press == Press::ForwardAndWarn {
                        self.show
                            .aside("banger: sent to the command; once more ends the wait for it");
                    }
                    None
                }
            },
        }
    }

    /// The command has ended: waits until its output is written, then gives the terminal back.
    async fn finish(&mut self, ended: Ended) -> Result<Exit, Failure> {
        while self.output.is_busy() {
            tokio::select! {
                written = self.output.written() => self.wrote(written, None)?,
                number = self.signals.stop() => return Ok(Exit::Signal(number)),
            }
        }
        self.raw = None;
        if let Some(exit) = Exit::of_ended(&ended) {
            return Ok(exit);
        }
        let fault = match ended {
            Ended::Failed { fault } => fault,
            _ => Fault::new(
                FaultCode::Conflict,
                "another client has taken the session over",
            ),
        };
        Err(Failure::from(fault).around())
    }

    /// Ended by a signal of ours: never without a word.
    fn left(&self, number: u8) -> Exit {
        self.show.note(&format!(
            "banger: ended by signal {number}; the command was hung up"
        ));
        Exit::Signal(number)
    }

    fn say(&self, text: &str) {
        if self.show.verbose && self.show.stderr_terminal {
            // In raw mode a line feed does not return to the first column.
            eprint!("\r{text}\r\n");
        }
    }
}

async fn next_input(input: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match input {
        Some(input) => input.recv().await,
        None => None,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
