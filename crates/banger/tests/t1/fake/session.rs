//! Sessions: they belong to the made-up guest and outlive their connections.

use super::program::Program;
use super::{Shared, lock};
use banger_proto::fault::{Fault, FaultCode};
use banger_proto::guest::flow::{Credit, Inbox, Outbox};
use banger_proto::owner::exec::{Ended, Open, Opened, Start, channel};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A session.
#[derive(Debug)]
pub struct Guest {
    program: Program,
    stdin: Inbox,
    stdout: Outbox,
    stderr: Outbox,
    ended: Option<Ended>,
    /// Of the two outputs, in this connection.
    ends_sent: usize,
}

pub async fn serve(state: Shared, upgrade: OnUpgrade) {
    let Ok(upgraded) = upgrade.await else { return };
    let io = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
    let Some(Ok(Message::Text(text))) = socket.next().await else {
        return;
    };
    let open: Open = serde_json::from_str(&text).expect("an open");
    let (id, opened) = attach(&state, &open);
    if is_broken_off(&state) {
        return;
    }
    let text = serde_json::to_string(&opened).expect("plain");
    let _gone = socket.send(Message::text(text)).await;
    if matches!(opened, Opened::Attached { .. }) {
        let mut budget = lock(&state).drop_after;
        if converse(&state, &id, &mut socket, &mut budget)
            .await
            .is_none()
        {
            lock(&state).drops += 1;
        }
    }
}

fn is_broken_off(state: &Shared) -> bool {
    let mut state = lock(state);
    let left = state.unanswered.checked_sub(1);
    state.unanswered = left.unwrap_or_default();
    left.is_some()
}

fn attach(state: &Shared, open: &Open) -> (String, Opened) {
    let mut state = lock(state);
    let failed = |code, message: &str| Opened::Failed {
        fault: Fault::new(code, message),
    };
    match open {
        Open::Start(start) => {
            state.starts.push(start.clone());
            if start
                .argv
                .first()
                .is_some_and(|word| word.0 == b"directory")
            {
                return (String::new(), failed(FaultCode::Refused, "not executable"));
            }
            let known = state.sessions.contains_key(&start.session);
            if !known {
                let Some(guest) = begin(start) else {
                    return (
                        String::new(),
                        failed(FaultCode::NotFound, "no such program"),
                    );
                };
                state.sessions.insert(start.session.clone(), guest);
            }
            resume(&mut state.sessions, &start.session, 0, 0)
        }
        Open::Attach(attach) => resume(
            &mut state.sessions,
            &attach.session,
            attach.stdout,
            attach.stderr,
        ),
    }
}

fn begin(start: &Start) -> Option<Guest> {
    let (mut stdout, mut stderr) = (Outbox::default(), Outbox::default());
    Some(Guest {
        program: Program::start(start, &mut stdout, &mut stderr)?,
        stdin: Inbox::default(),
        stdout,
        stderr,
        ended: None,
        ends_sent: 0,
    })
}

fn resume(
    sessions: &mut std::collections::HashMap<String, Guest>,
    id: &str,
    stdout: u64,
    stderr: u64,
) -> (String, Opened) {
    let Some(guest) = sessions.get_mut(id) else {
        let fault = Fault::new(FaultCode::NotFound, "no such session");
        return (id.into(), Opened::Failed { fault });
    };
    guest.stdout.resume(stdout).expect("still kept");
    guest.stderr.resume(stderr).expect("still kept");
    guest.ends_sent = 0;
    guest.stdin = Inbox::resumed(guest.stdin.received());
    let stdin = guest.stdin.received();
    let opened = Opened::Attached {
        pid: 1,
        stdin,
        sandbox: None,
    };
    (id.into(), opened)
}

/// `None` when the connection was dropped on purpose.
async fn converse(
    state: &Shared,
    id: &str,
    socket: &mut Socket,
    budget: &mut Option<usize>,
) -> Option<()> {
    let first = lock(state)
        .sessions
        .get_mut(id)?
        .stdin
        .first_credit(channel::STDIN);
    socket.send(credit(first)).await.ok()?;
    loop {
        loop {
            let message = lock(state).sessions.get_mut(id)?.next();
            let Some(message) = message else { break };
            spend(budget, message.len())?;
            socket.send(Message::binary(message)).await.ok()?;
        }
        let done = lock(state).sessions.get_mut(id)?.finished();
        if let Some(ended) = done {
            let mut message = vec![channel::ENDED];
            message.extend(serde_json::to_vec(&ended).expect("plain"));
            socket.send(Message::binary(message)).await.ok()?;
            // Until the client leaves.
            while let Some(Ok(_)) = socket.next().await {}
            return Some(());
        }
        match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => {
                spend(budget, bytes.len())?;
                if bytes.first() == Some(&channel::RESIZE) {
                    let size = String::from_utf8_lossy(&bytes[1..]).into_owned();
                    lock(state).sizes.push(size);
                }
                lock(state).sessions.get_mut(id)?.receive(&bytes);
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Some(()),
            Some(Ok(_)) => {}
        }
    }
}

fn spend(budget: &mut Option<usize>, bytes: usize) -> Option<()> {
    if let Some(left) = budget {
        *left = left.checked_sub(bytes)?;
    }
    Some(())
}

fn credit(credit: Credit) -> Message {
    Message::binary([&[channel::CREDIT][..], &credit.to_bytes()].concat())
}

impl Guest {
    fn receive(&mut self, message: &[u8]) {
        let (kind, rest) = message.split_first().expect("not empty");
        match *kind {
            channel::STDIN => {
                self.stdin.receive(rest.len()).expect("within credit");
                if let Program::Cat(pending) = &mut self.program {
                    pending.extend(rest);
                }
                self.stdin.consume(rest.len());
            }
            channel::CREDIT => {
                let credit = Credit::from_bytes(rest).expect("a credit");
                let outbox = match credit.channel {
                    channel::STDOUT => &mut self.stdout,
                    _ => &mut self.stderr,
                };
                outbox.credit(credit.acked, credit.limit).expect("possible");
            }
            channel::SIGNAL => {
                self.ended = Some(Ended::Signal { signal: rest[0] });
            }
            channel::END => self.stdin.end(),
            _ => {}
        }
    }

    /// The next message for the client.
    fn next(&mut self) -> Option<Vec<u8>> {
        if self.ended.is_none() {
            self.ended = self.program.step(self.stdin.is_ended(), &mut self.stdout);
            if self.ended.is_some() {
                self.stdout.end();
                self.stderr.end();
            }
        }
        if let Some(credit) = self.stdin.credit(channel::STDIN) {
            return Some([&[channel::CREDIT][..], &credit.to_bytes()].concat());
        }
        for (number, outbox) in [(2, &mut self.stderr), (1, &mut self.stdout)] {
            if let Some(bytes) = outbox.take(usize::MAX) {
                return Some([&[number][..], &bytes].concat());
            }
        }
        None
    }

    /// How it ended, once everything was sent.
    fn finished(&mut self) -> Option<Ended> {
        let ended = self.ended.clone()?;
        let by_signal = matches!(ended, Ended::Signal { .. });
        self.ends_sent += usize::from(self.stdout.take_end());
        self.ends_sent += usize::from(self.stderr.take_end());
        (by_signal || self.ends_sent == 2).then_some(ended)
    }
}
