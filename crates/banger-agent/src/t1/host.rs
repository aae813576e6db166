//! A host for tests: the other end of the protocol, blocking and small.

use banger_proto::guest::codec::{Decoder, Received};
use banger_proto::guest::flow::{Credit, Inbox, Outbox};
use banger_proto::guest::frame::{self, Kind, MAX_PAYLOAD};
use banger_proto::guest::hello::{self, GuestHello, HostHello, UnixTime};
use banger_proto::guest::message::{
    Answer, Call, Exec, ExitStatus, GuestFault, Notice, STDERR, STDIN, STDOUT, Steer, decode,
    encode,
};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a test waits for anything.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) type Received1 = (u32, Kind, Vec<u8>);

/// A connection.
pub(crate) struct Host {
    pub(crate) stream: UnixStream,
    decoder: Decoder,
    pub(crate) epoch: u32,
    received: VecDeque<Received1>,
    pub(crate) hello: Option<GuestHello>,
}

/// A call's answer, as a test expects it.
pub(crate) type Outcome = Result<Answer, GuestFault>;

impl Host {
    /// Connects, with `garbage` before the hello.
    pub(crate) fn connect(socket: &Path, nonce: u64, garbage: &[u8]) -> Self {
        Self::over(
            UnixStream::connect(socket).expect("connected"),
            nonce,
            garbage,
        )
    }

    pub(crate) fn over(mut stream: UnixStream, nonce: u64, garbage: &[u8]) -> Self {
        stream.set_read_timeout(Some(LIMIT)).expect("set");
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("past");
        let body = HostHello {
            generation: 1,
            time: UnixTime {
                seconds: now.as_secs(),
                nanoseconds: now.subsec_nanos(),
            },
            entropy: [7; 32],
        };
        let mut out = garbage.to_vec();
        hello::write_host(&mut out, nonce, &body).expect("short");
        stream.write_all(&out).expect("sent");
        let (decoder, epoch) = (Decoder::for_host(nonce), hello::epoch(nonce));
        let mut host = Self {
            stream,
            decoder,
            epoch,
            received: VecDeque::new(),
            hello: None,
        };
        while host.hello.is_none() {
            host.read().expect("a hello");
        }
        host
    }

    fn read(&mut self) -> std::io::Result<()> {
        let mut buffer = vec![0; 262_144];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.decoder.push(&buffer[..count]);
        while let Some(received) = self.decoder.next() {
            match received {
                Received::Hello { body, .. } => self.hello = decode(body).ok(),
                Received::Frame(frame) => {
                    self.received
                        .push_back((frame.stream, frame.kind, frame.payload.to_vec()));
                }
                Received::Lost => return Err(std::io::ErrorKind::InvalidData.into()),
            }
        }
        Ok(())
    }

    /// The next frame.
    pub(crate) fn next(&mut self) -> std::io::Result<Received1> {
        loop {
            match self.received.pop_front() {
                Some(frame) => return Ok(frame),
                None => self.read()?,
            }
        }
    }

    pub(crate) fn send(&mut self, stream: u32, kind: Kind, parts: &[&[u8]]) -> std::io::Result<()> {
        let mut out = Vec::new();
        frame::write(&mut out, self.epoch, stream, kind, parts).expect("fits");
        self.stream.write_all(&out)
    }

    pub(crate) fn call(&mut self, stream: u32, call: &Call) {
        let body = encode(call).expect("plain");
        let mut out = Vec::new();
        frame::write_message(&mut out, self.epoch, stream, Kind::Call, &body).expect("fits");
        self.stream.write_all(&out).expect("sent");
    }

    pub(crate) fn steer(&mut self, stream: u32, steer: &Steer) {
        let body = encode(steer).expect("plain");
        self.send(stream, Kind::Steer, &[&body]).expect("sent");
    }

    pub(crate) fn allow(&mut self, stream: u32, credit: Credit) -> std::io::Result<()> {
        self.send(stream, Kind::Credit, &[&credit.to_bytes()])
    }

    /// The answer in a stream; other streams' frames are dropped.
    pub(crate) fn answer(&mut self, stream: u32) -> Outcome {
        let mut parts = Vec::new();
        loop {
            match self.next().expect("an answer") {
                (id, Kind::Part, part) if id == stream => parts.extend(part),
                (id, Kind::Answer, part) if id == stream => {
                    parts.extend(part);
                    return decode(&parts).expect("an answer");
                }
                _ => {}
            }
        }
    }

    pub(crate) fn ask(&mut self, stream: u32, call: &Call) -> Outcome {
        self.call(stream, call);
        self.answer(stream)
    }
}

/// The host's side of a stream: what it has, and what it still sends.
#[derive(Default)]
pub(crate) struct Talk {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) inboxes: [Inbox; 2],
    pub(crate) input: Outbox,
    pub(crate) rest: VecDeque<u8>,
    pub(crate) status: Option<ExitStatus>,
    pub(crate) taken: bool,
    pub(crate) closed: bool,
    pub(crate) ends: usize,
    pub(crate) answered: bool,
}

impl Talk {
    pub(crate) fn with_input(input: &[u8]) -> Self {
        Self {
            rest: input.iter().copied().collect(),
            ..Self::default()
        }
    }

    /// Says how much output is taken.
    pub(crate) fn open(&mut self, host: &mut Host, stream: u32) -> std::io::Result<()> {
        for (inbox, channel) in self.inboxes.iter_mut().zip([STDOUT, STDERR]) {
            host.allow(stream, inbox.first_credit(channel))?;
        }
        Ok(())
    }

    /// Sends input as far as it is allowed, then its end.
    pub(crate) fn feed(&mut self, host: &mut Host, stream: u32) -> std::io::Result<()> {
        loop {
            let room = self.input.room().min(self.rest.len());
            let chunk: Vec<u8> = self.rest.drain(..room).collect();
            self.input.push(&chunk);
            if self.rest.is_empty() {
                self.input.end();
            }
            match self.input.take(MAX_PAYLOAD - 1) {
                Some(bytes) => host.send(stream, Kind::Data, &[&[STDIN], &bytes])?,
                None => break,
            }
        }
        if self.input.take_end() {
            host.send(stream, Kind::End, &[&[STDIN]])?;
        }
        Ok(())
    }

    /// Takes one frame of the stream; whether the stream goes on.
    pub(crate) fn step(&mut self, host: &mut Host, stream: u32) -> std::io::Result<bool> {
        let (id, kind, payload) = host.next()?;
        if id != stream {
            return Ok(true);
        }
        match kind {
            Kind::Answer => {
                let outcome: Outcome = decode(&payload).expect("an answer");
                outcome.expect("not refused");
                self.answered = true;
            }
            Kind::Data => {
                let (channel, bytes) = payload.split_first().expect("a channel");
                let at = usize::from(*channel - 1);
                let inbox = &mut self.inboxes[at];
                inbox.receive(bytes.len()).expect("within what was allowed");
                inbox.consume(bytes.len());
                let credit = inbox.credit(*channel);
                if at == 0 {
                    &mut self.stdout
                } else {
                    &mut self.stderr
                }
                .extend(bytes);
                if let Some(credit) = credit {
                    host.allow(stream, credit)?;
                }
            }
            Kind::Credit => {
                let credit = Credit::from_bytes(&payload).expect("a credit");
                self.input
                    .credit(credit.acked, credit.limit)
                    .expect("possible");
            }
            Kind::End => self.ends += 1,
            Kind::Notice => {
                match decode(&payload).expect("a notice") {
                    Notice::Exited(status) => self.status = Some(status),
                    Notice::Taken => self.taken = true,
                    Notice::Closed => self.closed = true,
                }
                return Ok(false);
            }
            _ => return Ok(false),
        }
        self.feed(host, stream)?;
        Ok(true)
    }

    /// Goes on until the stream is over.
    pub(crate) fn finish(&mut self, host: &mut Host, stream: u32) -> std::io::Result<()> {
        while self.step(host, stream)? {}
        Ok(())
    }
}

/// A command with arguments.
pub(crate) fn exec(session: u8, argv: &[&str]) -> Exec {
    Exec {
        session: [session; 16],
        argv: argv
            .iter()
            .map(|argument| argument.as_bytes().to_vec())
            .collect(),
        environment: vec![],
        directory: None,
        user: None,
        terminal: None,
        stdin: false,
    }
}

/// Runs a command to its end.
pub(crate) fn run(host: &mut Host, stream: u32, exec: Exec, input: &[u8]) -> Talk {
    let mut talk = Talk::with_input(input);
    host.call(stream, &Call::Exec(exec));
    talk.open(host, stream).expect("sent");
    talk.finish(host, stream).expect("connected");
    talk
}

/// Waits for a condition.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < limit, "never came: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
