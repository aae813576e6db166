//! Peers that are not allowed, send garbage, say nothing, do not listen, or come in thousands.

use crate::world::{
    OWNER, PATIENCE, Running, World, alone, ask, bridge, guest, helper, in_namespace, ip_link,
    make, policy, send,
};
use banger_linux::seqpacket::Connection;
use banger_proto::root::{Answer, Outcome, PACKET_MAX, Refusal, Verb};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketType};
use rustix::process::Uid;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const PONG: Outcome = Outcome::Done(Answer::Pong {});

/// Does something as another user, in a thread of its own: credentials belong to the thread.
fn as_user<T: Send>(uid: u32, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let uid = Uid::from_raw(uid);
            rustix::thread::set_thread_res_uid(uid, uid, uid).expect("another user");
            work()
        });
        thread.join().expect("no panic")
    })
}

/// A helper whose socket was made by the test, open to everybody: only the peer's id is left to judge.
fn open_to_all(directory: &Path) -> Running {
    let path = directory.join("open.sock");
    let socket =
        rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).expect("a socket");
    rustix::net::bind(&socket, &SocketAddrUnix::new(&path).expect("short")).expect("bound");
    rustix::net::listen(&socket, 128).expect("listening");
    rustix::fs::chmod(&path, 0o666.into()).expect("open to all");
    rustix::fs::chmod(directory, 0o755.into()).expect("open to all");
    let mut command = helper();
    command.arg("--listen-stdin").stdin(Stdio::from(socket));
    Running(command.spawn().expect("the helper"))
}

#[test]
fn another_user_is_refused_whatever_it_asks() {
    in_namespace(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let _running = open_to_all(directory.path());
        let path = directory.path().join("open.sock");
        for uid in [65_534, OWNER + 1] {
            for verb in [Verb::Ping {}, bridge(), make([1]), policy(vec![])] {
                let request = banger_proto::root::Request {
                    version: banger_root::VERSION.to_owned(),
                    op: "op-abc123".parse().expect("an id"),
                    verb,
                };
                let packet = request.encode().expect("a packet");
                let reply = as_user(uid, || send(&path, &packet)).expect("an answer");
                assert_eq!(
                    reply.outcome,
                    Outcome::Refused(Refusal::Peer { uid, owner: OWNER })
                );
            }
        }
        assert_eq!(ip_link("br-fc"), None);
        assert_eq!(as_user(OWNER, || ask(&path, Verb::Ping {})), PONG);
        assert_eq!(ask(&path, Verb::Ping {}), PONG, "root");
    });
}

#[test]
fn the_helpers_own_socket_is_the_owners_alone() {
    alone(|world| {
        rustix::fs::chmod(world.socket().parent().expect("one"), 0o755.into())
            .expect("open to all");
        let socket = world.socket();
        assert!(as_user(65_534, || Connection::connect(&socket).is_err()));
        assert_eq!(as_user(OWNER, || ask(&socket, Verb::Ping {})), PONG);
    });
}

#[test]
fn packets_that_are_no_requests_are_refused_and_change_nothing() {
    alone(|world| {
        let refusal = |packet: &[u8]| match send(&world.socket(), packet) {
            Some(reply) => match reply.outcome {
                Outcome::Refused(refusal) => refusal,
                other => panic!("{other:?}"),
            },
            None => panic!("no answer"),
        };
        let whole = br#"{"version":"0.1.0","op":"op-abc123","verb":{"ensure_bridge":{"#;
        for packet in [&b"{"[..], b"\0", &[0xff; 4096], whole, b"[]"] {
            assert!(matches!(refusal(packet), Refusal::Unreadable { .. }));
        }
        let deep = "[".repeat(200_000);
        assert!(matches!(
            refusal(deep.as_bytes()),
            Refusal::Unreadable { .. }
        ));
        let long = vec![b' '; PACKET_MAX + 1];
        assert_eq!(refusal(&long), Refusal::TooLong {});
        let other = br#"{"version":"9.9.9","op":"op-abc123","verb":{"ping":{}}}"#;
        assert!(matches!(refusal(other), Refusal::Version { .. }));
        assert_eq!(ip_link("br-fc"), None);
        assert_eq!(world.ask(Verb::Ping {}), PONG);
    });
}

fn connect(world: &World) -> OwnedFd {
    let socket =
        rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).expect("a socket");
    let address = SocketAddrUnix::new(world.socket()).expect("short");
    rustix::net::connect(&socket, &address).expect("connected");
    socket
}

#[test]
fn an_empty_packet_and_descriptors_are_no_requests() {
    alone(|world| {
        let socket = connect(world);
        rustix::net::send(&socket, b"", SendFlags::empty()).expect("sent");
        drop(socket);
        let before = world.open_files();
        for _ in 0..50 {
            let socket = connect(world);
            let file = std::fs::File::open("/dev/null").expect("a file");
            let descriptors = [std::os::fd::AsFd::as_fd(&file)];
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
            assert!(control.push(rustix::net::SendAncillaryMessage::ScmRights(&descriptors)));
            let packet = [std::io::IoSlice::new(
                br#"{"version":"0.1.0","op":"op-abc123","verb":{"ping":{}}}"#,
            )];
            rustix::net::sendmsg(&socket, &packet, &mut control, SendFlags::empty()).expect("sent");
            let mut answer = [0; 4096];
            let (length, _) =
                rustix::net::recv(&socket, &mut answer[..], rustix::net::RecvFlags::empty())
                    .expect("an answer");
            assert!(String::from_utf8_lossy(&answer[..length]).contains("unreadable"));
        }
        settled(world, before);
    });
}

/// Waits until the helper has no more descriptors open than before.
fn settled(world: &World, before: usize) {
    let begun = Instant::now();
    while world.open_files() > before {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{} files are open, {before} before",
            world.open_files()
        );
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn ten_thousand_connections_leave_memory_and_service_as_they_were() {
    alone(|world| {
        world.done(bridge());
        let before = world.open_files();
        let crowd = |many: u32| {
            for round in 0..many {
                let socket = connect(world);
                if round % 2 == 0 {
                    let garbage = &[b'x'; 4096][..];
                    let _too_late = rustix::net::send(&socket, garbage, SendFlags::NOSIGNAL);
                }
                if round % 1000 == 0 {
                    assert_eq!(world.ask(Verb::Ping {}), PONG);
                }
            }
            settled(world, before);
        };
        // Each worker's first requests make room for those that follow.
        crowd(1000);
        let memory = world.status("VmRSS");
        crowd(10_000);
        let grown = world.status("VmRSS").saturating_sub(memory);
        assert!(grown < 1024, "{grown} KiB more");
        assert!(world.status("Threads") < 12);
    });
}

#[test]
fn clients_that_say_nothing_keep_nobody_waiting() {
    alone(|world| {
        let before = world.open_files();
        let silent: Vec<_> = (0..400).map(|_| connect(world)).collect();
        for _ in 0..20 {
            let begun = Instant::now();
            assert_eq!(world.ask(Verb::Ping {}), PONG);
            assert!(
                begun.elapsed() < Duration::from_secs(4),
                "less than a silent client's time"
            );
        }
        assert!(world.open_files() < before + 200);
        settled(world, before);
        drop(silent);
    });
}

#[test]
fn clients_that_never_read_keep_nobody_waiting() {
    alone(|world| {
        world.done(bridge());
        world.done(make(1..=64));
        let request = br#"{"version":"0.1.0","op":"op-abc123","verb":{"survey":{}}}"#;
        let deaf: Vec<_> = (0..100).map(|_| connect(world)).collect();
        for socket in &deaf {
            rustix::net::send(socket, request, SendFlags::NOSIGNAL).expect("sent");
        }
        assert_eq!(world.ask(Verb::Ping {}), PONG);
        let before = world.open_files();
        drop(deaf);
        settled(world, before);
    });
}

#[test]
fn a_client_that_goes_away_leaves_a_whole_change_behind() {
    alone(|world| {
        world.done(bridge());
        let before = world.open_files();
        for number in 1..=10 {
            let request = banger_proto::root::Request {
                version: banger_root::VERSION.to_owned(),
                op: "op-abc123".parse().expect("an id"),
                verb: policy(vec![guest(number, true)]),
            };
            let packet = request.encode().expect("a packet");
            let socket = connect(world);
            rustix::net::send(&socket, &packet, SendFlags::NOSIGNAL).expect("sent");
            drop(socket);
            // It may not have been taken yet, or be at work: a survey in between sees half of it.
            let begun = Instant::now();
            loop {
                settled(world, before);
                let survey = world.survey();
                let policy = survey.policy.as_ref();
                let changed = policy.and_then(|policy| policy.changed.clone());
                let for_no_rules = policy.is_none() && survey.forwarding.ipv4_by_us;
                if changed.is_none() && !for_no_rules {
                    break;
                }
                assert!(
                    begun.elapsed() < PATIENCE,
                    "half a change stays: {survey:?}"
                );
            }
        }
        world.done(policy(vec![guest(1, true)]));
    });
}

#[test]
fn the_helper_has_given_up_what_it_does_not_need() {
    alone(|world| {
        assert_eq!(world.status("NoNewPrivs"), 1);
        assert_eq!(world.status("Seccomp"), 2, "a filter, proc(5)");
        assert!(
            world.status("VmRSS") < 16 * 1024,
            "a debug build; a release build takes less than 6 MiB"
        );
    });
}

#[test]
fn each_request_has_its_line_in_the_log_with_its_operation() {
    in_namespace(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("root.sock");
        let mut command = helper();
        command.arg("--socket").arg(&socket);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut running = Running(command.spawn().expect("the helper"));
        let mut lines = BufReader::new(running.0.stderr.take().expect("its log")).lines();
        let mut next = |wanted: &str| {
            let found = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(wanted)));
            found.expect(wanted).expect("text")
        };
        next("serves user 1000, installation 0101010101010101, bridge br-fc");
        assert_eq!(ask(&socket, Verb::Ping {}), PONG);
        assert!(next("ping").starts_with("banger-root: op-abc123 ping of user 0 in "));
        let other = br#"{"version":"9.9.9","op":"op-xyz789","verb":{"ping":{}}}"#;
        send(&socket, other).expect("an answer");
        assert!(next("9.9.9").starts_with("banger-root: op-xyz789 refused user 0: "));
    });
}
