use super::*;
use crate::guest::flow::Inbox;
use proptest::prelude::*;

/// A frame full of a byte.
fn full(out: &mut Outbox, byte: u8) -> DataFrame {
    let mut frame = out.frame();
    frame.room().fill(byte);
    frame.set_length(DataFrame::CAPACITY);
    frame
}

#[test]
fn a_frame_is_sent_as_it_is_and_filled_again_when_it_was_acknowledged() {
    let mut out = Outbox::default();
    let frame = full(&mut out, 7);
    let place = frame.bytes().as_ptr();
    out.push_frame(frame);
    let whole = DataFrame::CAPACITY as u64;
    out.credit(0, whole).expect("in range");
    match out.next(DataFrame::CAPACITY) {
        Some(Taken::Frame(frame)) => assert_eq!(frame.bytes().as_ptr(), place),
        other => panic!("{other:?}"),
    }
    out.credit(whole - 1, whole).expect("in range");
    assert_eq!(out.room(), WINDOW - 1);
    out.credit(whole, whole).expect("in range");
    assert_eq!(out.frame().room().as_ptr(), place);
}

#[test]
fn a_frame_that_may_be_sent_in_part_only_or_again_becomes_bytes() {
    let mut out = Outbox::default();
    let frame = full(&mut out, 7);
    out.push_frame(frame);
    out.credit(0, 10).expect("in range");
    assert_eq!(out.take(usize::MAX), Some(vec![7; 10]));
    out.resume(4).expect("kept");
    out.credit(4, u64::MAX).expect("in range");
    assert_eq!(out.take(usize::MAX), Some(vec![7; DataFrame::CAPACITY - 4]));
}

#[test]
fn a_frame_for_which_there_is_no_room_fills_what_there_is() {
    let mut out = Outbox::default();
    assert_eq!(out.push(&vec![1; WINDOW - 5]), WINDOW - 5);
    let frame = full(&mut out, 2);
    out.push_frame(frame);
    assert_eq!((out.room(), out.produced()), (0, WINDOW as u64));
}

#[test]
fn nothing_is_sent_without_credit_and_the_producer_waits_when_the_window_is_full() {
    let mut out = Outbox::default();
    assert_eq!(out.push(&vec![1; WINDOW + 5]), WINDOW);
    assert_eq!(out.room(), 0);
    assert_eq!(out.take(10), None);
    out.credit(0, 6).expect("in range");
    assert_eq!(out.take(10), Some(vec![1; 6]));
    assert_eq!(out.take(10), None);
    assert_eq!(out.room(), 0);
    out.credit(6, 6).expect("in range");
    assert_eq!(out.room(), 6);
}

#[test]
fn a_receiver_cannot_acknowledge_what_was_not_sent_or_ask_for_what_was_forgotten() {
    let mut out = Outbox::default();
    out.push(b"hello");
    out.credit(0, 3).expect("in range");
    out.take(9);
    assert!(out.credit(4, 9).is_err());
    out.credit(2, 9).expect("in range");
    assert!(out.resume(1).is_err());
    assert!(out.resume(6).is_err());
    assert_eq!(out.resume(2), Ok(()));
}

#[test]
fn the_end_is_sent_once_per_connection_and_after_the_last_byte() {
    let mut out = Outbox::default();
    out.push(b"ab");
    out.end();
    assert_eq!(out.push(b"c"), 0);
    assert!(!out.take_end());
    out.credit(0, 10).expect("in range");
    out.take(10);
    assert!(out.take_end() && !out.take_end());
    out.resume(1).expect("in range");
    out.credit(1, 10).expect("in range");
    assert_eq!(out.take(10), Some(b"b".to_vec()));
    assert!(out.take_end());
    out.credit(2, 10).expect("in range");
    assert!(out.is_done());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Sender and receiver over a line that breaks at random and forgets what was under way.
    #[test]
    fn every_byte_arrives_once_and_in_order_whatever_breaks(
        script in proptest::collection::vec((0_u8..6, 1_usize..90_000), 1..200),
    ) {
        let mut out = Outbox::default();
        let mut inbox = Inbox::default();
        let mut produced = 0_u64;
        let mut arrived = 0_u64;
        out.credit(0, WINDOW as u64).expect("first");
        for (what, count) in script {
            match what {
                0 | 1 => {
                    let bytes: Vec<u8> = (0..count as u64).map(|i| ((produced + i) % 251) as u8).collect();
                    produced += out.push(&bytes) as u64;
                }
                5 => {
                    let mut frame = out.frame();
                    let count = count.min(DataFrame::CAPACITY).min(out.room());
                    for (i, byte) in frame.room().iter_mut().take(count).enumerate() {
                        *byte = ((produced + i as u64) % 251) as u8;
                    }
                    frame.set_length(count);
                    out.push_frame(frame);
                    produced += count as u64;
                }
                2 | 3 => while let Some(bytes) = out.take(count) {
                    prop_assert!(inbox.receive(bytes.len()).is_ok());
                    for byte in &bytes {
                        prop_assert_eq!(u64::from(*byte), arrived % 251);
                        arrived += 1;
                    }
                    inbox.consume(bytes.len());
                    if let Some(credit) = inbox.credit(1) {
                        prop_assert!(out.credit(credit.acked, credit.limit).is_ok());
                    }
                },
                _ => {
                    let _lost_on_the_way = out.take(count);
                    inbox = Inbox::resumed(arrived);
                    prop_assert_eq!(out.resume(arrived), Ok(()));
                    let credit = inbox.first_credit(1);
                    prop_assert!(out.credit(credit.acked, credit.limit).is_ok());
                }
            }
            prop_assert!(out.kept <= WINDOW);
            prop_assert_eq!(out.kept, out.pieces.iter().map(Piece::len).sum::<usize>());
            prop_assert_eq!(out.produced(), produced);
        }
    }
}
