//! Lines from a stream, none of them longer than a limit.

use super::{QmpError, closed_or_failed};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};

/// The longest line that is read, in bytes. The longest answer to the commands that are given is
/// far below 1 KiB; events that carry a guest's data stay below 4 KiB.
pub const LONGEST_LINE: usize = 64 * 1024;

/// Reads whole lines; what has been read of a line survives a read that is cancelled.
#[derive(Debug)]
pub(super) struct Lines<S> {
    stream: BufReader<S>,
    begun: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Lines<S> {
    pub(super) fn of(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
            begun: Vec::new(),
        }
    }

    /// For writing to.
    pub(super) fn stream(&mut self) -> &mut S {
        self.stream.get_mut()
    }

    /// The next line without its end. Empty lines are passed over.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, QmpError> {
        loop {
            let complete = self.read_some().await?;
            if self.begun.len() > LONGEST_LINE {
                return Err(QmpError::TooLong);
            }
            if complete {
                let line = std::mem::take(&mut self.begun);
                if !line.trim_ascii().is_empty() {
                    return Ok(line);
                }
            }
        }
    }

    /// Takes what there is up to the end of the line; true when that was reached.
    async fn read_some(&mut self) -> Result<bool, QmpError> {
        let bytes = self.stream.fill_buf().await.map_err(closed_or_failed)?;
        if bytes.is_empty() {
            return Err(QmpError::Closed);
        }
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(bytes.len(), |at| at + 1);
        self.begun.extend(bytes.iter().take(taken));
        std::pin::Pin::new(&mut self.stream).consume(taken);
        Ok(end.is_some())
    }
}
