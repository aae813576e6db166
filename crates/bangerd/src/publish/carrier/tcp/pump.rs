//! Bytes between a client's connection and the ends towards the guest, each way apart.
//!
//! ```text
//!   client ──read──▶ as far as there is room ──▶ ends       kept until the guest has them
//!   client ◀─write── pending, at most the credit given ◀── ends       credit after writing
//! ```

use crate::publish::carrier::ends::{BrokenOff, Ends, Ready};
use rustix::net::{Shutdown, shutdown};
use std::io::ErrorKind;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// How much is read from a client at once.
const CHUNK: usize = 32 * 1024;

struct Pump<'a> {
    ends: &'a mut Ends,
    client: &'a TcpStream,
    /// The client sends no more.
    client_ended: bool,
    /// Bytes of the guest that the client has not taken; bounded by the credit that the guest has.
    pending: Vec<u8>,
    written: usize,
    /// Whether the client was told that the guest's server sends no more.
    told_end: bool,
}

/// Passes on until both ways have ended.
pub(super) async fn run(ends: &mut Ends, client: &TcpStream) -> Result<(), BrokenOff> {
    let mut pump = Pump {
        ends,
        client,
        client_ended: false,
        pending: Vec::new(),
        written: 0,
        told_end: false,
    };
    while !pump.is_done() {
        pump.ends.fill();
        pump.step().await?;
        pump.tell_end();
    }
    Ok(())
}

/// What happened.
enum Event {
    Ends(Ready),
    MayWrite,
    MayRead,
}

impl Pump<'_> {
    fn is_done(&self) -> bool {
        self.ends.closed && self.pending.is_empty()
    }

    async fn step(&mut self) -> Result<(), BrokenOff> {
        let may_read = !self.client_ended && !self.ends.closed && self.ends.room() > 0;
        let client = self.client;
        let event = tokio::select! {
            ready = self.ends.ready() => Event::Ends(ready),
            ready = client.writable(), if !self.pending.is_empty() => {
                ready?;
                Event::MayWrite
            }
            ready = client.readable(), if may_read => {
                ready?;
                Event::MayRead
            }
            // A client that is gone shows even while nothing more is read from it.
            broken = client.ready(Interest::ERROR), if !may_read => {
                broken?;
                return Err(BrokenOff);
            }
        };
        match event {
            Event::Ends(ready) => self.hear(ready),
            Event::MayWrite => self.write(),
            Event::MayRead => self.read(),
        }
    }

    fn hear(&mut self, ready: Ready) -> Result<(), BrokenOff> {
        if self.written > 0 {
            self.pending.drain(..self.written);
            self.written = 0;
        }
        let pending = &mut self.pending;
        self.ends
            .go_on(ready, |bytes| pending.extend_from_slice(bytes))
    }

    fn write(&mut self) -> Result<(), BrokenOff> {
        let rest = self.pending.get(self.written..).unwrap_or_default();
        let count = match self.client.try_write(rest) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.written += count;
        self.ends.consume(count);
        if self.written == self.pending.len() {
            // An idle connection keeps no buffer.
            self.pending = Vec::new();
            self.written = 0;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), BrokenOff> {
        let mut bytes = vec![0; self.ends.room().min(CHUNK)];
        match self.client.try_read(&mut bytes) {
            Ok(0) => {
                self.client_ended = true;
                self.ends.end();
            }
            Ok(count) => self.ends.put(bytes.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// The guest's end is the client's, once it has everything.
    fn tell_end(&mut self) {
        if self.ends.ended && !self.told_end && self.pending.is_empty() {
            self.told_end = true;
            // A client that is gone has no use for it.
            let _gone = shutdown(self.client, Shutdown::Write);
        }
    }
}
