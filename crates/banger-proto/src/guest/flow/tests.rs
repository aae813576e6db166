use super::*;

#[test]
fn a_credit_reads_back_and_garbage_does_not() {
    let credit = Credit {
        channel: 2,
        acked: 7,
        limit: u64::MAX,
    };
    assert_eq!(Credit::from_bytes(&credit.to_bytes()), Some(credit));
    for bytes in [&[][..], &[1; 16], &[1; 18]] {
        assert_eq!(Credit::from_bytes(bytes), None);
    }
}

#[test]
fn a_sender_that_ignores_the_window_is_caught() {
    let mut inbox = Inbox::default();
    inbox.receive(WINDOW).expect("allowed");
    assert!(inbox.receive(1).is_err());
    inbox.consume(1);
    inbox.receive(1).expect("allowed");
    inbox.end();
    assert!(inbox.receive(1).is_err());
}
