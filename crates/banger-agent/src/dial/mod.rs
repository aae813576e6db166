//! Connections to ports inside of the guest, for ports that the host publishes.
//!
//! One task per connection, no thread: bytes go between a socket and the channels of a stream, as far as
//! both sides take them. A connection belongs to its stream, and is reset when that is closed; or it is a
//! session ([`lasting`]), to which another stream attaches when the host's daemon is replaced.

mod lasting;
mod places;
mod tcp;
mod udp;

use crate::agent::Shared;
use crate::channels::{Channels, Output};
use crate::fault::fault;
use crate::link::{Reply, ReplyTo};
use banger_proto::fault::FaultCode;
use banger_proto::guest::message::{Answer, GuestFault, Notice, encode};
pub(crate) use lasting::{Dials, Lasting, attach, dial_session};
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

/// Makes a connection, says when it is there, and passes bytes on until it ends.
async fn connect_and_pass(
    udp: bool,
    port: u16,
    channels: &Channels,
    connected: impl FnOnce(),
) -> Result<Result<(), Broken>, GuestFault> {
    channels.finish(Output::Stderr);
    if udp {
        let socket = udp::connect(port).await?;
        connected();
        return Ok(udp::pass(&socket, channels).await);
    }
    let connection = tcp::connect(port).await?;
    connected();
    Ok(connection.pass(channels).await)
}

/// Makes a connection that belongs to its stream, answers, and passes bytes on until it ends.
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
    let connected = || reply.send(Reply::Answer(Ok(Answer::Done)));
    match connect_and_pass(udp, port, &channels, connected).await {
        Ok(Ok(())) => channels.conclude(encode(&Notice::Closed).unwrap_or_default()),
        Ok(Err(Broken)) => reply.send(Reply::Broken),
        Err(fault) => reply.send(Reply::Answer(Err(fault))),
    }
    drop(turn);
}
