//! Bytes between a client's connection and a stream of the guest, each way apart.
//!
//! ```text
//!   client ──read──▶ as far as the guest's credit goes ──▶ stream        nothing is kept
//!   client ◀─write── pending, at most the credit given ◀── stream        credit after writing
//! ```

use crate::guest::{Incoming, LinkError, Stream};
use crate::publish::carry::{Sent, Taken};
use banger_proto::guest::message::{Notice, STDIN, STDOUT};
use rustix::net::{Shutdown, shutdown};
use std::io::{Error, ErrorKind};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// How much is read from a client at once.
const CHUNK: usize = 32 * 1024;

/// One end broke the connection off: the other is reset.
#[derive(Debug)]
pub(super) struct BrokenOff;

impl From<Error> for BrokenOff {
    fn from(_: Error) -> Self {
        Self
    }
}

impl From<Arc<LinkError>> for BrokenOff {
    fn from(_: Arc<LinkError>) -> Self {
        Self
    }
}

struct Pump<'a> {
    stream: &'a Stream,
    client: &'a TcpStream,
    sent: Sent,
    /// The client sends no more.
    client_ended: bool,
    taken: Taken,
    /// Bytes of the guest that the client has not taken; bounded by the credit that the guest has.
    pending: Vec<u8>,
    written: usize,
    /// The guest's server sends no more, and whether the client was told.
    guest_ended: bool,
    told_end: bool,
    /// The guest's connection is over.
    closed: bool,
}

/// Passes on until both ways have ended.
pub(super) async fn run(stream: &Stream, client: &TcpStream) -> Result<(), BrokenOff> {
    let mut pump = Pump {
        stream,
        client,
        sent: Sent::default(),
        client_ended: false,
        taken: Taken::default(),
        pending: Vec::new(),
        written: 0,
        guest_ended: false,
        told_end: false,
        closed: false,
    };
    while !pump.is_done() {
        pump.step().await?;
        pump.tell_end();
    }
    Ok(())
}

impl Pump<'_> {
    const fn is_done(&self) -> bool {
        self.closed && self.pending.is_empty()
    }

    async fn step(&mut self) -> Result<(), BrokenOff> {
        let may_read = !self.client_ended && !self.closed && self.sent.room() > 0;
        let (stream, client) = (self.stream, self.client);
        tokio::select! {
            incoming = stream.next(), if !self.closed => self.take(incoming),
            ready = client.writable(), if !self.pending.is_empty() => {
                ready?;
                self.write().await
            }
            ready = client.readable(), if may_read => {
                ready?;
                self.read().await
            }
            // A client that is gone shows even while nothing more is read from it.
            broken = client.ready(Interest::ERROR), if !may_read => {
                broken?;
                Err(BrokenOff)
            }
        }
    }

    fn take(&mut self, incoming: Incoming) -> Result<(), BrokenOff> {
        match incoming {
            Incoming::Data(STDOUT, bytes) if self.pending.is_empty() => self.pending = bytes,
            Incoming::Data(STDOUT, bytes) => {
                self.pending.drain(..self.written);
                self.written = 0;
                self.pending.extend_from_slice(&bytes);
            }
            Incoming::Credit(credit) if credit.channel == STDIN => self.sent.credit(credit),
            Incoming::End(STDOUT) => self.guest_ended = true,
            Incoming::End(_) | Incoming::Credit(_) => {}
            Incoming::Notice(Notice::Closed) => self.closed = true,
            Incoming::Data(..)
            | Incoming::Answer(_)
            | Incoming::Notice(_)
            | Incoming::Closed(_) => return Err(BrokenOff),
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<(), BrokenOff> {
        let rest = self.pending.get(self.written..).unwrap_or_default();
        let count = match self.client.try_write(rest) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.written += count;
        if self.written == self.pending.len() {
            // An idle connection keeps no buffer.
            self.pending = Vec::new();
            self.written = 0;
        }
        if let Some(credit) = self.taken.add(count)
            && !self.closed
        {
            self.stream.credit(credit).await?;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<(), BrokenOff> {
        let mut bytes = vec![0; self.sent.room().min(CHUNK)];
        match self.client.try_read(&mut bytes) {
            Ok(0) => {
                self.client_ended = true;
                self.stream.end(STDIN).await?;
            }
            Ok(count) => {
                self.sent.add(count);
                let bytes = bytes.get(..count).unwrap_or_default();
                self.stream.data(STDIN, bytes).await?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The guest's end is the client's, once it has everything.
    fn tell_end(&mut self) {
        if self.guest_ended && !self.told_end && self.pending.is_empty() {
            self.told_end = true;
            // A client that is gone has no use for it.
            let _gone = shutdown(self.client, Shutdown::Write);
        }
    }
}
