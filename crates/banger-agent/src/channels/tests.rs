use super::*;
use banger_proto::guest::codec::{Decoder, Received};
use banger_proto::guest::flow::WINDOW;
use banger_proto::guest::hello::{HOST_MAGIC, write};

fn channels() -> Channels {
    Channels::new(Rc::new(Notify::new()), true)
}

/// Everything that can be sent now, as (kind, payload).
fn drain(channels: &Channels, answered: bool) -> Vec<(Kind, Vec<u8>)> {
    let mut hello = Vec::new();
    write(&mut hello, HOST_MAGIC, 1, &()).expect("short");
    let mut out = Outgoing::default();
    while channels.next_frame(&mut out, 1, 7, answered) == Sent::Frame {}
    let mut decoder = Decoder::for_guest();
    decoder.push(&hello);
    decoder.push(&out.to_bytes());
    let mut frames = Vec::new();
    while let Some(received) = decoder.next() {
        if let Received::Frame(frame) = received {
            assert_eq!(frame.stream, 7);
            frames.push((frame.kind, frame.payload.to_vec()));
        }
    }
    frames
}

fn kinds(frames: &[(Kind, Vec<u8>)]) -> Vec<Kind> {
    frames.iter().map(|(kind, _)| *kind).collect()
}

fn allow(channels: &Channels, channel: u8, limit: u64) {
    channels
        .credit(Credit {
            channel,
            acked: 0,
            limit,
        })
        .expect("in range");
}

#[test]
fn before_the_answer_only_credit_is_sent_and_the_notice_comes_last() {
    let channels = channels();
    allow(&channels, STDOUT, 100);
    allow(&channels, STDERR, 100);
    channels.produce(Output::Stdout, b"out");
    channels.produce(Output::Stderr, b"err");
    channels.conclude(vec![9]);
    assert_eq!(kinds(&drain(&channels, false)), [Kind::Credit]);
    let frames = drain(&channels, true);
    assert_eq!(
        frames,
        [
            (Kind::Data, b"\x01out".to_vec()),
            (Kind::Data, b"\x02err".to_vec())
        ]
    );
    channels.finish(Output::Stdout);
    assert_eq!(drain(&channels, true), [(Kind::End, vec![STDOUT])]);
    channels.finish(Output::Stderr);
    assert_eq!(kinds(&drain(&channels, true)), [Kind::End, Kind::Notice]);
    assert_eq!(drain(&channels, true), []);
}

#[test]
fn a_peer_that_attaches_again_gets_what_it_does_not_have_and_the_notice_again() {
    let channels = channels();
    allow(&channels, STDOUT, 100);
    channels.produce(Output::Stdout, b"abcdef");
    channels.finish(Output::Stdout);
    channels.finish(Output::Stderr);
    channels.conclude(vec![9]);
    drain(&channels, true);
    assert_eq!(channels.attach(4, 0), Ok(0));
    allow(&channels, STDOUT, 100);
    let frames = drain(&channels, true);
    assert_eq!(
        kinds(&frames),
        [Kind::Credit, Kind::End, Kind::Data, Kind::End, Kind::Notice]
    );
    assert!(frames.contains(&(Kind::Data, b"\x01ef".to_vec())));
    assert!(
        channels.attach(3, 0).is_err(),
        "what was acknowledged is gone"
    );
}

#[test]
fn output_beyond_the_window_waits_and_after_a_hangup_it_is_thrown_away() {
    let channels = channels();
    channels.produce(Output::Stdout, &vec![1; WINDOW]);
    assert_eq!(channels.room(Output::Stdout), 0);
    channels.discard_output();
    assert_eq!(channels.room(Output::Stdout), usize::MAX);
    channels.produce(Output::Stdout, b"more");
    allow(&channels, STDOUT, 1 << 40);
    assert_eq!(kinds(&drain(&channels, true)), [Kind::Credit]);
}

#[test]
fn input_is_credited_as_it_is_taken_and_more_than_allowed_is_a_violation() {
    let channels = channels();
    drain(&channels, false);
    channels
        .receive(STDIN, &vec![1; WINDOW])
        .expect("in the window");
    assert!(channels.receive(STDIN, &[1]).is_err());
    assert_eq!(channels.receive(STDOUT, &[1]), Err(Violation::Channel));
    assert_eq!(channels.receive_end(9), Err(Violation::Channel));
    assert_eq!(drain(&channels, false), []);
    while channels.has_input() {
        channels
            .take_input(|bytes| Ok::<_, ()>(bytes.len()))
            .expect("taken");
    }
    assert_eq!(kinds(&drain(&channels, false)), [Kind::Credit]);
    channels.receive_end(STDIN).expect("its channel");
    assert!(channels.is_input_over());
    assert!(channels.receive(STDIN, &[1]).is_err(), "after the end");
}

#[test]
fn input_that_nobody_reads_any_more_is_taken_and_thrown_away() {
    let channels = channels();
    channels.receive(STDIN, b"abc").expect("in the window");
    channels.discard_input();
    channels
        .receive(STDIN, &vec![1; WINDOW - 3])
        .expect("in the window");
    channels
        .receive(STDIN, &vec![1; WINDOW])
        .expect("credit went on");
    assert!(!channels.has_input());
}

#[test]
fn neither_output_starves_the_other() {
    let channels = channels();
    allow(&channels, STDOUT, 1 << 40);
    allow(&channels, STDERR, 1 << 40);
    channels.produce(Output::Stdout, &vec![1; WINDOW]);
    channels.produce(Output::Stderr, b"late");
    let frames = drain(&channels, true);
    assert_eq!(frames.get(2), Some(&(Kind::Data, b"\x02late".to_vec())));
}

#[test]
fn bulk_that_was_read_into_frames_arrives_as_what_was_read_piece_by_piece() {
    let channels = channels();
    allow(&channels, STDOUT, 1 << 40);
    let mut produced = Vec::new();
    for (count, byte) in [(3, 1), (BULK, 2), (9, 3), (2 * READ + 1, 4)] {
        let read = channels.produce_with(Output::Stdout, usize::MAX, 3, |rooms| {
            rooms.iter_mut().for_each(|room| room.fill(byte));
            assert_eq!(rooms.len(), 3);
            Ok::<_, ()>(count)
        });
        assert_eq!(read, Ok(count));
        produced.extend(std::iter::repeat_n(byte, count));
    }
    let data: Vec<u8> = drain(&channels, true)
        .iter()
        .filter(|(kind, _)| *kind == Kind::Data)
        .flat_map(|(_, payload)| payload.iter().skip(1).copied())
        .collect();
    assert!(data == produced);
}

#[test]
fn no_more_is_read_than_there_is_room_for() {
    let channels = channels();
    for (most, expected) in [
        (5, vec![5]),
        (READ + 1, vec![READ, 1]),
        (9 * READ, vec![READ; 2]),
    ] {
        let read = channels.produce_with(Output::Stdout, most, 2, |rooms| {
            let lengths: Vec<_> = rooms.iter().map(|room| room.len()).collect();
            assert_eq!(lengths, expected);
            Err("nothing now")
        });
        assert_eq!(read, Err("nothing now"));
    }
    assert_eq!(channels.room(Output::Stdout), WINDOW);
}
