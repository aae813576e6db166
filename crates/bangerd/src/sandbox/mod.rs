//! One sandbox: a driver task that owns its state, and the handle by which others send it requests.
//!
//! ```text
//!   api ── Command ──▶ ┌────────────── Driver ──────────────┐
//!                      │ admission table: go, wait, refuse  │
//!   VMM ended ───────▶ │ one piece of work at a time:       │ ──▶ View (watch)
//!   link lost ───────▶ │   survey → plan → act → record     │
//!                      └────────────────────────────────────┘
//! ```
//!
//! The work is part of the driver: it is polled by it and dropped when a request overtakes it. What
//! it had made then is found by the next survey. Different sandboxes share nothing here.

mod act;
mod checkpointing;
pub mod command;
mod comparing;
mod driver;
mod grow;
mod identity;
mod line;
mod objects;
mod phases;
mod ports;
mod reconcile;
mod rehearsing;
mod rename;
mod restoring;
mod resuming;
mod saving;
mod set;
mod shutdown;
mod stall;
mod starting;
mod survey;
mod taking;
mod tracked;
mod undoing;
mod works;

use command::Message;
pub use command::{Cancelling, Command, Reply};
pub use comparing::{Against, Comparison, Difference};
pub use driver::{Origin, spawn};
pub use line::PlaceInLine;
pub(crate) use phases::fingerprint_of;
pub(crate) use ports::{cannot_publish, ports_are_free};
pub use saving::Wanted;
pub(crate) use set::wanted_sizes;
pub use survey::{vmm_lives, vmm_of};
pub use taking::Taking;

use crate::guest::Link;
use crate::last_use::LastUse;
use crate::operation::OpId;
use crate::progress::Progress;
use crate::publish::Listeners;
use crate::record::Record;
use crate::vmm::console::Console;
use banger_model::admission::{Admission, Request, admit, admit_pooled};
use banger_model::spec::Wait;
use banger_model::{SandboxId, SandboxName, SandboxState};
use banger_proto::fault::{Fault, FaultCode};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long a request that talks to the guest waits until it can.
const LONGEST_WAIT_FOR_GUEST: Duration = Duration::from_secs(150);

/// How much of a command is kept with its checkpoint, in characters.
const LONGEST_COMMAND: usize = 200;

/// What is known of a sandbox at a moment.
#[derive(Debug, Clone)]
pub struct View {
    /// Its record.
    pub record: Record,
    /// The link to its agent, while there is one.
    pub link: Option<Arc<Link>>,
    /// The agent's version, once it has said it.
    pub agent_version: String,
    /// Why there is no link though the guest runs.
    pub trouble: Option<String>,
    /// Why its guest is paused, when it is.
    pub stalled: Option<String>,
    /// What the daemon before left has not been looked at yet.
    pub adopting: bool,
    /// It is deleted: nothing will come any more.
    pub gone: bool,
}

/// A handle to a sandbox. The driver ends when the sandbox is deleted.
#[derive(Debug)]
pub struct Sandbox {
    /// Its id.
    pub id: SandboxId,
    messages: mpsc::Sender<Message>,
    /// Requests in the order in which they came.
    line: line::Line,
    view: watch::Receiver<View>,
    /// Its published ports.
    pub listeners: Arc<Listeners>,
    /// When a request for it was sent to its driver last.
    asked: LastUse,
    /// What its guest prints.
    pub console: Arc<Console>,
    sessions: AtomicU32,
    /// Milliseconds since the daemon's start when the last session ended.
    quiet_since: AtomicU64,
}

impl Sandbox {
    /// What is known of it now.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Its record now; with the reason why its guest is paused, which is not stored: it holds only
    /// for as long as somebody looks.
    #[must_use]
    pub fn record(&self) -> Record {
        let view = self.view.borrow();
        let mut record = view.record.clone();
        record.reason = record.reason.or_else(|| view.stalled.clone());
        record
    }

    /// What lists are ordered by: when it was created, in seconds since 1970, and its name.
    #[must_use]
    pub fn creation(&self) -> (u64, SandboxName) {
        let record = &self.view.borrow().record;
        (record.created_at, record.name.clone())
    }

    /// Whether it waits in the pool, and is nobody's.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.view.borrow().record.spec.pooled.is_some()
    }

    /// Sends a request to the driver; the answer comes when it is done.
    ///
    /// # Errors
    /// The request's own fault, or that the sandbox is gone.
    pub async fn request(
        &self,
        make: impl FnOnce(Reply) -> Command + Send,
    ) -> Result<Record, Fault> {
        self.send(make).await?.await
    }

    /// As [`Self::request`], in two steps: it is the driver's once this returns.
    ///
    /// # Errors
    /// That the sandbox is gone.
    pub async fn send(
        &self,
        make: impl FnOnce(Reply) -> Command + Send,
    ) -> Result<BoxFuture<'static, Result<Record, Fault>>, Fault> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let message = Message::Command(make(reply));
        self.asked.touch();
        if self.messages.send(message).await.is_err() {
            return Err(self.gone());
        }
        let gone = self.gone();
        Ok(Box::pin(async move { answer.await.unwrap_or(Err(gone)) }))
    }

    /// Cancels an operation that was sent to the driver.
    pub async fn cancel(&self, op: OpId) -> Cancelling {
        let (answer, cancelling) = tokio::sync::oneshot::channel();
        match self.messages.send(Message::Cancel(op, answer)).await {
            Ok(()) => cancelling.await.unwrap_or(Cancelling::Unknown),
            Err(_) => Cancelling::Unknown,
        }
    }

    /// A place behind every request that came before: never waits.
    pub async fn queue(&self) -> PlaceInLine {
        self.line.queue().await
    }

    /// Waits until what the daemon before left has been looked at.
    pub async fn settled(&self) {
        let mut view = self.view.clone();
        // It ends with its driver, when it is deleted.
        let _gone = view.wait_for(|view| !view.adopting).await;
    }

    fn gone(&self) -> Fault {
        gone(&self.view.borrow())
    }

    /// The link to its guest; waits while the sandbox starts or the link is being made again. A guest that is
    /// suspended is let go on first.
    ///
    /// # Errors
    /// Refused when it does not run, `Guest` when its agent does not answer.
    pub async fn guest(&self) -> Result<Arc<Link>, Fault> {
        self.settled().await;
        let asleep = matches!(ready(&self.view.borrow()), Readiness::Asleep);
        if asleep {
            self.wake().await?;
        }
        linked(self.view.clone(), LONGEST_WAIT_FOR_GUEST).await
    }

    /// Starts a guest that is suspended. One that somebody else has woken meanwhile is what was wanted.
    async fn wake(&self) -> Result<(), Fault> {
        let place = self.queue().await;
        let turn = place.first().await;
        let silent = Progress::silent();
        let woken = self.send(|reply| Command::Start(Wait::Agent, silent, reply));
        let woken = woken.await?;
        drop(turn);
        woken.await.map(drop)
    }

    /// Keeps what it is before a command, if it is one that keeps checkpoints.
    ///
    /// # Errors
    /// None could be made: the command is not to be run.
    pub async fn checkpoint(&self, command: &str) -> Result<(), Fault> {
        if !self.view.borrow().record.spec.checkpoint {
            return Ok(());
        }
        let command = command.chars().take(LONGEST_COMMAND).collect();
        let place = self.queue().await;
        let turn = place.first().await;
        let silent = Progress::silent();
        let made = self.send(|reply| Command::Checkpoint(command, silent, reply));
        let made = made.await?;
        drop(turn);
        match made.await {
            Ok(_) => Ok(()),
            Err(fault) if fault.code == FaultCode::NotFound => Err(fault),
            Err(fault) => Err(checkpointing::not_made(fault)),
        }
    }

    /// Notes that a session is attached, until the guard is dropped; likewise that it is in the hands of who creates
    /// or saves it.
    #[must_use]
    pub fn attach(self: &Arc<Self>, clock: Clock) -> SessionGuard {
        self.sessions.fetch_add(1, Ordering::SeqCst);
        SessionGuard {
            sandbox: Arc::clone(self),
            clock,
        }
    }

    /// Sessions that are attached.
    #[must_use]
    pub fn sessions(&self) -> u32 {
        self.sessions.load(Ordering::SeqCst)
    }

    /// For how long no session has been attached; zero while one is.
    #[must_use]
    pub fn quiet_for(&self, clock: Clock) -> Duration {
        if self.sessions() > 0 {
            return Duration::ZERO;
        }
        let since = Duration::from_millis(self.quiet_since.load(Ordering::SeqCst));
        clock.elapsed().saturating_sub(since)
    }

    /// For how long a guest that runs has been used by nobody, as far as the daemon sees; `None` where that
    /// cannot be told: it does not run, is paused, or its agent is not there. A daemon that was started
    /// again, and a link that was made again, begin to count anew.
    #[must_use]
    pub fn unused_for(&self) -> Option<Duration> {
        unused_for(&self.view.borrow()).map(|unused| unused.min(self.asked.elapsed()))
    }

    /// Notes a use that no request and no stream tells of.
    pub fn touch(&self) {
        self.asked.touch();
    }

    /// Begins to count anew how long it has been quiet.
    fn stir(&self, clock: Clock) {
        let now = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.quiet_since.store(now, Ordering::SeqCst);
    }
}

/// Time since the daemon's start.
#[derive(Debug, Clone, Copy)]
pub struct Clock(std::time::Instant);

impl Clock {
    /// Begins now.
    #[must_use]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }
    /// How long ago that was.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Counts one attached session.
#[derive(Debug)]
pub struct SessionGuard {
    sandbox: Arc<Sandbox>,
    clock: Clock,
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.sandbox.stir(self.clock);
        self.sandbox.sessions.fetch_sub(1, Ordering::SeqCst);
    }
}

fn gone(view: &View) -> Fault {
    let message = format!("the sandbox {} was deleted", view.record.name);
    Fault::new(FaultCode::NotFound, message)
}

/// See [`Sandbox::guest`]; waits no longer than the limit.
async fn linked(mut view: watch::Receiver<View>, limit: Duration) -> Result<Arc<Link>, Fault> {
    let waiting = async {
        loop {
            let seen = ready(&view.borrow_and_update());
            match seen {
                Readiness::Ready(link) => return Ok(link),
                Readiness::Never(fault) => return Err(fault),
                // It was suspended after it had been woken, or by what asks.
                Readiness::Asleep => {
                    let refusal = banger_model::admission::Refusal::NotRunning;
                    return Err(refused(&view.borrow(), refusal));
                }
                Readiness::NotYet => {}
            }
            if view.changed().await.is_err() {
                return Err(gone(&view.borrow()));
            }
        }
    };
    tokio::time::timeout(limit, waiting)
        .await
        .unwrap_or_else(|_| {
            Err(
                Fault::new(FaultCode::TimedOut, "the guest's agent does not answer")
                    .with_remedy("see `banger vm logs NAME`, then `banger vm restart NAME`"),
            )
        })
}

fn unused_for(view: &View) -> Option<Duration> {
    let runs = view.record.state == SandboxState::Running && view.stalled.is_none();
    let link = view
        .link
        .as_ref()
        .filter(|link| runs && link.lost().is_none())?;
    Some(link.unused_for())
}

enum Readiness {
    Ready(Arc<Link>),
    NotYet,
    /// It is suspended.
    Asleep,
    Never(Fault),
}

/// What the admission table says of a request now.
fn admission(view: &View, request: Request) -> Admission {
    match admit(view.record.state, request) {
        Admission::Refuse(refusal) => Admission::Refuse(refusal),
        admission if view.record.spec.pooled.is_some() => {
            admit_pooled(request).map_or_else(Admission::Refuse, |()| admission)
        }
        admission => admission,
    }
}

/// Whether a guest can be talked to, by the admission table and what is known of its link.
fn ready(view: &View) -> Readiness {
    match (admission(view, Request::Use), &view.link, &view.trouble) {
        (Admission::Refuse(refusal), _, _) => Readiness::Never(refused(view, refusal)),
        (Admission::Wake, _, _) if view.adopting => Readiness::NotYet,
        (Admission::Wake, _, _) => Readiness::Asleep,
        (Admission::Go, _, _) if let Some(stalled) = &view.stalled => Readiness::Never(
            Fault::new(
                FaultCode::Unavailable,
                format!("sandbox {} is {stalled}", view.record.name),
            )
            .with_remedy("delete what is not needed, or free room otherwise"),
        ),
        (Admission::Go, Some(link), _) if link.lost().is_none() => {
            Readiness::Ready(Arc::clone(link))
        }
        (Admission::Go, _, Some(trouble)) => Readiness::Never(
            Fault::new(
                FaultCode::Guest,
                format!(
                    "the agent of sandbox {} does not answer: {trouble}",
                    view.record.name
                ),
            )
            .with_remedy("see `banger vm logs NAME`, then `banger vm restart NAME`"),
        ),
        _ => Readiness::NotYet,
    }
}

/// A refusal of the admission table as a fault.
pub(crate) fn refused(view: &View, refusal: banger_model::admission::Refusal) -> Fault {
    let name = &view.record.name;
    let mut message = format!("sandbox {name} cannot do this now: {refusal}");
    if view.record.state != SandboxState::Running
        && let Some(reason) = &view.record.reason
    {
        message.push_str(&format!(" ({reason})"));
    }
    Fault::new(FaultCode::Refused, message)
        .with_remedy(refusal.remedy().replace("NAME", name.as_str()))
}
