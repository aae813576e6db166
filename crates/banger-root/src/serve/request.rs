//! One connection: who it is, what it asks, what it gets.

use super::turns::Turns;
use crate::act::{self, Host};
use crate::judge::{self, Granted, Peer, Place};
use crate::log;
use crate::real::RealKernel;
use banger_linux::programs::{Cancel, Programs};
use banger_linux::seqpacket::{Connection, PacketError};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::root::{Answer, Did, OpId, Outcome, PACKET_MAX, Refusal, Reply};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// How long reading may take of one who has begun to speak: a packet is there whole or not at all.
const READ_TIME: Duration = Duration::from_millis(500);
/// How long a client may take to take its answer; the socket's buffer takes it at once.
const SEND_TIME: Duration = Duration::from_secs(2);

/// What all workers share.
pub(super) struct Desk {
    place: Place,
    programs: Programs,
    turns: Turns,
}

impl Desk {
    pub(super) fn new(place: Place, programs: Programs) -> Self {
        Self {
            place,
            programs,
            turns: Turns::default(),
        }
    }

    /// Serves one connection to its end.
    pub(super) fn serve(&self, connection: &Connection) {
        let peer = match connection.peer() {
            Ok(peer) => Peer { uid: peer.uid },
            Err(error) => {
                return log::line(None, format_args!("nobody is at the other end: {error}"));
            }
        };
        match self.granted(connection, peer) {
            Ok(Some(granted)) => self.act(connection, peer, &granted),
            Ok(None) => {}
            Err((op, refusal)) => {
                log::line(op, format_args!("refused user {}: {refusal}", peer.uid));
                self.reply(connection, op, Outcome::Refused(refusal));
            }
        }
    }

    /// Reads and judges; none where the client has gone without a word.
    fn granted(
        &self,
        connection: &Connection,
        peer: Peer,
    ) -> Result<Option<Granted>, (Option<OpId>, Refusal)> {
        let early = |refusal| (None, refusal);
        if let Err(refusal) = judge::admit(peer, &self.place) {
            // Thrown away unread: with a packet left in it, a socket that is closed takes its answer
            // along.
            let _thrown_away = connection.receive(0, Instant::now() + READ_TIME);
            return Err(early(refusal));
        }
        let packet = match connection.receive(PACKET_MAX, Instant::now() + READ_TIME) {
            Ok(packet) => packet,
            Err(PacketError::TooLong(_)) => return Err(early(Refusal::TooLong {})),
            Err(PacketError::Descriptors) => {
                let why = "descriptors came with it".to_owned();
                return Err(early(Refusal::Unreadable { why }));
            }
            Err(PacketError::Closed | PacketError::Late(_) | PacketError::System { .. }) => {
                return Ok(None);
            }
        };
        let request = judge::read(&packet).map_err(early)?;
        let op = request.op;
        judge::judge(request, peer, &self.place)
            .map(Some)
            .map_err(|refusal| (Some(op), refusal))
    }

    fn act(&self, connection: &Connection, peer: Peer, granted: &Granted) {
        let (op, verb) = (granted.op(), granted.verb());
        let begun = Instant::now();
        let Some(turn) = self.turns.wait(verb, || connection.is_gone()) else {
            return log::line(
                Some(op),
                format_args!("{} of user {}: gone before its turn", verb.name(), peer.uid),
            );
        };
        // A fault of ours in one request must not take a worker from the others.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.outcome(connection, granted)));
        drop(turn);
        let outcome = outcome.unwrap_or_else(|_| {
            Outcome::Failed(
                Fault::new(FaultCode::Failed, "the helper failed: see its log").with_op(op),
            )
        });
        let milliseconds = begun.elapsed().as_millis();
        log::line(
            Some(op),
            format_args!(
                "{} of user {} in {milliseconds} ms: {}",
                verb.name(),
                peer.uid,
                Said(&outcome)
            ),
        );
        self.reply(connection, Some(op), outcome);
    }

    fn outcome(&self, connection: &Connection, granted: &Granted) -> Outcome {
        let cancel = Cancel::WhenHungUp(connection.as_fd());
        let kernel = RealKernel::open(&self.place, &self.programs, cancel);
        let done = kernel.map_err(Fault::from).and_then(|kernel| {
            let host = Host {
                kernel: &kernel,
                place: &self.place,
            };
            act::act(granted, host)
        });
        match done {
            Ok(answer) => Outcome::Done(answer),
            Err(fault) => Outcome::Failed(fault.with_op(granted.op())),
        }
    }

    fn reply(&self, connection: &Connection, op: Option<OpId>, outcome: Outcome) {
        let reply = |outcome| Reply {
            version: self.place.version.clone(),
            op,
            outcome,
        };
        let packet = reply(outcome)
            .encode()
            .or_else(|error| reply(Outcome::Failed(Fault::new(FaultCode::Failed, error))).encode());
        let sent = packet
            .map_err(|error| error.to_string())
            .and_then(|packet| {
                let deadline = Instant::now() + SEND_TIME;
                connection
                    .send(&packet, deadline)
                    .map_err(|error| error.to_string())
            });
        if let Err(error) = sent {
            log::line(op, format_args!("the answer was not taken: {error}"));
        }
    }
}

/// An outcome in a few words.
struct Said<'a>(&'a Outcome);

impl std::fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Outcome::Done(Answer::Changes(changes)) => {
                let made = changes.iter().filter(|change| change.did != Did::WasSo);
                write!(
                    f,
                    "done, {} of {} objects changed",
                    made.count(),
                    changes.len()
                )
            }
            Outcome::Done(Answer::Path(report)) => write!(f, "done, {:?}", report.verdict),
            Outcome::Done(Answer::Pong {} | Answer::Survey(_)) => f.write_str("done"),
            Outcome::Refused(refusal) => write!(f, "refused: {refusal}"),
            Outcome::Failed(fault) => write!(f, "failed: {fault}"),
        }
    }
}
