//! A client's connection, which the carrier has, joined to a stream of the link to the guest's agent.
//!
//! Nothing is kept here: bytes and credit pass through. A connection that its daemon or its link left goes on
//! at the offsets that carrier and agent have.

use super::door::Door;
use super::keeper::speak;
use super::{LinkSource, Target};
use crate::guest::stream::CallError;
use crate::guest::{Incoming, Link, Stream};
use banger_proto::carrier::frame::{Frame, MAX_PAYLOAD};
use banger_proto::carrier::{Reply, Request, Serving};
use banger_proto::guest::flow::Credit;
use banger_proto::guest::message::{Answer, Call, Notice, STDIN, STDOUT, SessionId};
use std::io::Result;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;

/// How long a new connection waits for a link that is being made again.
const LINK_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks for the carrier's socket.
const LOOK: Duration = Duration::from_millis(50);
/// How long the agent may take to connect: it gives each address ten seconds.
const DIAL_LIMIT: Duration = Duration::from_secs(30);
/// How long the agent may take to forget one.
const FORGET_LIMIT: Duration = Duration::from_secs(30);

/// How a connection's time here ended.
#[derive(Debug)]
enum End {
    /// The client is gone, or the carrier, or has all that there was: the guest is to forget it.
    Over,
    /// The guest refused or reset it.
    Reset(String),
    /// The link was lost: with the next one it goes on.
    LinkLost,
    /// Another has it.
    Taken,
}

/// Serves a connection of the carrier's until it is over, or has to be served anew.
pub(super) async fn join(target: Target, number: u64) {
    let (mut door, serving) = match find(&target, number).await {
        Some((stream, Reply::Serving(serving), come)) => (Door::over(stream, come), serving),
        Some((_, Reply::Gone(session), _)) => return forget(&target.link, session).await,
        // It was over before.
        _ => return,
    };
    let mut connection = Connection {
        target: &target,
        serving,
        door: &mut door,
        asked: serving.connected,
        lasting: true,
    };
    let end = connection.serve().await;
    let (asked, lasting) = (connection.asked, connection.lasting);
    if let End::Reset(why) = &end {
        tracing::debug!(sandbox = %target.name(), port = serving.port, "a connection is reset: {why}");
        // A carrier that is gone has reset it.
        let _gone = door.send(&Frame::Reset).await;
    }
    drop(door);
    let forgets = matches!(end, End::Over | End::Reset(_));
    if forgets && asked && lasting {
        forget(&target.link, serving.session).await;
    }
}

/// Asks the carrier for a connection. While its guest is taken back to a snapshot, its socket is away: it gets another
/// in the runtime directory of the next VMM. A carrier that is gone takes what waits here with it.
async fn find(target: &Target, number: u64) -> Option<(UnixStream, Reply, Vec<u8>)> {
    let asking = async {
        loop {
            match speak(&target.socket, &Request::Serve(number)).await {
                Ok(found) => return found,
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    };
    tokio::time::timeout(LINK_LIMIT, asking).await.ok()
}

/// Has the guest forget a connection, with whatever link there is while it runs.
async fn forget(link: &LinkSource, session: SessionId) {
    while let Some(link) = link().await {
        if !link.dials_last() {
            return;
        }
        match link.call(&Call::Forget(session), FORGET_LIMIT).await {
            Err(CallError::Lost(_)) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// Has the guest forget all connections but these; those that it has are of a carrier that was killed, or
/// ended while no daemon was there to tell it.
pub(super) async fn forget_others(link: &LinkSource, sessions: &[SessionId]) {
    while let Some(link) = link().await {
        if !link.dials_last() {
            return;
        }
        let call = Call::KeepDials(sessions.to_vec());
        match link.call(&call, FORGET_LIMIT).await {
            Err(CallError::Lost(_)) => {}
            Ok(_) => return,
            Err(error) => return tracing::warn!("the guest keeps connections: {error}"),
        }
    }
}

struct Connection<'a> {
    target: &'a Target,
    serving: Serving,
    door: &'a mut Door,
    /// The guest may have it.
    asked: bool,
    /// It outlives the link.
    lasting: bool,
}

impl Connection<'_> {
    async fn serve(&mut self) -> End {
        let link = match self.link().await {
            Ok(link) => link,
            Err(end) => return end,
        };
        self.lasting = link.dials_last();
        if !self.lasting && self.serving.connected {
            return End::Reset("the guest's agent is an older one now".into());
        }
        match self.open(&link).await {
            Ok(stream) => self.pass(&stream).await,
            Err(end) => end,
        }
    }

    /// The link. A new connection gives up after a while, one that is made already never does.
    async fn link(&mut self) -> std::result::Result<Arc<Link>, End> {
        let source = Arc::clone(&self.target.link);
        let link = async {
            match self.serving.connected {
                true => Ok(source().await),
                false => tokio::time::timeout(LINK_LIMIT, source()).await,
            }
        };
        let reset = |why: &str| End::Reset(why.to_owned());
        tokio::select! {
            link = link => link
                .map_err(|_late| reset("the guest's agent does not answer"))?
                .ok_or_else(|| reset("the guest does not run")),
            () = until_gone(self.door) => Err(End::Over),
        }
    }

    /// Opens the stream, and tells the carrier once the guest has the connection.
    async fn open(&mut self, link: &Link) -> std::result::Result<Stream, End> {
        let Serving {
            session,
            udp,
            port,
            from,
            limit,
            ..
        } = self.serving;
        let call = match (self.lasting, self.serving.connected) {
            (false, _) => Call::Dial { udp, port },
            (true, false) => Call::DialSession { session, udp, port },
            (true, true) => Call::AttachDial { session, from },
        };
        let refused = |error: CallError| match error {
            CallError::Lost(_) => End::LinkLost,
            other => End::Reset(other.to_string()),
        };
        self.asked = true;
        let stream = link.open(&call).await.map_err(refused)?;
        let first = Credit {
            channel: STDOUT,
            acked: from,
            limit,
        };
        stream.begin(first).await.map_err(|_| End::LinkLost)?;
        let answer = tokio::select! {
            answer = stream.answer(DIAL_LIMIT) => answer.map_err(refused)?,
            () = until_gone(self.door) => return Err(End::Over),
        };
        let stdin = match answer {
            Answer::Attached(attached) => attached.stdin,
            Answer::Done => 0,
            _ => return Err(End::Reset("its agent answered another call".into())),
        };
        let connected = Frame::Connected {
            stdin,
            lasting: self.lasting,
        };
        self.door.send(&connected).await.map_err(|_| End::Over)?;
        Ok(stream)
    }

    /// Passes on until one side ends.
    async fn pass(&mut self, stream: &Stream) -> End {
        loop {
            let told = tokio::select! {
                incoming = stream.next() => match self.pass_to_carrier(incoming).await {
                    Ok(None) => Ok(()),
                    Ok(Some(end)) => return end,
                    Err(gone) => Err(gone),
                },
                frame = self.door.receive() => match frame {
                    // A link that is lost shows on the other side.
                    Ok(frame) => {
                        self.pass_to_guest(stream, frame).await;
                        Ok(())
                    }
                    Err(gone) => Err(gone),
                },
            };
            if told.is_err() {
                return End::Over;
            }
        }
    }

    /// Passes on what came from the guest; how it ended, if it did.
    async fn pass_to_carrier(&mut self, incoming: Incoming) -> Result<Option<End>> {
        match incoming {
            Incoming::Data(STDOUT, bytes) => {
                for part in bytes.chunks(MAX_PAYLOAD) {
                    self.door.put_data([part, &[]]);
                    self.door.flush().await?;
                }
            }
            Incoming::Credit(Credit {
                channel: STDIN,
                acked,
                limit,
            }) => self.door.send(&Frame::Credit { acked, limit }).await?,
            Incoming::End(STDOUT) => self.door.send(&Frame::End).await?,
            Incoming::End(_) | Incoming::Credit(_) => {}
            Incoming::Notice(Notice::Closed) => {
                self.door.send(&Frame::Closed).await?;
                until_gone(self.door).await;
                return Ok(Some(End::Over));
            }
            Incoming::Notice(Notice::Taken) => return Ok(Some(End::Taken)),
            Incoming::Closed(Some(_)) if self.lasting => return Ok(Some(End::LinkLost)),
            Incoming::Closed(_) => return Ok(Some(End::Reset("its guest reset it".into()))),
            Incoming::Data(..) | Incoming::Answer(_) | Incoming::Notice(_) => {
                return Ok(Some(End::Reset("its guest broke the protocol".into())));
            }
        }
        Ok(None)
    }

    async fn pass_to_guest(&self, stream: &Stream, frame: Frame) {
        let _lost = match frame {
            Frame::Data(bytes) => stream.data(STDIN, &bytes).await,
            Frame::End => stream.end(STDIN).await,
            Frame::Credit { acked, limit } => {
                let channel = STDOUT;
                let credit = Credit {
                    channel,
                    acked,
                    limit,
                };
                stream.credit(credit).await
            }
            Frame::Broke(why) => {
                let sandbox = self.target.name();
                tracing::warn!(%sandbox, "the guest broke the protocol: {why}");
                Ok(())
            }
            Frame::Connected { .. } | Frame::Closed | Frame::Reset => Ok(()),
        };
    }
}

/// Waits until the carrier has let go. What it says meanwhile is kept, which is little: credit.
async fn until_gone(door: &mut Door) {
    loop {
        let ready = door.socket().readable().await;
        if ready.is_err() || door.read().is_err() {
            return;
        }
    }
}
