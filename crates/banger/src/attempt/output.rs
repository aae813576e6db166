//! What attempts print: whole lines, each with the number of its attempt before it, at once or kept for later.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// A line that is longer is cut in pieces, in bytes.
const LONGEST_LINE: usize = 64 << 10;
/// What is kept of one attempt, in bytes; the rest is left out, and that is said.
const MOST_KEPT: usize = 8 << 20;

/// Where lines go.
#[derive(Debug, Clone)]
pub enum To {
    /// Standard output, at once.
    Out,
    /// Standard error, at once.
    Err,
    /// Nowhere yet.
    Kept(Kept),
}

impl To {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Out => {
                let mut out = io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush())
            }
            Self::Err => io::stderr().lock().write_all(bytes),
            Self::Kept(kept) => {
                kept.push(bytes);
                Ok(())
            }
        }
    }
}

/// Writes whole lines, each with a prefix, so that those of several attempts do not run into each other.
#[derive(Debug, Clone)]
pub struct Lines(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    prefix: Vec<u8>,
    line: Vec<u8>,
    to: To,
}

impl Lines {
    /// With this before each line.
    #[must_use]
    pub fn new(prefix: &str, to: To) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            prefix: prefix.as_bytes().to_vec(),
            line: Vec::new(),
            to,
        })))
    }

    /// No more will come: the last line may have no end.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(&self) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match inner.line.is_empty() {
            true => Ok(()),
            false => inner.end_line(),
        }
    }
}

impl Inner {
    fn end_line(&mut self) -> io::Result<()> {
        let mut whole = self.prefix.clone();
        whole.append(&mut self.line);
        whole.push(b'\n');
        self.to.write(&whole)
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            inner.line.extend_from_slice(text);
            if ends || inner.line.len() >= LONGEST_LINE {
                inner.end_line()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes that are kept, up to a bound.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<Mutex<(Vec<u8>, usize)>>);

impl Kept {
    /// Takes them, and how many were left out.
    #[must_use]
    pub fn take(&self) -> (Vec<u8>, usize) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *kept)
    }

    fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_KEPT.saturating_sub(kept.0.len()).min(bytes.len());
        let (taken, rest) = bytes.split_at(room);
        kept.0.extend_from_slice(taken);
        kept.1 += rest.len();
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_each_has_its_prefix() {
        let kept = Kept::default();
        let mut lines = Lines::new("[2] ", To::Kept(kept.clone()));
        for part in ["a", "b\nc", "\n\n", "end"] {
            lines.write_all(part.as_bytes()).expect("written");
        }
        lines.end().expect("written");
        lines.end().expect("nothing is left");
        let (bytes, left_out) = kept.take();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(text, "[2] ab\n[2] c\n[2] \n[2] end\n");
        assert_eq!(left_out, 0);
    }

    #[test]
    fn neither_a_line_without_end_nor_an_endless_output_fills_the_memory() {
        let kept = Kept::default();
        let mut lines = Lines::new("", To::Kept(kept.clone()));
        let part = vec![b'x'; 1 << 20];
        for _ in 0..9 {
            lines.write_all(&part).expect("written");
        }
        let (bytes, left_out) = kept.take();
        assert_eq!(bytes.len(), MOST_KEPT);
        assert!(left_out > 0);
    }
}
