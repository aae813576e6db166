//! One call to the agent and what follows from it.

use super::link::{LinkError, Shared};
pub use super::mailbox::Incoming;
use super::mailbox::Mailbox;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::guest::Kind;
use banger_proto::guest::flow::Credit;
use banger_proto::guest::message::{self, Answer, GuestFault, Steer};
use std::sync::Arc;
use std::time::Duration;

/// A stream that is open. Dropping it closes it; what it started in the guest goes on.
#[derive(Debug)]
pub struct Stream {
    pub(super) number: u32,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) shared: Arc<Shared>,
}

/// Why a call came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The guest refused or failed it.
    #[error("{0}")]
    Guest(GuestFault),
    /// The link was lost while it went on.
    #[error("the guest's agent was lost: {0}")]
    Lost(Arc<LinkError>),
    /// No answer came in time.
    #[error("the guest's agent did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The answer was none to this call.
    #[error("the guest's agent broke the protocol: {0}")]
    Nonsense(&'static str),
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        let fault = |code| Self::new(code, &error);
        match &error {
            CallError::Guest(guest) => fault(guest.code),
            CallError::TimedOut(_) => fault(FaultCode::TimedOut)
                .with_remedy("the guest may be overloaded or stuck: see `banger vm logs NAME`"),
            CallError::Lost(_) | CallError::Nonsense(_) => fault(FaultCode::Guest)
                .with_remedy("see `banger vm logs NAME`, then `banger vm restart NAME`"),
        }
    }
}

impl Stream {
    /// The next thing that comes. Cancel-safe.
    pub async fn next(&self) -> Incoming {
        self.mailbox.next().await
    }

    /// Waits for the answer to the call.
    ///
    /// # Errors
    /// [`CallError`]; anything but an answer that comes first breaks the protocol.
    pub async fn answer(&self, limit: Duration) -> Result<Answer, CallError> {
        let incoming = tokio::time::timeout(limit, self.mailbox.next_but_credit())
            .await
            .map_err(|_| CallError::TimedOut(limit))?;
        match incoming {
            Incoming::Answer(bytes) => message::decode::<Result<Answer, GuestFault>>(&bytes)
                .map_err(|_| CallError::Nonsense("an answer that cannot be read"))?
                .map_err(CallError::Guest),
            Incoming::Closed(Some(reason)) => Err(CallError::Lost(reason)),
            _ => Err(CallError::Nonsense("something came before the answer")),
        }
    }

    /// Says where this side's bytes begin and lets the guest send up to the credit's limit.
    ///
    /// # Errors
    /// When the link is lost.
    pub async fn begin(&self, credit: Credit) -> Result<(), Arc<LinkError>> {
        self.mailbox.begin(credit.channel, credit.acked);
        self.credit(credit).await
    }

    /// Acknowledges bytes of the guest and lets it send more.
    ///
    /// # Errors
    /// When the link is lost.
    pub async fn credit(&self, credit: Credit) -> Result<(), Arc<LinkError>> {
        self.mailbox.allow(credit.channel, credit.limit);
        self.shared
            .send(self.number, Kind::Credit, &[&credit.to_bytes()])
            .await
    }

    /// Sends bytes of a channel; the caller keeps within the guest's credit.
    ///
    /// # Errors
    /// When the link is lost.
    pub async fn data(&self, channel: u8, bytes: &[u8]) -> Result<(), Arc<LinkError>> {
        const MOST: usize = banger_proto::guest::frame::MAX_PAYLOAD - 1;
        for part in bytes.chunks(MOST) {
            self.shared
                .send(self.number, Kind::Data, &[&[channel], part])
                .await?;
        }
        Ok(())
    }

    /// Ends a channel.
    ///
    /// # Errors
    /// When the link is lost.
    pub async fn end(&self, channel: u8) -> Result<(), Arc<LinkError>> {
        self.shared
            .send(self.number, Kind::End, &[&[channel]])
            .await
    }

    /// Steers the session.
    ///
    /// # Errors
    /// When the link is lost.
    pub async fn steer(&self, steer: &Steer) -> Result<(), Arc<LinkError>> {
        let bytes = message::encode(steer).unwrap_or_default();
        self.shared.send(self.number, Kind::Steer, &[&bytes]).await
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.close_stream(self.number);
    }
}
