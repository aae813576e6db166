//! A connection to somebody who answers as the kernel does, and as it should not. Unit tests of T1: a
//! pair of sockets and a thread.

use super::message::{HEADER, NLM_F_ACK, NLM_F_DUMP};
use super::*;
use rustix::net::socketpair;

const OBJECT: u16 = 16;

/// One message: type, flags, body.
type Reply = (u16, u16, Vec<u8>);

/// Runs `ask` against a kernel that answers its n-th request with the n-th list of datagrams.
fn against<T: Send>(answers: Vec<Vec<Vec<Reply>>>, ask: impl FnOnce(&Netlink) -> T + Send) -> T {
    let kind = SocketType::SEQPACKET;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("a pair");
    let patience = Some(Duration::from_millis(200));
    sockopt::set_socket_timeout(&ours, sockopt::Timeout::Recv, patience).expect("set");
    let netlink = Netlink {
        socket: ours,
        sequence: Cell::new(40),
    };
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for answer in answers {
                let mut request = [0; 4096];
                let (count, _) =
                    recv(&theirs, &mut request, RecvFlags::empty()).expect("a request");
                assert!(count >= HEADER);
                let sequence = u32::from_ne_bytes(request[8..12].try_into().expect("four"));
                for datagram in answer {
                    let bytes: Vec<u8> = datagram
                        .into_iter()
                        .flat_map(|reply| encode(reply, sequence))
                        .collect();
                    let _ = send(&theirs, &bytes, SendFlags::NOSIGNAL);
                }
            }
            // Open until the question is given up.
            let _ = recv(&theirs, &mut [0; 1], RecvFlags::empty());
        });
        let answer = ask(&netlink);
        drop(netlink);
        answer
    })
}

fn encode((kind, flags, body): Reply, sequence: u32) -> Vec<u8> {
    let mut bytes = Message::new(kind, 0, &body).finish(sequence);
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn object(number: u8) -> Reply {
    (OBJECT, 2, vec![number])
}

fn done(code: i32) -> Reply {
    (NLMSG_DONE, 2, code.to_ne_bytes().to_vec())
}

fn error(code: i32) -> Reply {
    let body = [&code.to_ne_bytes()[..], &[0; HEADER]].concat();
    (NLMSG_ERROR, 0, body)
}

fn list(netlink: &Netlink) -> Result<Vec<u8>, Error> {
    let request = Message::new(18, NLM_F_DUMP, &[]);
    netlink.list("list things", &request, |_, body| body.first().copied())
}

fn ask(netlink: &Netlink) -> Result<(), Error> {
    netlink.ask("do a thing", Message::new(16, NLM_F_ACK, &[]))
}

#[test]
fn a_list_ends_where_it_says_and_spans_datagrams() {
    let answer = vec![vec![object(1), object(2)], vec![object(3)], vec![done(0)]];
    assert_eq!(against(vec![answer], list), Ok(vec![1, 2, 3]));
}

#[test]
fn a_list_that_changed_meanwhile_is_read_again() {
    let interrupted = vec![
        vec![(OBJECT, NLM_F_DUMP_INTR, vec![1])],
        vec![object(2), done(0)],
    ];
    let complete = vec![vec![object(1), object(2), object(3), done(0)]];
    let found = against(vec![interrupted.clone(), interrupted, complete], list);
    assert_eq!(found, Ok(vec![1, 2, 3]));
}

#[test]
fn a_list_that_never_rests_is_given_up() {
    let interrupted = vec![vec![object(1), (NLMSG_DONE, NLM_F_DUMP_INTR, vec![0; 4])]];
    let given_up = against(vec![interrupted; ATTEMPTS], list).expect_err("never complete");
    assert_eq!(
        given_up.to_string(),
        "cannot list things: it changed during each of 10 attempts"
    );
}

#[test]
fn a_list_that_fails_half_way_is_no_short_list() {
    let failed = against(vec![vec![vec![object(1), done(-12)]]], list).expect_err("failed");
    assert_eq!(failed.refused(), Some(Errno::NOMEM));
    let refused = against(vec![vec![vec![error(-1)]]], list).expect_err("refused");
    assert_eq!(
        refused.to_string(),
        "cannot list things: Operation not permitted (os error 1)"
    );
}

#[test]
fn a_list_without_end_is_given_up() {
    let datagram: Vec<_> = (0..100).map(|_| object(1)).collect();
    let too_many = against(vec![vec![datagram; MOST_OBJECTS / 100 + 1]], list);
    assert!(matches!(too_many, Err(Error::TooMany { .. })));
}

#[test]
fn silence_and_nonsense_are_errors() {
    assert!(matches!(
        against(vec![vec![]], ask),
        Err(Error::Silent { .. })
    ));
    assert!(matches!(
        against(vec![vec![vec![object(1)]]], list),
        Err(Error::Silent { .. })
    ));
    let short = vec![vec![vec![(NLMSG_ERROR, 0, vec![1])]]];
    assert!(matches!(against(short, ask), Err(Error::Unreadable { .. })));
    let huge = vec![vec![vec![(OBJECT, 0, vec![0; DATAGRAM])]]];
    assert!(matches!(against(huge, ask), Err(Error::Unreadable { .. })));
}

#[test]
fn answers_to_an_earlier_question_are_passed_over() {
    let kind = SocketType::SEQPACKET;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("a pair");
    let netlink = Netlink {
        socket: ours,
        sequence: Cell::new(u32::MAX),
    };
    // It counts from the largest number to 0.
    for (sequence, code) in [(41, -1), (u32::MAX, -2), (0, 0)] {
        send(&theirs, &encode(error(code), sequence), SendFlags::empty()).expect("sent");
    }
    assert_eq!(ask(&netlink), Ok(()));
}

#[test]
fn a_connection_that_ended_is_an_error() {
    let kind = SocketType::SEQPACKET;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("a pair");
    let netlink = Netlink {
        socket: ours,
        sequence: Cell::new(0),
    };
    drop(theirs);
    assert!(matches!(ask(&netlink), Err(Error::Connection { .. })));
}
