use super::*;
use crate::guest::frame::write;
use crate::guest::hello::{FLUSH, GuestHello, HostHello, UnixTime, write_host};
use proptest::prelude::*;

fn host_hello() -> HostHello {
    let time = UnixTime {
        seconds: 1_800_000_000,
        nanoseconds: 5,
    };
    HostHello {
        generation: 1,
        time,
        entropy: [9; 32],
    }
}

fn greeting(nonce: u64) -> Vec<u8> {
    let mut out = Vec::new();
    write_host(&mut out, nonce, &host_hello()).expect("short");
    out
}

fn answer(nonce: u64) -> Vec<u8> {
    let hello = GuestHello {
        generation: 1,
        version: "0".into(),
        boot: [1; 16],
        configured: false,
    };
    let mut out = Vec::new();
    hello::write(&mut out, GUEST_MAGIC, nonce, &hello).expect("short");
    out
}

#[derive(Debug, PartialEq, Eq)]
enum Got {
    Hello(u64),
    Frame(u32, Kind, Vec<u8>),
    Lost,
}

/// Feeds the bytes in pieces of at most `piece` and collects what comes out.
fn decode(decoder: &mut Decoder, bytes: &[u8], piece: usize) -> Vec<Got> {
    let mut got = Vec::new();
    for chunk in bytes.chunks(piece) {
        decoder.push(chunk);
        while let Some(received) = decoder.next() {
            got.push(match received {
                Received::Hello { nonce, .. } => Got::Hello(nonce),
                Received::Frame(f) => Got::Frame(f.stream, f.kind, f.payload.to_vec()),
                Received::Lost => Got::Lost,
            });
        }
    }
    got
}

#[test]
fn a_hello_is_found_and_its_body_reads_back() {
    let mut decoder = Decoder::for_guest();
    decoder.push(&greeting(77));
    let Some(Received::Hello { nonce: 77, body }) = decoder.next() else {
        panic!("no hello")
    };
    assert_eq!(postcard::from_bytes::<HostHello>(body), Ok(host_hello()));
    assert_eq!(decoder.next(), None);
}

#[test]
fn the_host_takes_only_the_answer_with_its_own_nonce() {
    let mut decoder = Decoder::for_host(2);
    let bytes = [answer(1), b"noise".to_vec(), answer(2)].concat();
    assert_eq!(decode(&mut decoder, &bytes, 7), [Got::Hello(2)]);
}

/// The case that the flush is there for: the daemon dies in the middle of a frame, and the next one
/// connects before the agent has seen that anything happened.
#[test]
fn a_frame_that_was_cut_off_anywhere_never_arrives_and_the_next_connection_does() {
    let mut whole = Vec::new();
    write(&mut whole, hello::epoch(1), 3, Kind::Data, &[&[0; 3000]]).expect("short");
    for cut in (1..whole.len()).step_by(97) {
        let mut decoder = Decoder::for_guest();
        assert_eq!(decode(&mut decoder, &greeting(1), 4096), [Got::Hello(1)]);
        let bytes = [whole.get(..cut).expect("in range"), &greeting(2)].concat();
        assert_eq!(
            decode(&mut decoder, &bytes, 4096),
            [Got::Lost, Got::Hello(2)],
            "cut at {cut}"
        );
    }
}

#[test]
fn a_cut_off_frame_of_any_announced_length_is_over_after_the_flush() {
    let mut decoder = Decoder::for_guest();
    decode(&mut decoder, &greeting(1), 4096);
    let header = [MARKER, Kind::Data as u8, 0xf4, 0xff, 1, 0, 0, 0];
    assert_eq!(usize::from(u16::from_le_bytes([0xf4, 0xff])), MAX_PAYLOAD);
    let bytes = [&header[..], &greeting(2)].concat();
    assert_eq!(
        decode(&mut decoder, &bytes, 65_536),
        [Got::Lost, Got::Hello(2)]
    );
}

#[test]
fn data_that_looks_like_a_hello_is_data() {
    let mut decoder = Decoder::for_guest();
    decode(&mut decoder, &greeting(1), 4096);
    let evil = answer(5)
        .into_iter()
        .chain(greeting(6).split_off(FLUSH))
        .collect::<Vec<_>>();
    let mut bytes = Vec::new();
    write(&mut bytes, hello::epoch(1), 1, Kind::Data, &[&evil]).expect("short");
    assert_eq!(
        decode(&mut decoder, &bytes, 10),
        [Got::Frame(1, Kind::Data, evil)]
    );
}

#[test]
fn absurd_lengths_and_unknown_kinds_are_lost_before_their_payload_is_awaited() {
    for header in [
        [MARKER, 3, 0xf5, 0xff, 0, 0, 0, 0],
        [MARKER, 99, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let mut decoder = Decoder::for_host(1);
        decode(&mut decoder, &answer(1), 64);
        assert_eq!(decode(&mut decoder, &header, 8), [Got::Lost], "{header:?}");
    }
}

#[test]
fn a_hello_with_an_absurd_length_is_skipped() {
    let mut lying = GUEST_MAGIC.to_vec();
    lying.extend_from_slice(&1_u64.to_le_bytes());
    lying.extend_from_slice(&u32::MAX.to_le_bytes());
    let bytes = [lying, answer(1)].concat();
    assert_eq!(
        decode(&mut Decoder::for_host(1), &bytes, 5),
        [Got::Hello(1)]
    );
}

#[test]
fn hunting_in_endless_garbage_keeps_almost_nothing() {
    let mut decoder = Decoder::for_host(1);
    for _ in 0..1000 {
        decoder.push(&[0x55; 4096]);
        assert_eq!(decoder.next(), None);
    }
    assert!(decoder.skipped() > 4_000_000);
    assert!(decoder.buffer.len() < 8192);
}

fn kinds() -> impl Strategy<Value = Kind> {
    (1_u8..=9).prop_filter_map("a kind", Kind::from_number)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_arrive_whole_and_in_order_however_they_are_cut(
        frames in proptest::collection::vec((any::<u32>(), kinds(), proptest::collection::vec(any::<u8>(), 0..300)), 0..20),
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        piece in 1_usize..500,
        nonce: u64,
    ) {
        let mut bytes = noise;
        bytes.extend(greeting(nonce));
        for (stream, kind, payload) in &frames {
            write(&mut bytes, hello::epoch(nonce), *stream, *kind, &[payload]).expect("short");
        }
        let got = decode(&mut Decoder::for_guest(), &bytes, piece);
        let mut wanted = vec![Got::Hello(nonce)];
        wanted.extend(frames.into_iter().map(|(s, k, p)| Got::Frame(s, k, p)));
        prop_assert_eq!(got, wanted);
    }

    #[test]
    fn garbage_never_panics_and_memory_stays_bounded(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..5000), 0..40),
    ) {
        let mut decoder = Decoder::for_host(1);
        decode(&mut decoder, &answer(1), 64);
        for piece in pieces {
            decode(&mut decoder, &piece, 5000);
            prop_assert!(decoder.buffer.len() <= 65_536 + 5000);
        }
    }
}
