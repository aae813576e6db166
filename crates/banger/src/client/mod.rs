//! The daemon's client: one keep-alive connection for the requests of a command, more only where
//! requests go on side by side.
//!
//! Standalone, the daemon is started when nobody listens, and replaced when it is of another build
//! and idle. With `BANGER_SOCKET` the daemon there is taken as it is.

pub mod apart;
pub mod connect;
pub mod daemon_start;
pub mod happenings;
mod io;
mod leaving;
pub mod operation;
pub mod path;
pub mod request;
mod upgrade;
pub mod version;

use crate::place::{Place, Surroundings};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::op::OpId;
use banger_proto::owner::OP_HEADER;
use banger_proto::owner::daemon::{StopRequest, Version, build_of};
use connect::Unconnected;
use hyper::body::Incoming;
use hyper::{Method, Response};
use operation::Events;
use request::{Ask, Connection, Unanswered};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Serialize, de::DeserializeOwned};
use std::cell::{Cell, RefCell};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::Instant;
pub use upgrade::WebSocket;
use version::Verdict;

/// A client of the daemon.
pub struct Client {
    surroundings: Surroundings,
    idle: RefCell<Vec<Connection>>,
    /// The pid of the daemon that the first connection was made to, where the kernel tells it.
    daemon: Cell<Option<i32>>,
    note: Option<String>,
}

impl Client {
    /// Connects; starts or replaces the daemon where that is needed.
    ///
    /// # Errors
    /// A fault when no daemon answers that fits.
    pub async fn connect(surroundings: Surroundings) -> Result<Self, Fault> {
        let mut client = Self {
            surroundings,
            idle: RefCell::default(),
            daemon: Cell::default(),
            note: None,
        };
        let deadline = Instant::now() + daemon_start::START_LIMIT;
        // A daemon may leave between our connecting and its answering.
        let lost = loop {
            match client.settle().await {
                Err(Lost::Connection(error)) if Instant::now() >= deadline => break error,
                Err(Lost::Connection(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(Lost::Unreached(fault) | Lost::Fault(fault)) => return Err(fault),
                Ok(()) => return Ok(client),
            }
        };
        Err(lost.into())
    }

    /// Connects only if a daemon listens already; `None` if none does.
    ///
    /// # Errors
    /// A fault when the socket is not to be trusted or does not answer.
    pub async fn if_running(surroundings: Surroundings) -> Result<Option<Self>, Fault> {
        let stream = match connect::connect(&surroundings.place(), surroundings.uid).await {
            Err(Unconnected::Nobody(_)) => return Ok(None),
            stream => stream?,
        };
        let daemon = Cell::new(pid_of(&stream));
        let idle = RefCell::new(vec![request::open(stream).await?]);
        Ok(Some(Self {
            surroundings,
            idle,
            daemon,
            note: None,
        }))
    }

    /// Something that the user should know about the daemon.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    async fn settle(&mut self) -> Result<(), Lost> {
        let stream = self.stream().await?;
        self.daemon.set(pid_of(&stream));
        let connection = request::open(stream).await?;
        self.idle.borrow_mut().push(connection);
        if matches!(self.surroundings.place(), Place::Given(_)) {
            return Ok(());
        }
        let daemon: Version = self
            .try_json(Ask::bare(Method::GET, path::plain("version")))
            .await?;
        let build = self
            .surroundings
            .daemon_program()
            .and_then(|program| std::fs::metadata(program).ok())
            .map(|file| build_of(&file));
        if version::compare(&daemon, build.as_deref()) == Verdict::Fits {
            return Ok(());
        }
        self.replace(&daemon).await
    }

    async fn replace(&mut self, daemon: &Version) -> Result<(), Lost> {
        let ask = Ask::json(
            Method::POST,
            path::plain("daemon/stop"),
            &StopRequest { if_idle: true },
        );
        match self.try_json::<serde::de::IgnoredAny>(ask).await {
            Ok(_) => {}
            Err(Lost::Unreached(fault) | Lost::Fault(fault)) => {
                self.note = Some(version::keep(daemon, &fault.message)?);
                return Ok(());
            }
            Err(lost) => return Err(lost),
        }
        self.idle.borrow_mut().clear();
        self.wait_until_gone().await?;
        let connection = request::open(self.stream().await?).await?;
        self.idle.borrow_mut().push(connection);
        Ok(())
    }

    /// Waits until the daemon listens no more. Another may listen then: whoever has a session starts
    /// the next one at once.
    ///
    /// # Errors
    /// A fault after 15 s.
    pub async fn wait_until_gone(&self) -> Result<(), Fault> {
        let deadline = Instant::now() + daemon_start::START_LIMIT;
        let place = self.surroundings.place();
        while let Ok(stream) = connect::connect(&place, self.surroundings.uid).await
            && pid_of(&stream) == self.daemon.get()
        {
            if Instant::now() >= deadline {
                let message = "the daemon agreed to stop and still listens";
                return Err(Fault::new(FaultCode::TimedOut, message)
                    .with_remedy("end the process that `banger daemon status` shows"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Has the daemon leave, and waits until it has: nothing of it runs any more, and what nobody needs without it
    /// is taken away.
    ///
    /// # Errors
    /// The daemon's fault; one after half a minute.
    pub async fn stop(&self, request: &StopRequest) -> Result<(), Fault> {
        let pid = self.daemon.get().and_then(Pid::from_raw);
        // Before it is asked, so that this is no other one; in another namespace it has no pid.
        let process = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let path = path::plain("daemon/stop");
        self.post::<serde::de::IgnoredAny>(path, request).await?;
        self.wait_until_gone().await?;
        match process {
            Some(process) => leaving::until_ended(process, leaving::LIMIT).await,
            None => Ok(()),
        }
    }

    /// A new connection to the daemon, which is started if need be.
    ///
    /// # Errors
    /// A fault when there is none.
    pub async fn stream(&self) -> Result<UnixStream, Fault> {
        let place = self.surroundings.place();
        match connect::connect(&place, self.surroundings.uid).await {
            Err(Unconnected::Nobody(_)) if matches!(place, Place::Standalone(_)) => {
                Ok(daemon_start::start(&self.surroundings).await?)
            }
            stream => Ok(stream?),
        }
    }

    async fn connection(&self) -> Result<Connection, Lost> {
        let kept = self.idle.borrow_mut().pop();
        match kept.filter(|connection| !connection.is_closed()) {
            Some(connection) => Ok(connection),
            None => Ok(request::open(self.stream().await?).await?),
        }
    }

    async fn try_json<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, Lost> {
        let connection = self.connection().await?;
        self.json_over(connection, ask).await
    }

    async fn json_over<T: DeserializeOwned>(
        &self,
        mut connection: Connection,
        ask: Ask,
    ) -> Result<T, Lost> {
        let answer = request::send(&mut connection, ask).await?;
        let (status, op) = (answer.status(), request::op_of(&answer));
        let body = request::bytes(answer).await?;
        self.idle.borrow_mut().push(connection);
        if !status.is_success() {
            return Err(request::fault_of(status.as_u16(), op.as_deref(), &body).into());
        }
        let body: &[u8] = if body.is_empty() { b"null" } else { &body };
        serde_json::from_slice(body)
            .map_err(|error| Unanswered::Unreadable(error.to_string()).into())
    }

    /// Sends a request and reads its answer's JSON.
    ///
    /// # Errors
    /// The daemon's fault, or one about the connection.
    pub async fn json<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, Fault> {
        Ok(self.try_json(ask).await?)
    }

    /// `GET`.
    ///
    /// # Errors
    /// As [`Self::json`].
    pub async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, Fault> {
        let mut patience = Patience::begin();
        loop {
            // Looking changes nothing: the next daemon is asked.
            match self.try_json(Ask::bare(Method::GET, path.clone())).await {
                Err(Lost::Connection(_)) if patience.wait().await => {}
                other => return Ok(other?),
            }
        }
    }

    /// `GET`, of the daemon that this client has met and of no other; none is started.
    ///
    /// # Errors
    /// As [`Self::json`]; `Unavailable` when that daemon is gone.
    pub async fn get_of_this<T: DeserializeOwned>(&self, path: String) -> Result<T, Fault> {
        let kept = self.idle.borrow_mut().pop();
        let gone = || Fault::new(FaultCode::Unavailable, "the daemon is gone");
        let connection = kept.ok_or_else(gone)?;
        let ask = Ask::bare(Method::GET, path);
        Ok(self.json_over(connection, ask).await?)
    }

    /// `POST` with JSON.
    ///
    /// # Errors
    /// As [`Self::json`].
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: String,
        content: &impl Serialize,
    ) -> Result<T, Fault> {
        self.json(Ask::json(Method::POST, path, content)).await
    }

    /// Sends a request whose answer is read while it comes.
    ///
    /// # Errors
    /// As [`Self::json`].
    pub async fn open(&self, ask: Ask) -> Result<Response<Incoming>, Fault> {
        Ok(self.try_open(ask).await?)
    }

    async fn try_open(&self, ask: Ask) -> Result<Response<Incoming>, Lost> {
        let mut connection = self.connection().await.map_err(Lost::before_any_answer)?;
        let answer = request::send(&mut connection, ask).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (status, op) = (answer.status().as_u16(), request::op_of(&answer));
        let body = request::bytes(answer).await?;
        Err(request::fault_of(status, op.as_deref(), &body).into())
    }

    /// Begins a long operation. Its id is chosen here: when the daemon is lost before it answers, the
    /// request is sent again, and begins nothing that was begun already.
    ///
    /// # Errors
    /// As [`Self::json`].
    pub async fn begin(&self, mut ask: Ask) -> Result<Events<'_>, Fault> {
        let mut random = [0; 6];
        getrandom::fill(&mut random).map_err(|error| Fault::new(FaultCode::Failed, error))?;
        let op = OpId::from_random(random).to_string();
        ask.headers.push((OP_HEADER, op.clone()));
        let mut patience = Patience::begin();
        loop {
            let again = ask.again();
            match (self.try_open(ask).await, again) {
                (Ok(answer), _) => return Ok(Events::of(self, op, answer)),
                (Err(lost), Some(again)) if lost.is_passing() && patience.wait().await => {
                    ask = again;
                }
                (Err(lost), _) => return Err(lost.into()),
            }
        }
    }

    /// Follows an operation that was begun by somebody else.
    ///
    /// # Errors
    /// As [`Self::json`]; `NotFound` when the daemon does not know it.
    pub async fn follow(&self, op: &str) -> Result<Events<'_>, Fault> {
        let mut patience = Patience::begin();
        loop {
            let ask = Ask::bare(Method::GET, path::of("operations", op, ""));
            match self.try_open(ask).await {
                Ok(answer) => return Ok(Events::of(self, op.to_owned(), answer)),
                Err(lost) if lost.is_passing() && patience.wait().await => {}
                Err(lost) => return Err(lost.into()),
            }
        }
    }
}

/// Who listens (`SO_PEERCRED`, unix(7)).
fn pid_of(stream: &UnixStream) -> Option<i32> {
    stream.peer_cred().ok().and_then(|peer| peer.pid())
}

/// Why a request brought nothing.
#[derive(Debug)]
pub enum Lost {
    /// The connection broke: the daemon may just be leaving.
    Connection(Unanswered),
    /// There was none: no daemon listens, or none could be started.
    Unreached(Fault),
    /// A daemon has answered: there is no point in trying again.
    Fault(Fault),
}

impl Lost {
    /// A fault that no daemon has answered.
    fn before_any_answer(self) -> Self {
        match self {
            Self::Fault(fault) => Self::Unreached(fault),
            other => other,
        }
    }

    /// Whether the next daemon may answer.
    fn is_passing(&self) -> bool {
        match self {
            Self::Connection(_) => true,
            Self::Unreached(fault) => fault.code == FaultCode::Unavailable,
            Self::Fault(_) => false,
        }
    }
}

/// How long a daemon that was lost is looked for, whatever it is needed for.
pub const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// Looking for the next daemon: at first often, then less.
#[derive(Debug)]
pub struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    /// From now on, for [`LOOK_LIMIT`].
    #[must_use]
    pub fn begin() -> Self {
        Self {
            until: Instant::now() + LOOK_LIMIT,
            pause: Duration::from_millis(20),
        }
    }

    /// Waits a little; false when it is at its end.
    pub async fn wait(&mut self) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_millis(500));
        true
    }
}

impl From<Unanswered> for Lost {
    fn from(error: Unanswered) -> Self {
        match error {
            Unanswered::Lost(_) => Self::Connection(error),
            other => Self::Fault(other.into()),
        }
    }
}

impl From<Fault> for Lost {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Lost> for Fault {
    fn from(settling: Lost) -> Self {
        match settling {
            Lost::Connection(error) => error.into(),
            Lost::Unreached(fault) | Lost::Fault(fault) => fault,
        }
    }
}
