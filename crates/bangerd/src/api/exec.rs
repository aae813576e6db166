//! `/v1/sandboxes/{sandbox}/exec`: a client's WebSocket joined to a stream of the agent.
//!
//! The daemon keeps nothing of a session: bytes and credit are passed on, so that killing the daemon
//! loses nothing that the two ends do not still have. What it does is to keep the guest to the
//! client's credit, and to hang the session up when its client is gone.

use super::Api;
use super::reply::Refused;
use crate::audit::{Entry, bounded};
use crate::guest::{Incoming, Stream};
use crate::host;
use crate::operation::{OpId, new_id};
use crate::sandbox::Sandbox;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::response::Response;
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::guest::flow::Credit;
use banger_proto::guest::message::{self, Answer, Call, Notice, Steer};
use banger_proto::owner::exec::{Ended, Open, Opened, SUBPROTOCOL, Size, channel, parse_session};
use banger_proto::owner::{ByteText, OP_HEADER};
use std::sync::Arc;
use std::time::Duration;

/// How long a command may take to start: an emulated guest under load is slow.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Characters of an argument that are shown.
const LONGEST_SHOWN: usize = 200;
/// How long a client may take to say what it wants.
const OPEN_LIMIT: Duration = Duration::from_secs(30);
/// The longest message of a client: arguments and environment in base64, as for every JSON body.
const LONGEST_MESSAGE: usize = super::LONGEST_JSON;

/// Runs a command, or continues with one. A WebSocket: see the protocol's description.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/exec", params(("sandbox" = String, Path)),
    responses((status = 101, description = "WebSocket, sub-protocol banger.exec.v1"), (status = 404, body = Fault), (status = 409, body = Fault)))]
pub(super) async fn exec(
    State(api): State<Api>,
    Path(name): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refused> {
    let sandbox = api.supervisor.services.registry.find(&name)?;
    let guard = sandbox.attach(api.supervisor.clock);
    // A refusal is a plain answer; only what concerns the command is told inside of the session.
    sandbox.guest().await?;
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(LONGEST_MESSAGE)
        .max_frame_size(LONGEST_MESSAGE);
    let op = new_id();
    let mut response = upgrade.on_upgrade(move |socket| async move {
        Session {
            socket,
            api,
            sandbox,
            op,
        }
        .run()
        .await;
        drop(guard);
    });
    if let Ok(op) = HeaderValue::from_str(&op.to_string()) {
        response.headers_mut().insert(OP_HEADER, op);
    }
    Ok(response)
}

struct Session {
    socket: WebSocket,
    api: Api,
    sandbox: Arc<Sandbox>,
    /// Its id in the audit log.
    op: OpId,
}

/// Why a session's pumping ended.
enum End {
    /// The client was told how the session ended.
    Told(String),
    /// The client is gone.
    ClientGone,
    /// The daemon is leaving: the session stays in the guest, the client will come back.
    Leaving,
}

impl Session {
    async fn run(mut self) {
        match self.open().await {
            Ok(Some(stream)) => {
                let end = self.pump(&stream).await;
                self.audit(|entry| {
                    entry.outcome = Some(match &end {
                        End::Told(how) => how.clone(),
                        End::ClientGone => "hung up, its client is gone".into(),
                        End::Leaving => "goes on, the daemon leaves".into(),
                    });
                });
                if matches!(end, End::ClientGone) {
                    // A link that is lost has nobody left to hang up on.
                    let _lost = stream.steer(&Steer::Hangup).await;
                }
                self.api.touch();
            }
            Ok(None) => {}
            Err(fault) => {
                self.audit(|entry| {
                    entry.outcome = Some("failed".into());
                    entry.fault = Some(fault.code);
                });
                self.tell(&Opened::Failed { fault }).await;
            }
        }
        let _closed_already = self.socket.send(Message::Close(None::<CloseFrame>)).await;
    }

    /// Records something of this session; neither arguments nor environment, which hold secrets.
    fn audit(&self, say: impl FnOnce(&mut Entry)) {
        let mut entry = Entry {
            op: Some(self.op.to_string()),
            sandbox: Some(self.sandbox.id.to_string()),
            ..Entry::at(host::utc_now())
        };
        say(&mut entry);
        self.api.audit.put(entry);
    }

    /// Reads what the client wants and starts or attaches; `None` when the client left.
    async fn open(&mut self) -> Result<Option<Stream>, Fault> {
        let bad = |words: String| Fault::new(FaultCode::BadRequest, words);
        let text = loop {
            match tokio::time::timeout(OPEN_LIMIT, self.socket.recv()).await {
                Err(_) => return Err(bad("nothing was asked for within 30 s".into())),
                Ok(None | Some(Err(_) | Ok(Message::Close(_)))) => return Ok(None),
                Ok(Some(Ok(Message::Text(text)))) => break text,
                Ok(Some(Ok(Message::Binary(_)))) => {
                    return Err(bad(
                        "bytes came before the message that opens the session".into()
                    ));
                }
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
            }
        };
        let open: Open = serde_json::from_str(&text)
            .map_err(|error| bad(format!("the opening message cannot be read: {error}")))?;
        self.audit(|entry| match &open {
            Open::Start(start) => {
                let program = start.argv.first();
                entry.program = program.map(|program| bounded(&program.0));
                entry.arguments = Some(start.argv.len().saturating_sub(1));
            }
            Open::Attach(_) => entry.outcome = Some("taken up again".into()),
        });
        if let Open::Start(start) = &open
            && !start.no_checkpoint
        {
            self.sandbox.checkpoint(&shown(&start.argv)).await?;
        }
        let (call, stdout, stderr) = call_of(open)?;
        let link = self.sandbox.guest().await?;
        let stream = link.open(&call).await?;
        for (number, offset) in [(message::STDOUT, stdout), (message::STDERR, stderr)] {
            let nothing_yet = Credit {
                channel: number,
                acked: offset,
                limit: offset,
            };
            stream
                .begin(nothing_yet)
                .await
                .map_err(crate::guest::stream::CallError::Lost)?;
        }
        let Answer::Attached(attached) = stream.answer(START_LIMIT).await? else {
            return Err(
                crate::guest::stream::CallError::Nonsense("an answer to another call").into(),
            );
        };
        let opened = Opened::Attached {
            pid: attached.pid,
            stdin: attached.stdin,
            sandbox: Some(self.sandbox.id.to_string()),
        };
        Ok(self.tell(&opened).await.then_some(stream))
    }

    async fn tell<T: serde::Serialize>(&mut self, what: &T) -> bool {
        let text = serde_json::to_string(what).unwrap_or_default();
        self.socket.send(Message::Text(text.into())).await.is_ok()
    }

    /// Passes on until one side ends.
    async fn pump(&mut self, stream: &Stream) -> End {
        loop {
            tokio::select! {
                // A client that is slow stops this from taking more of what the guest may send
                // anyway: what waits is bounded by the client's own credit.
                incoming = stream.next() => match to_client(incoming) {
                    Pass::On(message) => {
                        if self.socket.send(message).await.is_err() {
                            return End::ClientGone;
                        }
                    }
                    Pass::Last(last) => {
                        let how = words(&last);
                        let _gone = self.socket.send(ended(&last)).await;
                        return End::Told(how);
                    }
                    Pass::Nothing => {}
                },
                message = self.socket.recv() => match message {
                    Some(Ok(Message::Binary(bytes))) => {
                        if let Err(words) = to_guest(stream, &bytes).await {
                            let fault = Fault::new(FaultCode::BadRequest, words);
                            let _gone = self.socket.send(ended(&Ended::Failed { fault })).await;
                            return End::ClientGone;
                        }
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_))) => {}
                    None | Some(Err(_) | Ok(Message::Close(_))) => return End::ClientGone,
                },
                () = self.api.leaving.cancelled() => return End::Leaving,
            }
        }
    }
}

/// A command, for people.
fn shown(argv: &[ByteText]) -> String {
    if argv.is_empty() {
        return "a login shell".into();
    }
    let words = argv.iter().map(|word| String::from_utf8_lossy(&word.0));
    let mut text = String::new();
    for word in words.take(64) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.extend(word.chars().take(LONGEST_SHOWN));
    }
    text
}

/// The call to the agent, and where the client is in the two outputs.
fn call_of(open: Open) -> Result<(Call, u64, u64), Fault> {
    let session = |text: &str| {
        parse_session(text).ok_or_else(|| {
            Fault::new(
                FaultCode::BadRequest,
                "the session's id is not 32 hexadecimal digits",
            )
        })
    };
    Ok(match open {
        Open::Start(start) => {
            let call = Call::Exec(message::Exec {
                session: session(&start.session)?,
                argv: start.argv.into_iter().map(|argument| argument.0).collect(),
                environment: start
                    .environment
                    .into_iter()
                    .map(|(k, v)| (k.0, v.0))
                    .collect(),
                directory: start.directory.map(|directory| directory.0),
                user: start.user,
                terminal: start.terminal.map(Into::into),
                stdin: start.stdin,
            });
            (call, 0, 0)
        }
        Open::Attach(attach) => {
            let (stdout, stderr) = (attach.stdout, attach.stderr);
            let session = session(&attach.session)?;
            (
                Call::Attach(message::Attach {
                    session,
                    stdout,
                    stderr,
                }),
                stdout,
                stderr,
            )
        }
    })
}

enum Pass {
    On(Message),
    Last(Ended),
    Nothing,
}

fn binary(channel: u8, parts: &[&[u8]]) -> Message {
    let mut bytes = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    bytes.push(channel);
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    Message::Binary(bytes.into())
}

/// How a session ended, for the audit log.
fn words(ended: &Ended) -> String {
    match ended {
        Ended::Code { code } => format!("exit status {code}"),
        Ended::Signal { signal } => format!("signal {signal}"),
        Ended::Taken => "taken up by another client".into(),
        Ended::Failed { .. } => "lost with its guest".into(),
    }
}

fn ended(ended: &Ended) -> Message {
    binary(
        channel::ENDED,
        &[&serde_json::to_vec(ended).unwrap_or_default()],
    )
}

fn to_client(incoming: Incoming) -> Pass {
    match incoming {
        Incoming::Data(number, bytes) => Pass::On(binary(number, &[&bytes])),
        Incoming::Credit(credit) => Pass::On(binary(channel::CREDIT, &[&credit.to_bytes()])),
        Incoming::End(number) => Pass::On(binary(channel::END, &[&[number]])),
        Incoming::Notice(Notice::Exited(status)) => Pass::Last(status.into()),
        Incoming::Notice(Notice::Taken) => Pass::Last(Ended::Taken),
        // A session has no connection that could end.
        Incoming::Answer(_) | Incoming::Notice(Notice::Closed) => Pass::Nothing,
        Incoming::Closed(reason) => {
            let why = reason.map_or_else(|| "it closed the session".into(), |r| r.to_string());
            let fault = Fault::new(FaultCode::Guest, format!("the guest was lost: {why}"))
                .with_remedy("see `banger vm list` for its state and `banger vm logs NAME`");
            Pass::Last(Ended::Failed { fault })
        }
    }
}

/// Passes a client's message on; what cannot be read is the client's error. A lost link shows on the
/// other side.
async fn to_guest(stream: &Stream, bytes: &[u8]) -> Result<(), &'static str> {
    let (number, rest) = bytes.split_first().ok_or("an empty message")?;
    let _lost = match *number {
        channel::STDIN => stream.data(message::STDIN, rest).await,
        channel::RESIZE => {
            let size: Size =
                serde_json::from_slice(rest).map_err(|_| "a size that cannot be read")?;
            stream.steer(&Steer::Resize(size.into())).await
        }
        channel::CREDIT => {
            let credit = Credit::from_bytes(rest).ok_or("a credit that cannot be read")?;
            stream.credit(credit).await
        }
        channel::SIGNAL => {
            let signal = rest.first().ok_or("a signal without a number")?;
            stream.steer(&Steer::Signal(i32::from(*signal))).await
        }
        channel::END => {
            stream
                .end(*rest.first().ok_or("an end without a channel")?)
                .await
        }
        _ => return Err("a channel that does not exist"),
    };
    Ok(())
}
