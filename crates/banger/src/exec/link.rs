//! One connection of a session: its first messages, and the task that sends.

use super::session::{Broken, Session};
use crate::client::{Client, Lost, WebSocket, path};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::owner::exec::Opened;
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use hyper::body::Bytes;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why there is no link.
#[derive(Debug)]
pub enum NoLink {
    /// The connection broke: trying again is safe, as the session has its id.
    Lost(Fault),
    /// The daemon or the guest's link is not ready: it may be if they were lost.
    Later(Fault),
    /// The daemon says no.
    Refused(Fault),
    /// The command could not be started.
    Unstarted(Fault),
}

impl NoLink {
    /// What is told when there is no more hope.
    #[must_use]
    pub fn into_fault(self) -> Fault {
        match self {
            Self::Lost(fault) | Self::Later(fault) | Self::Refused(fault) => fault,
            Self::Unstarted(fault) => fault,
        }
    }
}

/// An attached connection.
pub struct Link {
    incoming: SplitStream<WebSocket>,
    outgoing: mpsc::UnboundedSender<Message>,
    sending: JoinHandle<()>,
}

impl Link {
    /// Connects, and starts the command or attaches to it again. Once that has worked, `reference` is
    /// the sandbox's id: its name may change.
    ///
    /// # Errors
    /// [`NoLink`].
    pub async fn attach(
        client: &Client,
        reference: &mut String,
        session: &mut Session,
    ) -> Result<Self, NoLink> {
        let socket = client
            .web_socket(path::sandbox(reference, "/exec"))
            .await
            .map_err(|lost| match lost {
                Lost::Connection(error) => NoLink::Lost(error.into()),
                Lost::Unreached(fault) | Lost::Fault(fault) if is_passing(fault.code) => {
                    NoLink::Later(fault)
                }
                Lost::Unreached(fault) | Lost::Fault(fault) => NoLink::Refused(fault),
            })?;
        let mut link = Self::over(socket);
        let open = serde_json::to_string(&session.open()).unwrap_or_default();
        link.put(Message::text(open));
        match link.opened().await? {
            Opened::Attached { stdin, sandbox, .. } => {
                if let Some(id) = sandbox {
                    *reference = id;
                }
                let first = session
                    .opened(stdin)
                    .map_err(|broken| NoLink::Refused(broken.into()))?;
                first.into_iter().for_each(|message| link.send(message));
                Ok(link)
            }
            Opened::Failed { fault } if is_passing(fault.code) => Err(NoLink::Later(fault)),
            Opened::Failed { fault } => Err(NoLink::Unstarted(fault)),
        }
    }

    /// Sending has a task of its own: if both sides only sent, neither would read. What waits for
    /// it is bounded by the session's credit.
    fn over(socket: WebSocket) -> Self {
        let (mut sink, incoming) = socket.split();
        let (outgoing, mut messages) = mpsc::unbounded_channel();
        let sending = tokio::spawn(async move {
            while let Some(message) = messages.recv().await {
                // The receiving side sees the same failure and tells it.
                if sink.send(message).await.is_err() {
                    return;
                }
            }
        });
        Self {
            incoming,
            outgoing,
            sending,
        }
    }

    async fn opened(&mut self) -> Result<Opened, NoLink> {
        match self.incoming.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).map_err(|error| {
                let message = format!("the daemon's answer cannot be read: {error}");
                NoLink::Refused(Fault::new(FaultCode::Version, message))
            }),
            _ => Err(NoLink::Lost(gone())),
        }
    }

    /// The next binary message; `None` when the connection is gone. Safe to drop.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.incoming.next().await? {
                Ok(Message::Binary(bytes)) => return Some(bytes),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Queues a binary message.
    pub fn send(&mut self, message: Vec<u8>) {
        self.put(Message::binary(message));
    }

    fn put(&mut self, message: Message) {
        // A connection that is gone shows in `next`.
        let _gone = self.outgoing.send(message);
    }

    /// Ends the connection in order, which tells the daemon that nobody comes back.
    pub async fn leave(mut self) {
        self.put(Message::Close(None));
        drop(self.outgoing);
        let _late = tokio::time::timeout(FAREWELL, self.sending).await;
    }
}

/// The fault for a connection that broke.
fn gone() -> Fault {
    Fault::new(
        FaultCode::Unavailable,
        "the connection to the daemon broke while the session was being attached",
    )
}

/// Whether another try may find it better: the daemon is starting, or the guest's link is.
const fn is_passing(code: FaultCode) -> bool {
    matches!(
        code,
        FaultCode::Unavailable | FaultCode::TimedOut | FaultCode::Guest
    )
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        Self::new(FaultCode::Version, broken)
            .with_remedy("see with `banger daemon status` which version answers")
    }
}
