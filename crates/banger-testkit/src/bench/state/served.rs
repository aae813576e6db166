//! The bare mechanism of a list: the same bytes from memory, over a socket of the same kind.

use super::super::error::Error;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Answers every request with the same bytes; dropped, it is gone.
pub(super) struct Served {
    socket: PathBuf,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Serves a body as JSON.
    ///
    /// # Errors
    /// When the socket cannot be bound.
    pub(super) fn new(socket: &Path, body: &[u8]) -> Result<Self, Error> {
        let listener = UnixListener::bind(socket);
        let listener = listener.map_err(Error::io("bind a socket"))?;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            body.len()
        );
        let answer = [head.as_bytes(), body].concat();
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                // Who leaves before the end is told by what it prints.
                let _left = serve(connection, &answer);
            }
        });
        Ok(Self {
            socket: socket.to_owned(),
            over,
            thread: Some(thread),
        })
    }
}

fn serve(mut connection: UnixStream, answer: &[u8]) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut bytes = [0; 4096];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = connection.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        request.extend_from_slice(&bytes[..count]);
    }
    connection.write_all(answer)
}

impl Drop for Served {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes it; that it is gone already is as good.
        let _woken = UnixStream::connect(&self.socket);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

#[cfg(test)]
mod t1 {
    use super::*;

    #[test]
    fn what_is_served_is_the_same_bytes_each_time_until_it_is_dropped() {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("s");
        let served = Served::new(&socket, b"[1,2]").expect("bound");
        for _ in 0..3 {
            let mut connection = UnixStream::connect(&socket).expect("served");
            connection
                .write_all(b"GET / HTTP/1.1\r\n\r\n")
                .expect("asked");
            let mut answer = Vec::new();
            connection.read_to_end(&mut answer).expect("answered");
            assert!(answer.ends_with(b"\r\n\r\n[1,2]"));
        }
        drop(served);
        assert!(UnixStream::connect(&socket).is_err());
    }
}
