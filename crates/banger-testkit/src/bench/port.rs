//! The guest protocol over a bare port: blocking, one thread, nothing between the clock and the agent.

mod exec;

use super::error::Error;
use super::interrupt;
use banger_proto::guest::GENERATION;
use banger_proto::guest::codec::{Decoder, Received};
use banger_proto::guest::frame::{self, Kind};
use banger_proto::guest::hello::{self, HostHello, UnixTime};
use banger_proto::guest::message::{
    Answer, Call, Configure, GuestFault, InitChoice, NetworkConfig, decode, encode,
};
pub use exec::{Execution, Output};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long an agent may be silent: ten times what a cold boot under emulation takes.
const SILENCE: Duration = Duration::from_secs(60);

/// A frame as it came.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) stream: u32,
    pub(super) kind: Kind,
    pub(super) payload: Vec<u8>,
}

/// A connection to an agent.
#[derive(Debug)]
pub struct Port {
    socket: UnixStream,
    decoder: Decoder,
    epoch: u32,
    last_stream: u32,
    /// Room to read into.
    buffer: Vec<u8>,
}

impl Port {
    /// Says hello and waits for the agent's; the guest may still have to boot.
    ///
    /// # Errors
    /// When the connection breaks, the agent stays silent, or somebody interrupts.
    pub fn meet(socket: UnixStream) -> Result<Self, Error> {
        let timed = socket.set_read_timeout(Some(interrupt::LOOK));
        timed.map_err(Error::io("set a limit to a socket"))?;
        let nonce = u64::from_le_bytes(random()?);
        let body = HostHello {
            generation: GENERATION,
            time: now()?,
            entropy: random()?,
        };
        let mut out = Vec::new();
        hello::write_host(&mut out, nonce, &body).map_err(unencodable)?;
        let mut port = Self {
            socket,
            decoder: Decoder::for_host(nonce),
            epoch: hello::epoch(nonce),
            last_stream: 0,
            buffer: vec![0; 262_144],
        };
        port.write(&out)?;
        loop {
            match port.decoder.next() {
                Some(Received::Hello { .. }) => return Ok(port),
                Some(_) => return Err(Error::wrong("the agent answered no hello")),
                None => port.read()?,
            }
        }
    }

    /// Calls and waits for the answer.
    ///
    /// # Errors
    /// The guest's fault, or as [`Self::meet`].
    pub fn call(&mut self, call: &Call) -> Result<Answer, Error> {
        let stream = self.begin(call)?;
        loop {
            let came = self.frame()?;
            if came.stream == stream && came.kind == Kind::Answer {
                return answer(&came.payload);
            }
        }
    }

    /// Gives the guest an identity, as the daemon does for a guest with `--init none`.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn configure(&mut self) -> Result<(), Error> {
        let at = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 2, last));
        let call = Call::Configure(Configure {
            hostname: "bare".into(),
            machine_id: random()?,
            time: now()?,
            entropy: random::<64>()?.to_vec(),
            network: Some(NetworkConfig {
                addresses: vec![(at(15), 24)],
                gateways: vec![],
                resolvers: vec![],
                mtu: None,
            }),
            environment: vec![],
            init: InitChoice::None,
        });
        match self.call(&call)? {
            Answer::Configured(_) => Ok(()),
            other => Err(Error::wrong(format!(
                "configure was answered with {other:?}"
            ))),
        }
    }

    /// Opens a stream with a call.
    fn begin(&mut self, call: &Call) -> Result<u32, Error> {
        let body = encode(call).map_err(unencodable)?;
        self.last_stream += 1;
        let mut out = Vec::new();
        frame::write_message(&mut out, self.epoch, self.last_stream, Kind::Call, &body)
            .map_err(|error| Error::wrong(error.to_string()))?;
        self.write(&out)?;
        Ok(self.last_stream)
    }

    fn send(&mut self, stream: u32, kind: Kind, parts: &[&[u8]]) -> Result<(), Error> {
        let mut out = Vec::new();
        frame::write(&mut out, self.epoch, stream, kind, parts)
            .map_err(|error| Error::wrong(error.to_string()))?;
        self.write(&out)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.socket.write_all(bytes);
        written.map_err(Error::io("write to an agent's port"))
    }

    /// The next frame of any stream.
    fn frame(&mut self) -> Result<Came, Error> {
        loop {
            match self.decoder.next() {
                Some(Received::Frame(frame)) => {
                    return Ok(Came {
                        stream: frame.stream,
                        kind: frame.kind,
                        payload: frame.payload.to_vec(),
                    });
                }
                Some(_) => return Err(Error::wrong("an agent broke the protocol")),
                None => self.read()?,
            }
        }
    }

    fn read(&mut self) -> Result<(), Error> {
        let count = read_some(&mut self.socket, &mut self.buffer)?;
        self.decoder.push(&self.buffer[..count]);
        Ok(())
    }
}

/// Reads what is there, at least one byte; the socket has a read timeout of [`interrupt::LOOK`].
pub(super) fn read_some(socket: &mut UnixStream, buffer: &mut [u8]) -> Result<usize, Error> {
    let until = Instant::now() + SILENCE;
    loop {
        match socket.read(buffer) {
            Ok(0) => return Err(Error::wrong("a guest closed its port")),
            Ok(count) => return Ok(count),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                _ => return Err(Error::io("read from a guest's port")(error)),
            },
        }
        interrupt::check()?;
        if Instant::now() >= until {
            let limit = SILENCE.as_secs();
            return Err(Error::wrong(format!("a guest was silent for {limit} s")));
        }
    }
}

fn answer(payload: &[u8]) -> Result<Answer, Error> {
    let answer: Result<Answer, GuestFault> = decode(payload).map_err(unencodable)?;
    answer.map_err(|fault| Error::wrong(format!("the guest refused: {fault}")))
}

fn unencodable(error: impl std::fmt::Display) -> Error {
    Error::wrong(format!("a message of the guest protocol: {error}"))
}

fn now() -> Result<UnixTime, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_err(|_| Error::wrong("the host's clock is before 1970"))?;
    Ok(UnixTime {
        seconds: now.as_secs(),
        nanoseconds: now.subsec_nanos(),
    })
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    let mut source = std::fs::File::open("/dev/urandom").map_err(Error::io("open /dev/urandom"))?;
    let read = source.read_exact(&mut bytes);
    read.map_err(Error::io("read /dev/urandom"))?;
    Ok(bytes)
}

#[cfg(test)]
mod t1;
