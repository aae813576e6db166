//! An agent that follows a script: one of an older banger, or one that lies. For what the real agent
//! never does.

use banger_proto::fault::FaultCode;
use banger_proto::guest::codec::{Decoder, Received};
use banger_proto::guest::frame::{self, Frame, Kind};
use banger_proto::guest::hello::{self, GUEST_MAGIC, GuestHello};
use banger_proto::guest::message::{
    self, Answer, Call, Configured, GuestFault, Health, InitState, STDOUT,
};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// What it does with a call to connect to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dials {
    /// It is of generation 1 and does not know it.
    Unknown,
    /// It connects, and announces a datagram longer than any can be.
    Absurdly,
}

/// What comes after an answered call.
enum Then {
    GoOn,
    PowerOff,
}

/// Serves one connection to its end; whether the guest powers off then.
pub(crate) fn serve(connection: &mut UnixStream, dials: Dials) -> std::io::Result<bool> {
    let mut decoder = Decoder::for_guest();
    let mut epoch = 0;
    let mut bytes = vec![0; 65_536];
    loop {
        let count = connection.read(&mut bytes)?;
        if count == 0 {
            return Ok(false);
        }
        decoder.push(&bytes[..count]);
        let mut out = Vec::new();
        let mut powers_off = false;
        while let Some(received) = decoder.next() {
            match received {
                Received::Hello { nonce, .. } => {
                    epoch = hello::epoch(nonce);
                    greet(&mut out, nonce, dials);
                }
                Received::Frame(frame) if frame.kind == Kind::Call => {
                    powers_off |= matches!(answer(&mut out, epoch, &frame, dials), Then::PowerOff);
                }
                Received::Frame(_) | Received::Lost => {}
            }
        }
        connection.write_all(&out)?;
        if powers_off {
            return Ok(true);
        }
    }
}

fn greet(out: &mut Vec<u8>, nonce: u64, dials: Dials) {
    let hello = GuestHello {
        generation: if dials == Dials::Unknown { 1 } else { 2 },
        version: "scripted".into(),
        boot: [0; 16],
        configured: true,
    };
    hello::write(out, GUEST_MAGIC, nonce, &hello).expect("short");
}

fn answer(out: &mut Vec<u8>, epoch: u32, frame: &Frame<'_>, dials: Dials) -> Then {
    let call = message::decode::<Call>(frame.payload).expect("a call");
    let answer = match (&call, dials) {
        (Call::Configure(_), _) => Ok(Answer::Configured(Configured {
            init_started: false,
            kernel_release: "0.0.0-scripted".into(),
            warnings: vec![],
        })),
        (Call::Health, _) => Ok(Answer::Health(Health {
            init: InitState::None,
            uptime_ms: 1,
            memory_available_kib: 1,
            memory_total_kib: 1,
            sessions: 0,
        })),
        (Call::Shutdown, _) | (Call::Dial { .. }, Dials::Absurdly) => Ok(Answer::Done),
        _ => Err(GuestFault {
            code: FaultCode::Version,
            message: "the guest's agent (generation 1) does not know this call".into(),
        }),
    };
    let body = message::encode(&answer).expect("plain");
    frame::write_message(out, epoch, frame.stream, Kind::Answer, &body).expect("short");
    if matches!(call, Call::Dial { .. }) && answer.is_ok() {
        let absurd: &[&[u8]] = &[&[STDOUT], &[0xff; 5]];
        frame::write(out, epoch, frame.stream, Kind::Data, absurd).expect("short");
    }
    if call == Call::Shutdown {
        Then::PowerOff
    } else {
        Then::GoOn
    }
}
