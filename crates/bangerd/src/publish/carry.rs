//! A way into the guest: a stream of its link that the agent has connected to a port.

use super::LinkSource;
use crate::guest::Stream;
use banger_model::SandboxName;
use banger_model::publish::Protocol;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::guest::flow::{Credit, WINDOW};
use banger_proto::guest::message::{Call, STDOUT};
use std::num::NonZeroU16;
use std::time::Duration;

/// What the guest may send and the client has not taken, and what is sent and the guest has not taken,
/// in bytes: half of what a session has, since there may be hundreds of connections. More than the
/// longest datagram and what the agent leaves unacknowledged (a quarter of [`WINDOW`]).
pub(super) const CARRIED: u64 = WINDOW as u64 / 2;
/// How long a connection waits for a link that is being made again.
const LINK_LIMIT: Duration = Duration::from_secs(30);
/// How long the agent may take to connect: it gives each address ten seconds.
const DIAL_LIMIT: Duration = Duration::from_secs(30);

/// A port of a guest.
#[derive(Clone)]
pub(super) struct GuestPort {
    pub(super) sandbox: SandboxName,
    pub(super) link: LinkSource,
    pub(super) protocol: Protocol,
    pub(super) port: NonZeroU16,
}

impl GuestPort {
    /// Connects to the port.
    pub(super) async fn dial(&self) -> Result<Stream, Fault> {
        let gone = |why: &str| Fault::new(FaultCode::Guest, why);
        let link = tokio::time::timeout(LINK_LIMIT, (self.link)())
            .await
            .map_err(|_| gone("the guest's agent does not answer"))?
            .ok_or_else(|| gone("the guest does not run"))?;
        let call = Call::Dial {
            udp: self.protocol == Protocol::Udp,
            port: self.port.get(),
        };
        let stream = link.open(&call).await?;
        let first = Credit {
            channel: STDOUT,
            acked: 0,
            limit: CARRIED,
        };
        stream
            .begin(first)
            .await
            .map_err(|lost| gone(&lost.to_string()))?;
        stream.answer(DIAL_LIMIT).await?;
        Ok(stream)
    }
}

impl std::fmt::Display for GuestPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}/{}", self.sandbox, self.port, self.protocol)
    }
}

/// What was sent to the guest, and what it takes. It may say what it likes: more than [`CARRIED`] is
/// never under way.
#[derive(Debug, Default)]
pub(super) struct Sent {
    sent: u64,
    acked: u64,
    limit: u64,
}

impl Sent {
    /// The guest has and takes.
    pub(super) fn credit(&mut self, credit: Credit) {
        self.acked = credit.acked.min(self.sent).max(self.acked);
        self.limit = credit.limit.max(self.limit);
    }

    /// How many bytes may be sent now.
    pub(super) fn room(&self) -> usize {
        let limit = self.limit.min(self.acked + CARRIED);
        usize::try_from(limit.saturating_sub(self.sent)).unwrap_or(usize::MAX)
    }

    /// That many were sent.
    pub(super) fn add(&mut self, count: usize) {
        self.sent += count as u64;
    }
}

/// What came from the guest and was handed on.
#[derive(Debug, Default)]
pub(super) struct Taken {
    taken: u64,
    told: u64,
}

impl Taken {
    /// Bytes were handed on; the credit that is worth sending then, after each quarter.
    pub(super) fn add(&mut self, count: usize) -> Option<Credit> {
        self.taken += count as u64;
        (self.taken - self.told >= CARRIED / 4).then(|| {
            self.told = self.taken;
            Credit {
                channel: STDOUT,
                acked: self.taken,
                limit: self.taken + CARRIED,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banger_proto::guest::datagram::{MAX_DATAGRAM, PREFIX};

    fn credit(acked: u64, limit: u64) -> Credit {
        Credit {
            channel: 0,
            acked,
            limit,
        }
    }

    #[test]
    fn a_guest_that_promises_everything_gets_no_more_than_the_window() {
        let mut sent = Sent::default();
        assert_eq!(sent.room(), 0, "nothing before its first credit");
        sent.credit(credit(u64::MAX, u64::MAX));
        assert_eq!(sent.room() as u64, CARRIED);
        sent.add(sent.room());
        assert_eq!(sent.room(), 0);
        sent.credit(credit(10, u64::MAX));
        assert_eq!(sent.room(), 10);
        sent.credit(credit(5, 0));
        assert_eq!(sent.room(), 10, "what was given is not taken back");
    }

    #[test]
    fn the_longest_datagram_fits_whatever_is_not_acknowledged_yet() {
        let mut sent = Sent::default();
        sent.credit(credit(0, u64::MAX));
        sent.add(WINDOW / 4 - 1);
        assert!(sent.room() >= MAX_DATAGRAM + PREFIX);
    }

    #[test]
    fn credit_is_sent_for_each_quarter() {
        let mut taken = Taken::default();
        let quarter = usize::try_from(CARRIED / 4).expect("small");
        assert_eq!(taken.add(quarter - 1), None);
        let credit = taken.add(1).expect("a quarter");
        assert_eq!(
            (credit.acked, credit.limit),
            (CARRIED / 4, CARRIED / 4 + CARRIED)
        );
        assert_eq!(taken.add(1), None);
    }
}
