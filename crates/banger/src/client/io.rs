//! A Unix stream in the form that hyper takes.

use hyper::rt::{Read, ReadBufCursor, Write};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// The most that one read takes, in bytes.
const CHUNK: usize = 64 * 1024;

/// The adapter. It copies each read once, which spares the unsafe code of doing without.
pub(super) struct HyperIo {
    stream: UnixStream,
    buffer: Box<[u8]>,
}

impl HyperIo {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            buffer: vec![0; CHUNK].into(),
        }
    }

    /// The stream; nothing that was read is held back here.
    pub(super) fn into_stream(self) -> UnixStream {
        self.stream
    }
}

impl Read for HyperIo {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let most = into.remaining().min(CHUNK);
        let mut part = ReadBuf::new(this.buffer.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(&mut this.stream).poll_read(context, &mut part))?;
        into.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for HyperIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }
}
