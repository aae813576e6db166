use super::*;
use banger_proto::guest::flow::WINDOW;

fn session(stdin: bool) -> Session {
    Session::new(Start {
        session: "00".repeat(16),
        stdin,
        ..Start::default()
    })
}

fn credit(channel: u8, acked: u64, limit: u64) -> Vec<u8> {
    credit_message(Credit {
        channel,
        acked,
        limit,
    })
}

fn output(channel: u8, bytes: &[u8]) -> Vec<u8> {
    [&[channel], bytes].concat()
}

#[test]
fn a_connection_begins_with_credit_for_both_outputs() {
    let mut session = session(true);
    assert!(matches!(session.open(), Open::Start(_)));
    let first = session.opened(0).expect("fresh");
    let window = WINDOW as u64;
    assert_eq!(first, [credit(1, 0, window), credit(2, 0, window)]);
}

#[test]
fn input_waits_for_credit_and_its_end_comes_last() {
    let mut session = session(true);
    session.input(b"abc");
    session.end_input();
    session.opened(0).expect("fresh");
    assert_eq!(session.outgoing(), None);
    session.receive(&credit(0, 0, 2)).expect("allowed");
    assert_eq!(session.outgoing(), Some(output(0, b"ab")));
    assert_eq!(session.outgoing(), None);
    session.receive(&credit(0, 2, 9)).expect("allowed");
    assert_eq!(session.outgoing(), Some(output(0, b"c")));
    assert_eq!(session.outgoing(), Some(vec![channel::END, 0]));
    assert_eq!(session.outgoing(), None);
}

#[test]
fn without_input_its_end_is_sent_at_once_on_every_connection() {
    let mut session = session(false);
    for _ in 0..2 {
        session.opened(0).expect("fresh");
        assert_eq!(session.outgoing(), Some(vec![channel::END, 0]));
    }
}

#[test]
fn attaching_again_names_what_was_received_and_resends_what_was_not_acknowledged() {
    let mut session = session(true);
    session.input(b"abcdef");
    session.opened(0).expect("fresh");
    session.receive(&credit(0, 0, 100)).expect("allowed");
    session.outgoing().expect("input");
    session.receive(&credit(0, 2, 100)).expect("allowed");
    session.receive(&output(1, b"12345")).expect("allowed");
    session.receive(&output(2, b"6")).expect("allowed");

    let Open::Attach(attach) = session.open() else {
        panic!("starts again")
    };
    assert_eq!((attach.stdout, attach.stderr), (5, 1));
    session.opened(4).expect("in range");
    session.receive(&credit(0, 4, 100)).expect("allowed");
    assert_eq!(session.outgoing(), Some(output(0, b"ef")));
    assert!(session.opened(1).is_err(), "acknowledged and forgotten");
    assert!(session.opened(7).is_err(), "never produced");
}

#[test]
fn credit_follows_what_was_written_not_what_was_received() {
    let mut session = session(false);
    session.opened(0).expect("fresh");
    session
        .receive(&output(1, &vec![0; WINDOW]))
        .expect("allowed");
    assert!(matches!(
        session.receive(&output(1, b"x")),
        Err(Broken::Flow { channel: 1, .. })
    ));
    assert_eq!(session.wrote(Stream::Out, 10), None);
    let quarter = WINDOW / 4;
    let told = session.wrote(Stream::Out, quarter - 10).expect("worth it");
    let (acked, limit) = (quarter as u64, (quarter + WINDOW) as u64);
    assert_eq!(told, credit(1, acked, limit));
}

#[test]
fn the_end_is_told_and_garbage_is_refused() {
    let mut session = session(false);
    session.opened(0).expect("fresh");
    let ended = br#"{"ended":"code","code":42}"#;
    assert_eq!(
        session.receive(&output(channel::ENDED, ended)),
        Ok(Brought::Ended(Ended::Code { code: 42 }))
    );
    for garbage in [&[channel::ENDED, b'{'][..], &[channel::CREDIT, 0]] {
        assert!(session.receive(garbage).is_err());
    }
    for unknown in [&[][..], &[99, 1], &[channel::END]] {
        assert_eq!(session.receive(unknown), Ok(Brought::Nothing));
    }
}

#[test]
fn a_command_that_takes_no_more_input_is_not_sent_any() {
    let mut session = session(true);
    session.input(b"abc");
    session.opened(0).expect("fresh");
    session.receive(&[channel::END, 0]).expect("allowed");
    assert!(!session.takes_input());
    session.receive(&credit(0, 0, 100)).expect("allowed");
    assert_ne!(session.outgoing(), Some(output(0, b"abc")));
}

#[test]
fn session_ids_are_random() {
    assert_ne!(random_id().expect("random"), random_id().expect("random"));
}
