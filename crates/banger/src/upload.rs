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

fn read_all(mut source: impl Read, sender: &mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let mut part = Vec::with_capacity(CHUNK);
        let read = source.by_ref().take(CHUNK as u64).read_to_end(&mut part);
        let part = match read {
            Ok(0) => return,
            Ok(_) => Ok(part.into()),
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
