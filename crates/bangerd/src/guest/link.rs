//! The connection to one guest's agent: hello, then frames both ways, shared by all streams.

mod abilities;
mod uses;

use super::mailbox::Mailbox;
use super::stream::{CallError, Stream};
use crate::host;
use banger_proto::guest::GENERATION;
use banger_proto::guest::codec::{Decoder, Received};
use banger_proto::guest::flow::Credit;
use banger_proto::guest::frame::{self, Frame, Kind, MAX_MESSAGE};
use banger_proto::guest::hello::{self, FLUSH, GuestHello, HostHello};
use banger_proto::guest::message::{self, Answer, Call};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::time::Instant;
use uses::Uses;

/// What may come before the agent's hello: the tail of an earlier connection, at most what the
/// kernel and QEMU keep for a port. More is a guest that does not speak the protocol.
const MOST_GARBAGE: u64 = 8 << 20;
/// A frame that has begun must end within this: one of 64 KiB takes a millisecond.
const FRAME_LIMIT: Duration = Duration::from_secs(10);
/// Bytes for the guest that wait until it reads; senders wait beyond it.
const MOST_OUTGOING: usize = 1 << 20;
/// What may be queued beyond that, so that a stream can be closed while others fill the queue: the frame
/// that went over the bound, and thousands of closes. One that is not told leaves its connection open
/// in the guest.
const ROOM_FOR_CLOSES: usize = 2 * FLUSH;
/// How much is read at a time.
const READ: usize = 256 * 1024;

/// Why a link could not be made, or was lost.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The port's socket cannot be reached.
    #[error("cannot reach the agent's port {}: {source}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No hello came in time.
    #[error("the guest's agent did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The VMM closed the port.
    #[error("the agent's port was closed")]
    Closed,
    /// Reading or writing failed.
    #[error("the agent's port failed: {0}")]
    Io(std::io::Error),
    /// The guest broke a rule of the protocol.
    #[error("the guest broke the protocol: {0}")]
    Rule(&'static str),
}

impl LinkError {
    pub(super) const fn rule(words: &'static str) -> Self {
        Self::Rule(words)
    }
}

/// What the streams of one link share.
#[derive(Debug)]
pub(super) struct Shared {
    epoch: u32,
    outgoing: Mutex<Vec<u8>>,
    /// Something is to be written, or the link is over.
    filled: Notify,
    /// Something was written, or the link is over.
    drained: Notify,
    streams: Mutex<Streams>,
    uses: Uses,
}

#[derive(Debug, Default)]
struct Streams {
    open: HashMap<u32, Arc<Mailbox>>,
    /// Answers whose beginning has come; bounded by [`MAX_MESSAGE`] in all.
    parts: HashMap<u32, Vec<u8>>,
    last: u32,
    lost: Option<Arc<LinkError>>,
}

impl Shared {
    fn streams(&self) -> std::sync::MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outgoing(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost(&self) -> Option<Arc<LinkError>> {
        self.streams().lost.clone()
    }

    /// Queues a frame; waits while too much is queued.
    pub(super) async fn send(
        &self,
        stream: u32,
        kind: Kind,
        parts: &[&[u8]],
    ) -> Result<(), Arc<LinkError>> {
        loop {
            let drained = self.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            if let Some(reason) = self.lost() {
                return Err(reason);
            }
            {
                let mut outgoing = self.outgoing();
                if outgoing.len() < MOST_OUTGOING {
                    let written = match parts {
                        [whole] => {
                            frame::write_message(&mut outgoing, self.epoch, stream, kind, whole)
                        }
                        several => frame::write(&mut outgoing, self.epoch, stream, kind, several),
                    };
                    drop(outgoing);
                    self.filled.notify_one();
                    return written.map_err(|_| Arc::new(LinkError::Rule("a message is too long")));
                }
            }
            drained.await;
        }
    }

    /// A stream's owner is gone: tells the guest, as far as there is room.
    pub(super) fn close_stream(&self, number: u32) {
        self.streams().open.remove(&number);
        self.uses.end(number);
        let mut outgoing = self.outgoing();
        // Beyond the bound the guest does not read: it will hear of it with the next hello.
        if outgoing.len() < MOST_OUTGOING + ROOM_FOR_CLOSES {
            let _fits = frame::write(&mut outgoing, self.epoch, number, Kind::Close, &[]);
        }
        drop(outgoing);
        self.filled.notify_one();
    }

    fn lose(&self, reason: LinkError) {
        let reason = Arc::new(reason);
        let mut streams = self.streams();
        streams.lost.get_or_insert_with(|| Arc::clone(&reason));
        let open: Vec<_> = streams.open.drain().collect();
        streams.parts.clear();
        drop(streams);
        for (_, mailbox) in open {
            mailbox.close(Some(Arc::clone(&reason)));
        }
        self.outgoing().clear();
        self.filled.notify_one();
        self.drained.notify_waiters();
    }

    /// Hands a frame to its stream.
    fn deliver(&self, frame: Frame<'_>) -> Result<(), LinkError> {
        let Some(mailbox) = self.streams().open.get(&frame.stream).cloned() else {
            // Of a stream that was closed here while the frame was under way.
            return Ok(());
        };
        let first = || {
            frame
                .payload
                .split_first()
                .ok_or(LinkError::Rule("an empty frame"))
        };
        match frame.kind {
            Kind::Answer => mailbox.answer(self.whole(frame)?),
            Kind::Part => self.keep_part(frame),
            Kind::Data => first().and_then(|(channel, bytes)| mailbox.data(*channel, bytes)),
            Kind::End => first().and_then(|(channel, _)| mailbox.end(*channel)),
            Kind::Credit => Credit::from_bytes(frame.payload)
                .ok_or(LinkError::Rule("a credit that cannot be read"))
                .and_then(|credit| mailbox.credit(credit)),
            Kind::Notice => message::decode(frame.payload)
                .map_err(|_| LinkError::Rule("a notice that cannot be read"))
                .and_then(|notice| mailbox.notice(notice)),
            Kind::Close => {
                mailbox.close(None);
                Ok(())
            }
            Kind::Call | Kind::Steer => Err(LinkError::Rule("it sent what only the host may send")),
        }
    }

    fn keep_part(&self, frame: Frame<'_>) -> Result<(), LinkError> {
        let mut streams = self.streams();
        let kept: usize = streams.parts.values().map(Vec::len).sum();
        if kept + frame.payload.len() > MAX_MESSAGE {
            return Err(LinkError::Rule("a message that is too long"));
        }
        streams
            .parts
            .entry(frame.stream)
            .or_default()
            .extend_from_slice(frame.payload);
        Ok(())
    }

    fn whole(&self, frame: Frame<'_>) -> Result<Vec<u8>, LinkError> {
        let mut message = self
            .streams()
            .parts
            .remove(&frame.stream)
            .unwrap_or_default();
        if message.len() + frame.payload.len() > MAX_MESSAGE {
            return Err(LinkError::Rule("a message that is too long"));
        }
        message.extend_from_slice(frame.payload);
        Ok(message)
    }
}

/// A link to an agent that has answered. Dropping it closes the connection; the guest's sessions
/// stay.
#[derive(Debug)]
pub struct Link {
    shared: Arc<Shared>,
    /// What the agent speaks.
    generation: u16,
    tasks: [tokio::task::AbortHandle; 2],
}

/// A link and what the agent said of itself.
#[derive(Debug)]
pub struct Met {
    /// The link.
    pub link: Link,
    /// The agent's hello.
    pub hello: GuestHello,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::AbortHandle::abort);
        self.shared.lose(LinkError::Closed);
    }
}

impl Link {
    /// Connects to the port's socket, says hello and waits for the answer. The guest need not be up
    /// yet: the VMM keeps the hello until it is.
    ///
    /// # Errors
    /// [`LinkError`], after `limit` at the latest.
    pub async fn meet(socket: &Path, limit: Duration) -> Result<Met, LinkError> {
        tokio::time::timeout(limit, Self::try_to_meet(socket))
            .await
            .unwrap_or(Err(LinkError::Silent(limit)))
    }

    async fn try_to_meet(socket: &Path) -> Result<Met, LinkError> {
        let connection =
            UnixStream::connect(socket)
                .await
                .map_err(|source| LinkError::Unreachable {
                    path: socket.to_owned(),
                    source,
                })?;
        let (mut reader, mut writer) = connection.into_split();
        let nonce = u64::from_le_bytes(host::random().map_err(LinkError::Io)?);
        let own = HostHello {
            generation: GENERATION,
            time: host::now(),
            entropy: host::random().map_err(LinkError::Io)?,
        };
        let mut greeting = Vec::new();
        hello::write_host(&mut greeting, nonce, &own)
            .map_err(|_| LinkError::Rule("its own hello is too long"))?;
        let mut decoder = Decoder::for_host(nonce);
        // The port may be full of an earlier connection's bytes: read while writing.
        let (written, hello) = tokio::join!(
            writer.write_all(&greeting),
            await_hello(&mut reader, &mut decoder)
        );
        written.map_err(LinkError::Io)?;
        let hello = hello?;
        let shared = Arc::new(Shared {
            epoch: hello::epoch(nonce),
            outgoing: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
            streams: Mutex::default(),
            uses: Uses::default(),
        });
        let reading = tokio::spawn(read_all(Arc::clone(&shared), reader, decoder));
        let writing = tokio::spawn(write_all(Arc::clone(&shared), writer));
        let tasks = [reading.abort_handle(), writing.abort_handle()];
        Ok(Met {
            link: Self {
                shared,
                generation: hello.generation,
                tasks,
            },
            hello,
        })
    }

    /// Why the link was lost, when it was.
    #[must_use]
    pub fn lost(&self) -> Option<Arc<LinkError>> {
        self.shared.lost()
    }

    /// For how long nobody has used the guest through this link; zero while somebody does. A command, a
    /// copy or a connection uses it for as long as its stream is open.
    #[must_use]
    pub fn unused_for(&self) -> Duration {
        self.shared.uses.unused_for()
    }

    /// Waits until the link is lost, and says why.
    pub async fn until_lost(&self) -> Arc<LinkError> {
        loop {
            let over = self.shared.drained.notified();
            tokio::pin!(over);
            over.as_mut().enable();
            if let Some(reason) = self.lost() {
                return reason;
            }
            over.await;
        }
    }

    /// Opens a stream with a call; its answer is still to come.
    ///
    /// # Errors
    /// When the link is lost or the call cannot be encoded.
    pub async fn open(&self, call: &Call) -> Result<Stream, CallError> {
        let bytes = message::encode(call)
            .map_err(|_| CallError::Nonsense("a call that cannot be encoded"))?;
        let mailbox = Arc::new(Mailbox::default());
        let number = {
            let mut streams = self.shared.streams();
            if let Some(reason) = &streams.lost {
                return Err(CallError::Lost(Arc::clone(reason)));
            }
            streams.last = streams.last.wrapping_add(1).max(1);
            let number = streams.last;
            streams.open.insert(number, Arc::clone(&mailbox));
            number
        };
        self.shared.uses.begin(number, call);
        let stream = Stream {
            number,
            mailbox,
            shared: Arc::clone(&self.shared),
        };
        self.shared
            .send(number, Kind::Call, &[&bytes])
            .await
            .map_err(CallError::Lost)?;
        Ok(stream)
    }

    /// A call whose answer is all that there is.
    ///
    /// # Errors
    /// [`CallError`], after `limit` at the latest.
    pub async fn call(&self, call: &Call, limit: Duration) -> Result<Answer, CallError> {
        let whole = async { self.open(call).await?.answer(limit).await };
        tokio::time::timeout(limit, whole)
            .await
            .unwrap_or(Err(CallError::TimedOut(limit)))
    }
}

async fn await_hello(
    reader: &mut OwnedReadHalf,
    decoder: &mut Decoder,
) -> Result<GuestHello, LinkError> {
    let mut buffer = vec![0; 65_536];
    loop {
        match decoder.next() {
            Some(Received::Hello { body, .. }) => {
                return message::decode(body)
                    .map_err(|_| LinkError::Rule("a hello that cannot be read"));
            }
            Some(_) => return Err(LinkError::Rule("something came before the hello")),
            None => {}
        }
        if decoder.skipped() > MOST_GARBAGE {
            return Err(LinkError::Rule("garbage instead of a hello"));
        }
        let count = reader.read(&mut buffer).await.map_err(LinkError::Io)?;
        if count == 0 {
            return Err(LinkError::Closed);
        }
        decoder.push(buffer.get(..count).unwrap_or_default());
    }
}

async fn read_all(shared: Arc<Shared>, mut reader: OwnedReadHalf, mut decoder: Decoder) {
    let mut buffer = vec![0; READ];
    // When the frame that has begun must have ended, however slowly its bytes drip.
    let mut deadline: Option<Instant> = None;
    let reason = loop {
        match deliver_all(&shared, &mut decoder) {
            Err(reason) => break reason,
            Ok(_) if !decoder.is_in_frame() => deadline = None,
            Ok(0) if deadline.is_some() => {}
            Ok(_) => deadline = Some(Instant::now() + FRAME_LIMIT),
        }
        let read = reader.read(&mut buffer);
        let outcome = match deadline {
            None => read.await,
            Some(deadline) => match tokio::time::timeout_at(deadline, read).await {
                Ok(outcome) => outcome,
                Err(_) => break LinkError::Rule("a frame that does not end"),
            },
        };
        match outcome {
            Ok(0) => break LinkError::Closed,
            Ok(count) => decoder.push(buffer.get(..count).unwrap_or_default()),
            Err(error) => break LinkError::Io(error),
        }
    };
    shared.lose(reason);
}

/// Hands on every whole frame, and says how many there were.
fn deliver_all(shared: &Shared, decoder: &mut Decoder) -> Result<usize, LinkError> {
    let mut count = 0;
    while let Some(received) = decoder.next() {
        match received {
            Received::Frame(frame) => shared.deliver(frame)?,
            Received::Hello { .. } | Received::Lost => {
                return Err(LinkError::Rule("bytes that are no frame"));
            }
        }
        count += 1;
    }
    Ok(count)
}

async fn write_all(shared: Arc<Shared>, mut writer: OwnedWriteHalf) {
    let mut batch = Vec::new();
    loop {
        std::mem::swap(&mut batch, &mut *shared.outgoing());
        if batch.is_empty() {
            if shared.lost().is_some() {
                return;
            }
            shared.filled.notified().await;
            continue;
        }
        shared.drained.notify_waiters();
        if let Err(error) = writer.write_all(&batch).await {
            shared.lose(LinkError::Io(error));
            return;
        }
        batch.clear();
        // One long file must not leave its buffer behind for the life of the guest.
        if batch.capacity() > 256 * 1024 {
            batch = Vec::new();
        }
    }
}

#[cfg(test)]
pub(crate) mod t1;
