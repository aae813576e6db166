//! Standard output and error, written in order by one thread: a reader that is slow, as a pager,
//! must not keep signals waiting.

use super::session::Stream;
use hyper::body::Bytes;
use std::io::{self, Write};
use std::sync::mpsc as blocking;
use tokio::sync::mpsc;

/// What became of some output.
#[derive(Debug)]
pub struct Written {
    /// Where it went.
    pub stream: Stream,
    /// Its length in bytes.
    pub count: usize,
    /// The output is closed or failed; the bytes are gone.
    pub error: Option<io::Error>,
}

/// The writing thread. What waits in it is bounded by the session's credit.
pub struct Output {
    sender: blocking::Sender<(Stream, Bytes)>,
    reports: mpsc::UnboundedReceiver<Written>,
    waiting: usize,
}

impl Output {
    /// Starts the thread.
    #[must_use]
    pub fn start() -> Self {
        Self::to(io::stdout(), io::stderr())
    }

    /// Starts the thread, which writes to these.
    #[must_use]
    pub fn to(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        let (sender, receiver) = blocking::channel();
        let (report, reports) = mpsc::unbounded_channel();
        std::thread::spawn(move || write_all(&receiver, &report, out, err));
        Self {
            sender,
            reports,
            waiting: 0,
        }
    }

    /// Hands output to the thread.
    pub fn write(&mut self, stream: Stream, bytes: Bytes) {
        if self.sender.send((stream, bytes)).is_ok() {
            self.waiting += 1;
        }
    }

    /// Waits for the next report; for ever while nothing is under way. Safe to drop.
    pub async fn written(&mut self) -> Written {
        match self.reports.recv().await {
            Some(written) => {
                self.waiting = self.waiting.saturating_sub(1);
                written
            }
            None => std::future::pending().await,
        }
    }

    /// Whether something is under way.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.waiting > 0
    }
}

fn write_all(
    receiver: &blocking::Receiver<(Stream, Bytes)>,
    report: &mpsc::UnboundedSender<Written>,
    mut out: impl Write,
    mut err: impl Write,
) {
    for (stream, bytes) in receiver {
        let result = match stream {
            Stream::Out => out.write_all(&bytes).and_then(|()| out.flush()),
            Stream::Err => err.write_all(&bytes).and_then(|()| err.flush()),
        };
        let written = Written {
            stream,
            count: bytes.len(),
            error: result.err(),
        };
        if report.send(written).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_closed_output_is_reported_and_the_other_goes_on() {
        let mut output = Output::to(Closed, io::sink());
        output.write(Stream::Out, Bytes::from_static(b"abc"));
        output.write(Stream::Err, Bytes::from_static(b"de"));
        let first = output.written().await;
        assert_eq!((first.stream, first.count), (Stream::Out, 3));
        assert_eq!(
            first.error.map(|error| error.kind()),
            Some(io::ErrorKind::BrokenPipe)
        );
        assert!(output.is_busy());
        assert!(output.written().await.error.is_none());
        assert!(!output.is_busy());
    }
}
