//! Creating a sandbox, and taking it back when the user changes their mind.

use crate::client::operation::Events;
use crate::client::request::Ask;
use crate::client::{Client, path};
use crate::exec::signals::Signals;
use crate::exit::{Exit, Failure};
use crate::operation;
use crate::show::{Show, progress::Progress};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::operation::Event;
use banger_proto::owner::sandbox::{CreateRequest, Sandbox};
use hyper::Method;
use std::time::Duration;

/// How long an interrupted creation may take to end, where it cannot be overtaken.
const END_LIMIT: Duration = Duration::from_secs(60);

/// A name for a moment that several creations share.
///
/// # Errors
/// There are no random bytes.
pub fn moment() -> Result<String, Fault> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| Fault::new(FaultCode::Failed, error))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// As [`create`], one of several at once: what becomes of all is shown by whoever has them made, and each is cancelled
/// when this program is interrupted.
///
/// # Errors
/// As [`create`].
pub async fn one_of_several(client: &Client, request: &CreateRequest) -> Result<Sandbox, Failure> {
    let listening = Signals::listen();
    let mut signals = listening.map_err(|error| Fault::from_error(FaultCode::Failed, &error))?;
    create(client, Show::silent(), request, &mut signals).await
}

/// Creates a sandbox and starts it if the request says so. Interrupted, it deletes what was made.
///
/// # Errors
/// The operation's fault. What did not come up is kept, and the failure says how to look at it.
pub async fn create(
    client: &Client,
    show: Show,
    request: &CreateRequest,
    signals: &mut Signals,
) -> Result<Sandbox, Failure> {
    let ask = Ask::json(Method::POST, path::plain("sandboxes"), request);
    let progress = show.progress();
    let events = tokio::select! {
        events = client.begin(ask) => events?,
        number = signals.stop() => return Err(unanswered(number)),
    };
    let mut creation = Creation {
        client,
        events,
        op: None,
        id: None,
    };
    let ended = tokio::select! {
        ended = creation.follow(&progress) => ended,
        number = signals.stop() => {
            drop(progress);
            return Err(creation.cancel(show, signals, number).await);
        }
    };
    drop(progress);
    match ended {
        Ok(sandbox) => Ok(sandbox),
        Err(fault) => Err(creation.kept(fault).await.into()),
    }
}

fn unanswered(number: u8) -> Failure {
    let message = "interrupted before the daemon answered: it may create the sandbox yet";
    Failure {
        fault: Fault::new(FaultCode::Cancelled, message)
            .with_remedy("see `banger vm list`, delete it with `banger vm rm NAME`"),
        exit: Exit::Signal(number),
    }
}

struct Creation<'a> {
    client: &'a Client,
    events: Events<'a>,
    op: Option<String>,
    /// The sandbox's id, once the daemon has told it. A name is not enough: the sandbox of that
    /// name may be another one, which made this creation fail.
    id: Option<String>,
}

impl Creation<'_> {
    async fn follow(&mut self, progress: &Progress) -> Result<Sandbox, Fault> {
        loop {
            match self.events.next().await? {
                Event::Accepted { op, sandbox } => (self.op, self.id) = (Some(op), sandbox),
                Event::Done { result } => return operation::read(result),
                Event::Failed { fault } => return Err(fault),
                event => progress.event(&event),
            }
        }
    }

    /// Adds what is left to look at.
    async fn kept(&self, fault: Fault) -> Fault {
        let fault = match &self.op {
            Some(op) => fault.with_op(op),
            None => fault,
        };
        let Some(id) = &self.id else { return fault };
        let found: Result<Sandbox, Fault> = self.client.get(path::sandbox(id, "")).await;
        let Ok(sandbox) = found else { return fault };
        let hint = format!(
            "see what it printed with `banger vm logs {0}`; delete it with `banger vm rm {0}`",
            sandbox.name
        );
        let remedy = match &fault.remedy {
            Some(remedy) => format!("{remedy}; {hint}"),
            None => hint,
        };
        fault.with_remedy(remedy)
    }

    /// Deletes what was begun. A second interrupt ends the wait.
    async fn cancel(mut self, show: Show, signals: &mut Signals, number: u8) -> Failure {
        show.note("banger: interrupted: deleting what was begun");
        let deleted = tokio::select! {
            deleted = self.undo() => deleted,
            _ = signals.stop() => Err(Fault::new(
                FaultCode::Cancelled,
                "interrupted twice: the sandbox may still be there",
            )
            .with_remedy("see `banger vm list`, delete it with `banger vm rm NAME`")),
        };
        let fault = match deleted {
            Ok(()) => Fault::new(
                FaultCode::Cancelled,
                "interrupted before the guest was up; the sandbox was deleted",
            ),
            Err(fault) => fault,
        };
        let exit = Exit::Signal(number);
        Failure { fault, exit }
    }

    async fn undo(&mut self) -> Result<(), Fault> {
        let silent = Show::silent().progress();
        if self.id.is_none() {
            let ended = tokio::time::timeout(END_LIMIT, self.follow(&silent)).await;
            match ended {
                Ok(Ok(sandbox)) => self.id = Some(sandbox.id),
                // It failed, and what it had begun is undone.
                Ok(Err(_)) if self.id.is_none() => return Ok(()),
                Ok(Err(_)) => {}
                Err(_) => {
                    let message = "interrupted; the creation has not ended since";
                    return Err(Fault::new(FaultCode::TimedOut, message)
                        .with_remedy("see `banger vm list`, delete it with `banger vm rm NAME`"));
                }
            }
        }
        let id = self.id.as_deref().unwrap_or_default();
        operation::delete(self.client, id, &silent).await
    }
}
