//! One connection after the other: bytes in, calls begun, their streams' bytes out.
//!
//! ```text
//!            hello                       hello (another)
//!   hunting ───────▶ connected(epoch) ───────────────────▶ connected(other epoch)
//!      ▲                   │ lost, hung up (port)    all streams of the old one are gone:
//!      └───────────────────┘                         transfers end, sessions stay
//! ```

mod assembly;
mod outgoing;
mod stream;
mod wire;

use crate::agent::Shared;
use crate::calls::{self, Begun};
use crate::channels::{Channels, Sent};
use assembly::Assembly;
use banger_proto::fault::FaultCode;
use banger_proto::guest::GENERATION;
use banger_proto::guest::codec::{Decoder, Received};
use banger_proto::guest::flow::Credit;
use banger_proto::guest::frame::{Frame, Kind};
use banger_proto::guest::hello::{self, GUEST_MAGIC, GuestHello, HostHello};
use banger_proto::guest::message::{self, Answer, GuestFault, Notice, Steer};
pub(crate) use outgoing::Outgoing;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use stream::{Replies, Stream};
pub(crate) use stream::{Reply, ReplyTo};
use wire::{Read, Wire};

/// How many streams a connection may have open.
const MOST_STREAMS: usize = 1024;
/// How much is read before what came is acted on.
const READ: usize = 256 * 1024;

/// See the module.
pub(crate) struct Link {
    agent: Rc<Shared>,
    wire: Wire,
    outgoing: Outgoing,
    assembly: Assembly,
    /// The present connection's epoch.
    epoch: Option<u32>,
    /// Counts connections.
    connection: u64,
    streams: BTreeMap<u32, Stream>,
    /// The stream that was served last.
    turn: u32,
    replies: Replies,
}

impl Link {
    pub(crate) fn new(agent: Rc<Shared>, file: OwnedFd) -> std::io::Result<Self> {
        Ok(Self {
            agent,
            wire: Wire::new(file)?,
            outgoing: Outgoing::default(),
            assembly: Assembly::default(),
            epoch: None,
            connection: 0,
            streams: BTreeMap::new(),
            turn: 0,
            replies: Rc::default(),
        })
    }

    /// Serves until the connection is over (`ends`), or for ever.
    pub(crate) async fn serve(mut self, ends: bool) -> std::io::Result<()> {
        let mut decoder = Decoder::for_guest();
        let mut buffer = vec![0; READ];
        let wake = Rc::clone(&self.agent.wake);
        loop {
            self.take_replies();
            self.fill();
            let mut moved = self.outgoing.flush(&mut self.wire)?;
            if !self.outgoing.is_clogged() {
                match self.wire.read(&mut buffer)? {
                    Read::Bytes(count) => {
                        decoder.push(buffer.get(..count).unwrap_or_default());
                        self.take_received(&mut decoder);
                        moved = true;
                    }
                    Read::HungUp if ends => return Ok(()),
                    Read::HungUp | Read::Nothing => {}
                }
            }
            if moved {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                changed = self.wire.changed() => changed?,
                () = wake.notified() => {}
            }
        }
    }

    fn take_received(&mut self, decoder: &mut Decoder) {
        while let Some(received) = decoder.next() {
            match received {
                Received::Hello { nonce, body } => self.begin(nonce, body),
                Received::Frame(frame) => self.take_frame(frame),
                Received::Lost => self.end_connection(),
            }
        }
    }

    /// Everything of the present connection is over; sessions stay.
    fn end_connection(&mut self) {
        self.epoch = None;
        self.connection += 1;
        self.streams.clear();
        self.assembly.clear();
        self.outgoing.clear();
    }

    fn begin(&mut self, nonce: u64, body: &[u8]) {
        self.end_connection();
        let Ok(host) = message::decode::<HostHello>(body) else {
            return;
        };
        self.agent.world.machine.greet(&host);
        let answer = GuestHello {
            generation: GENERATION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot: self.agent.boot.get(),
            configured: self.agent.configured.get(),
        };
        // Shorter than a hello may be: the host looks for nothing else.
        self.outgoing.append(|bytes| {
            let _ = hello::write(bytes, GUEST_MAGIC, nonce, &answer);
        });
        self.epoch = Some(hello::epoch(nonce));
    }

    fn take_frame(&mut self, frame: Frame<'_>) {
        let Frame {
            stream,
            kind,
            payload,
        } = frame;
        let ok = match kind {
            Kind::Part => self.assembly.part(stream, payload).is_ok(),
            Kind::Call => match self.assembly.whole(stream, payload) {
                Ok(call) => self.call(stream, &call),
                Err(_) => false,
            },
            Kind::Close => {
                self.streams.remove(&stream);
                true
            }
            Kind::Data | Kind::End | Kind::Credit | Kind::Steer => self.feed(stream, kind, payload),
            // Only a guest says these.
            Kind::Answer | Kind::Notice => true,
        };
        if !ok {
            self.break_stream(stream);
        }
    }

    /// A frame of an open stream; whether it was right. Those of streams that are over are late.
    fn feed(&self, stream: u32, kind: Kind, payload: &[u8]) -> bool {
        let Some(open) = self.streams.get(&stream) else {
            return true;
        };
        if kind == Kind::Steer {
            if let (Some(session), Ok(steer)) = (&open.session, message::decode::<Steer>(payload)) {
                session.steer(&steer);
            }
            return true;
        }
        let Some(channels) = &open.channels else {
            return true;
        };
        let fed = match (kind, payload.split_first()) {
            (Kind::Credit, _) => Credit::from_bytes(payload).map(|credit| channels.credit(credit)),
            (Kind::Data, Some((channel, bytes))) => Some(channels.receive(*channel, bytes)),
            (_, Some((channel, _))) => Some(channels.receive_end(*channel)),
            (_, None) => None,
        };
        matches!(fed, Some(Ok(())))
    }

    fn break_stream(&mut self, stream: u32) {
        self.streams.remove(&stream);
        if let Some(epoch) = self.epoch {
            self.outgoing.message(epoch, stream, Kind::Close, &[]);
        }
    }

    /// Begins a call; whether its stream was free.
    fn call(&mut self, stream: u32, body: &[u8]) -> bool {
        if self.streams.contains_key(&stream) {
            return false;
        }
        let reply = ReplyTo {
            connection: self.connection,
            stream,
            replies: Rc::clone(&self.replies),
            link: Rc::clone(&self.agent.wake),
        };
        if self.streams.len() >= MOST_STREAMS {
            let message = format!("more than {MOST_STREAMS} streams are open");
            let refusal = crate::fault::fault(FaultCode::Refused, message);
            self.answer(stream, &Err(refusal));
            return true;
        }
        let Begun {
            channels,
            session,
            transfer,
            outlives_answer,
        } = calls::begin(&self.agent, body, reply);
        if let Some(channels) = &channels {
            self.take_over(channels);
        }
        let open = Stream {
            channels,
            session,
            transfer,
            answered: false,
            outlives_answer,
        };
        self.streams.insert(stream, open);
        true
    }

    /// A session or connection has one stream: another one that has it is told, and forgotten.
    fn take_over(&mut self, channels: &Rc<Channels>) {
        let had = |open: &Stream| {
            let has = open.channels.as_ref();
            has.is_some_and(|has| Rc::ptr_eq(has, channels))
        };
        let Some(old) = self
            .streams
            .iter()
            .find_map(|(id, open)| had(open).then_some(*id))
        else {
            return;
        };
        self.streams.remove(&old);
        if let (Some(epoch), Ok(notice)) = (self.epoch, message::encode(&Notice::Taken)) {
            self.outgoing.message(epoch, old, Kind::Notice, &notice);
        }
    }

    fn take_replies(&mut self) {
        loop {
            let next = self.replies.borrow_mut().pop_front();
            let Some((connection, stream, reply)) = next else {
                return;
            };
            if connection != self.connection || !self.streams.contains_key(&stream) {
                continue;
            }
            match reply {
                Reply::Broken => self.break_stream(stream),
                Reply::Answer(answer) => {
                    self.answer(stream, &answer);
                    match self.streams.get_mut(&stream) {
                        Some(open) if answer.is_ok() && open.outlives_answer => {
                            open.answered = true;
                        }
                        _ => drop(self.streams.remove(&stream)),
                    }
                }
            }
        }
    }

    fn answer(&mut self, stream: u32, answer: &Result<Answer, GuestFault>) {
        if let (Some(epoch), Ok(body)) = (self.epoch, message::encode(answer)) {
            self.outgoing.message(epoch, stream, Kind::Answer, &body);
        }
    }

    /// Takes a frame of each stream in turn until the buffer is full or nobody has one.
    fn fill(&mut self) {
        let Some(epoch) = self.epoch else {
            return;
        };
        let mut idle = 0;
        while self.outgoing.has_room() && idle < self.streams.len() {
            let after = self.streams.range(self.turn.saturating_add(1)..).next();
            let Some((&id, open)) = after.or_else(|| self.streams.iter().next()) else {
                return;
            };
            self.turn = id;
            let sent = open
                .channels
                .as_ref()
                .map(|channels| channels.next_frame(&mut self.outgoing, epoch, id, open.answered));
            match sent {
                None | Some(Sent::Nothing) => idle += 1,
                Some(Sent::Frame) => idle = 0,
                Some(Sent::Last) => {
                    self.streams.remove(&id);
                    idle = 0;
                }
            }
        }
    }
}
