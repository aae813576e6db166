//! Hostile input: streams that were right once, and what a peer can make of them.

use super::{Decoder, Received};
use crate::guest::frame::{Kind, write};
use crate::guest::hello::{self, GUEST_MAGIC, GuestHello, HostHello, UnixTime, write_host};
use crate::guest::message::{self, Answer, Call, GuestFault, Notice, Steer};
use proptest::prelude::*;

const NONCE: u64 = 0x1234_5678_9abc_def0;

/// An honest guest's stream: hello, then frames whose payloads say which they are.
fn honest(frames: u8) -> Vec<u8> {
    let hello = GuestHello {
        generation: 1,
        version: "0".into(),
        boot: [1; 16],
        configured: true,
    };
    let mut bytes = Vec::new();
    hello::write(&mut bytes, GUEST_MAGIC, NONCE, &hello).expect("short");
    for number in 0..frames {
        let payload = vec![number; usize::from(number) * 7 + 1];
        write(&mut bytes, hello::epoch(NONCE), 1, Kind::Data, &[&payload]).expect("short");
    }
    bytes
}

#[derive(Debug, Clone)]
enum Harm {
    Flip(usize, u8),
    Cut(usize),
    Repeat(usize, usize),
    Insert(usize, Vec<u8>),
}

fn harms() -> impl Strategy<Value = Harm> {
    prop_oneof![
        (any::<usize>(), 1_u8..).prop_map(|(at, bits)| Harm::Flip(at, bits)),
        any::<usize>().prop_map(Harm::Cut),
        (any::<usize>(), 0_usize..400).prop_map(|(at, count)| Harm::Repeat(at, count)),
        (
            any::<usize>(),
            proptest::collection::vec(any::<u8>(), 0..50)
        )
            .prop_map(|(at, bytes)| Harm::Insert(at, bytes)),
    ]
}

fn do_harm(bytes: &mut Vec<u8>, harm: Harm) {
    let place = |at: usize, length: usize| at % length.max(1);
    match harm {
        Harm::Flip(at, bits) => {
            let at = place(at, bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
        }
        Harm::Cut(at) => bytes.truncate(place(at, bytes.len())),
        Harm::Repeat(at, count) => {
            let at = place(at, bytes.len());
            let again: Vec<u8> = bytes.iter().skip(at).take(count).copied().collect();
            bytes.splice(at..at, again);
        }
        Harm::Insert(at, more) => {
            let at = place(at, bytes.len());
            bytes.splice(at..at, more);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is done to a stream: no panic, bounded memory, and a decoder that is lost stays lost
    /// until a whole hello with the right nonce comes.
    #[test]
    fn a_damaged_stream_is_read_or_lost_and_never_panics(
        frames in 0_u8..20,
        harm in proptest::collection::vec(harms(), 1..6),
        piece in 1_usize..300,
    ) {
        let mut bytes = honest(frames);
        harm.into_iter().for_each(|harm| do_harm(&mut bytes, harm));
        let mut decoder = Decoder::for_host(NONCE);
        let mut lost = false;
        for chunk in bytes.chunks(piece) {
            decoder.push(chunk);
            while let Some(received) = decoder.next() {
                match received {
                    Received::Hello { nonce, .. } => {
                        prop_assert_eq!(nonce, NONCE);
                        lost = false;
                    }
                    Received::Frame(frame) => {
                        prop_assert!(!lost, "a frame after the stream was lost");
                        prop_assert!(frame.payload.len() <= crate::guest::frame::MAX_PAYLOAD);
                    }
                    Received::Lost => lost = true,
                }
            }
            prop_assert!(decoder.buffer.len() <= 65_536 + 300);
        }
    }

    /// The agent's end finds the next honest host after any garbage that a broken one left.
    #[test]
    fn an_honest_host_is_heard_after_any_garbage(garbage in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let time = UnixTime { seconds: 1, nanoseconds: 0 };
        let own = HostHello { generation: 1, time, entropy: [0; 32] };
        let mut bytes = Vec::new();
        write_host(&mut bytes, 1, &own).expect("short");
        bytes.extend(garbage);
        write_host(&mut bytes, 2, &own).expect("short");
        let mut decoder = Decoder::for_guest();
        decoder.push(&bytes);
        let mut heard = Vec::new();
        while let Some(received) = decoder.next() {
            if let Received::Hello { nonce, .. } = received {
                heard.push(nonce);
            }
        }
        prop_assert_eq!(heard.last(), Some(&2));
    }

    #[test]
    fn messages_of_garbage_are_refused_or_read_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let _ = message::decode::<Call>(&bytes);
        let _ = message::decode::<Result<Answer, GuestFault>>(&bytes);
        let _ = message::decode::<Notice>(&bytes);
        let _ = message::decode::<Steer>(&bytes);
        let _ = message::decode::<GuestHello>(&bytes);
    }
}
