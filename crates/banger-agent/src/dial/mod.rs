//! Connections to ports inside of the guest, for ports that the host publishes.
//!
//! One task per connection, no thread: bytes go between a socket and the channels of a stream, as far as
//! both sides take them. A connection belongs to its stream: when that is closed, it is reset.

mod places;
mod tcp;
mod udp;

use crate::agent::Shared;
use crate::channels::{Channels, Output};
use crate::fault::fault;
use crate::link::{Reply, ReplyTo};
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{Answer, GuestFault, Notice, encode};
use std::cell::Cell;
use std::rc::Rc;

/// How many connections and UDP flows there may be at a time: what they keep comes out of the guest's
/// memory, at most 192 KiB for each connection and twice that for a flow.
const MOST: usize = 512;

/// How many there are.
pub(crate) type Count = Rc<Cell<usize>>;

/// The place of one connection in the count, given back when it is dropped.
struct Turn(Count);

impl Turn {
    fn take(count: &Count) -> Result<Self, GuestFault> {
        if count.get() >= MOST {
            let message = format!("more than {MOST} published connections are open in the guest");
            return Err(fault(FaultCode::Refused, message));
        }
        count.set(count.get() + 1);
        Ok(Self(Rc::clone(count)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// The connection was reset, or the host broke a rule: it ends abruptly.
struct Broken;

/// Makes a connection, answers, and passes bytes on until it ends.
pub(crate) async fn dial(
    agent: Rc<Shared>,
    udp: bool,
    port: u16,
    channels: Rc<Channels>,
    reply: ReplyTo,
) {
    let turn = match Turn::take(&agent.dialed) {
        Ok(turn) => turn,
        Err(fault) => return reply.send(Reply::Answer(Err(fault))),
    };
    channels.finish(Output::Stderr);
    let connected = || reply.send(Reply::Answer(Ok(Answer::Done)));
    let ended = match udp {
        false => match tcp::connect(port).await {
            Ok(connection) => {
                connected();
                connection.pass(&channels).await
            }
            Err(fault) => return reply.send(Reply::Answer(Err(fault))),
        },
        true => match udp::connect(port).await {
            Ok(socket) => {
                connected();
                udp::pass(&socket, &channels).await
            }
            Err(fault) => return reply.send(Reply::Answer(Err(fault))),
        },
    };
    match ended {
        Ok(()) => channels.conclude(encode(&Notice::Closed).unwrap_or_default()),
        Err(Broken) => reply.send(Reply::Broken),
    }
    drop(turn);
}
