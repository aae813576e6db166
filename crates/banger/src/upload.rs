//! A file or standard input as the body of a request.

use futures_util::Stream;
use hyper::body::Bytes;
use std::io::{self, Read};
use tokio::sync::mpsc;

/// The most that one part has, in bytes.
const CHUNK: usize = 256 * 1024;

/// Parts that a thread reads while they are sent; at most four wait.
pub fn parts(
    source: impl Read + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || read_all(source, &sender));
    futures_util::stream::unfold(receiver, |mut receiver| async move {
        let part = receiver.recv().await?;
        Some((part, receiver))
    })
}

/// What has come is sent, however little it is: who writes to a pipe may wait for what we say to it.
fn read_all(mut source: impl Read, sender: &mpsc::Sender<io::Result<Bytes>>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let part = match source.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => Ok(Bytes::copy_from_slice(
                buffer.get(..length).unwrap_or_default(),
            )),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let last = part.is_err();
        if sender.blocking_send(part).is_err() || last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt;

    #[tokio::test]
    async fn all_bytes_are_sent_in_order() {
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
        let sent: Vec<Bytes> = parts(io::Cursor::new(bytes.clone()))
            .try_collect()
            .await
            .expect("sent");
        assert_eq!(sent.concat(), bytes);
    }

    #[tokio::test]
    async fn what_has_come_is_sent_before_more_comes() {
        let (read, mut write) = io::pipe().expect("a pipe");
        let mut parts = Box::pin(parts(read));
        for word in ["one", "two"] {
            io::Write::write_all(&mut write, word.as_bytes()).expect("written");
            let part = parts.try_next().await.expect("read").expect("a part");
            assert_eq!(part, word.as_bytes());
        }
        drop(write);
        assert!(parts.try_next().await.expect("read").is_none());
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_breaks_the_body() {
        struct Bad;
        impl Read for Bad {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("bad sector"))
            }
        }
        assert!(parts(Bad).try_collect::<Vec<_>>().await.is_err());
    }
}
