//! One end of the way that a connection takes between the carrier and the daemon: frames over a Unix socket.

use banger_proto::carrier::frame::{self, Frame};
use std::io::{Error, ErrorKind, Result};
use tokio::net::UnixStream;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;
/// From so many bytes on no more bulk is put into what waits to be written.
pub(super) const FULL: usize = 128 * 1024;

/// See the module. What it keeps is bounded: a frame that has not wholly come, and what [`FULL`] says.
#[derive(Debug)]
pub(super) struct Door {
    stream: UnixStream,
    come: Vec<u8>,
    /// How much of `come` was taken.
    taken: usize,
    out: Vec<u8>,
    written: usize,
}

impl Door {
    /// Over a connection on which nothing but frames will come; what came of them already is given.
    pub(super) const fn over(stream: UnixStream, come: Vec<u8>) -> Self {
        Self {
            stream,
            come,
            taken: 0,
            out: Vec::new(),
            written: 0,
        }
    }

    /// Its socket, to wait for.
    pub(super) const fn socket(&self) -> &UnixStream {
        &self.stream
    }

    /// Reads what has come.
    ///
    /// # Errors
    /// `UnexpectedEof` when the other side is gone.
    pub(super) fn read(&mut self) -> Result<()> {
        self.come.drain(..self.taken);
        self.taken = 0;
        let before = self.come.len();
        self.come.resize(before + CHUNK, 0);
        let outcome = self
            .stream
            .try_read(self.come.get_mut(before..).unwrap_or_default());
        self.come.truncate(before + *outcome.as_ref().unwrap_or(&0));
        match outcome {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// The next frame of what was read.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn next(&mut self) -> Result<Option<Frame>> {
        let rest = self.come.get(self.taken..).unwrap_or_default();
        match frame::read(rest).map_err(Error::other)? {
            Some((frame, length)) => {
                self.taken += length;
                Ok(Some(frame))
            }
            None => {
                if self.taken == self.come.len() {
                    // An idle connection keeps no buffer.
                    (self.come, self.taken) = (Vec::new(), 0);
                }
                Ok(None)
            }
        }
    }

    /// The next frame, waited for. Cancel-safe.
    ///
    /// # Errors
    /// As [`Self::read`] and [`Self::next`].
    pub(super) async fn receive(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = self.next()? {
                return Ok(frame);
            }
            self.stream.readable().await?;
            self.read()?;
        }
    }

    /// Puts a frame behind what waits to be written.
    pub(super) fn put(&mut self, frame: &Frame) {
        frame::write(&mut self.out, frame);
    }

    /// As [`Self::put`], of bytes that lie in two halves.
    pub(super) fn put_data(&mut self, halves: [&[u8]; 2]) {
        frame::write_data(&mut self.out, halves);
    }

    /// How many bytes wait to be written.
    pub(super) const fn waiting(&self) -> usize {
        self.out.len() - self.written
    }

    /// Writes what goes now.
    ///
    /// # Errors
    /// When the other side is gone.
    pub(super) fn write(&mut self) -> Result<()> {
        let rest = self.out.get(self.written..).unwrap_or_default();
        match self.stream.try_write(rest) {
            Ok(count) => self.written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if self.written == self.out.len() {
            (self.out, self.written) = (Vec::new(), 0);
        }
        Ok(())
    }

    /// Writes all that waits.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(super) async fn flush(&mut self) -> Result<()> {
        while self.waiting() > 0 {
            self.stream.writable().await?;
            self.write()?;
        }
        Ok(())
    }

    /// Writes a frame, and all that waited before it.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(super) async fn send(&mut self, frame: &Frame) -> Result<()> {
        self.put(frame);
        self.flush().await
    }
}
