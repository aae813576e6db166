use super::host::{Talk, exec, run};
use super::{Guest, eventually};
use banger_proto::fault::FaultCode;
use banger_proto::guest::flow::Credit;
use banger_proto::guest::frame::{Kind, MAX_PAYLOAD};
use banger_proto::guest::hello::UnixTime;
use banger_proto::guest::message::{
    Answer, Call, Configure, ExitStatus, GrowDisk, InitChoice, InitState, decode,
};
use std::sync::atomic::Ordering;

pub(super) fn configuration() -> Configure {
    Configure {
        hostname: "box".to_owned(),
        machine_id: [1; 16],
        time: UnixTime {
            seconds: 1,
            nanoseconds: 0,
        },
        entropy: vec![1; 64],
        network: None,
        environment: vec![(b"GREETING".to_vec(), b"hello".to_vec())],
        init: InitChoice::Auto,
    }
}

#[test]
fn a_hello_is_found_behind_garbage_and_each_one_greets_the_machine() {
    let guest = Guest::start();
    let first = guest
        .connect_as(5, &vec![0xb9; 100_000])
        .hello
        .expect("answered");
    let second = guest
        .connect_as(0, b"\xb9banger-host-1\r\n\0\0")
        .hello
        .expect("answered");
    assert_eq!((first.boot, first.configured), (second.boot, false));
    assert_eq!(guest.machine.greeted.load(Ordering::SeqCst), 2);
}

#[test]
fn a_second_hello_in_the_same_connection_begins_anew() {
    let guest = Guest::start();
    let host = guest.connect();
    let mut again = super::Host::over(host.stream.try_clone().expect("cloned"), 77, b"\0\0\0");
    assert_eq!(again.ask(1, &Call::Forget([0; 16])), Ok(Answer::Done));
}

#[test]
fn a_configuration_is_passed_on_and_its_environment_kept() {
    let guest = Guest::start();
    let mut host = guest.connect();
    let answer = host.ask(1, &Call::Configure(configuration()));
    let Ok(Answer::Configured(configured)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(configured.warnings, ["a warning"]);
    assert_eq!(
        *guest.machine.configured.lock().expect("whole"),
        [configuration()]
    );
    let talk = run(
        &mut host,
        2,
        exec(1, &["/bin/sh", "-c", "echo $GREETING"]),
        b"",
    );
    assert_eq!(talk.stdout, b"hello\n");
    assert!(guest.connect_as(9, &[]).hello.expect("answered").configured);
}

#[test]
fn health_counts_running_sessions() {
    let guest = Guest::start();
    let mut host = guest.connect();
    let mut call = exec(1, &["cat"]);
    call.stdin = true;
    host.ask(1, &Call::Exec(call)).expect("started");
    let Ok(Answer::Health(health)) = host.ask(2, &Call::Health) else {
        panic!("no health");
    };
    assert_eq!((health.sessions, health.init), (1, InitState::None));
    assert!(health.memory_total_kib >= health.memory_available_kib && health.uptime_ms > 0);
}

#[test]
fn a_disk_is_grown_by_the_machine_and_what_stops_it_is_the_answer() {
    let guest = Guest::start();
    let mut host = guest.connect();
    let disk = GrowDisk::Work;
    assert_eq!(
        host.ask(1, &Call::Grow { disk }),
        Ok(Answer::Grown { bytes: 7 << 30 })
    );
    let disk = GrowDisk::System;
    let fault = host.ask(2, &Call::Grow { disk }).expect_err("refused");
    assert_eq!(fault.message, "it is no ext4");
}

#[test]
fn usage_is_told_as_the_kernel_counts() {
    let guest = Guest::start();
    let mut host = guest.connect();
    let Ok(Answer::Usage(usage)) = host.ask(1, &Call::Usage) else {
        panic!("no usage");
    };
    assert!(usage.uptime_ms > 0 && usage.threads > 0, "{usage:?}");
    assert!(usage.memory_total_kib >= usage.memory_available_kib);
}

#[test]
fn a_shutdown_is_answered_before_it_happens() {
    let guest = Guest::start();
    let mut host = guest.connect();
    assert_eq!(host.ask(1, &Call::Shutdown), Ok(Answer::Done));
    eventually("power off", || {
        guest.machine.powered_off.load(Ordering::SeqCst) == 1
    });
}

#[test]
fn a_listening_socket_is_listed() {
    let guest = Guest::start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let number = listener.local_addr().expect("bound").port();
    let Ok(Answer::Ports(ports)) = guest.connect().ask(1, &Call::Ports) else {
        panic!("no ports");
    };
    assert!(ports.iter().any(|port| port.port == number && !port.udp));
}

#[test]
fn a_call_that_is_not_known_gets_a_fault_and_the_connection_stays() {
    let guest = Guest::start();
    let mut host = guest.connect();
    host.send(1, Kind::Call, &[&[200, 1, 2, 3]]).expect("sent");
    assert_eq!(
        host.answer(1).expect_err("unknown").code,
        FaultCode::Version
    );
    assert_eq!(host.ask(2, &Call::Forget([0; 16])), Ok(Answer::Done));
}

/// Every way in which a host can break the rules of a stream closes that stream and no other.
#[test]
fn a_stream_that_breaks_the_rules_is_closed_alone() {
    let guest = Guest::start();
    let mut host = guest.connect();
    let absurd = Credit {
        channel: 1,
        acked: 1 << 40,
        limit: 1 << 41,
    }
    .to_bytes();
    let no_channel = Credit {
        channel: 9,
        acked: 0,
        limit: 0,
    }
    .to_bytes();
    let breaches: [(Kind, &[u8]); 6] = [
        (Kind::Credit, &absurd),
        (Kind::Credit, &no_channel),
        (Kind::Credit, b"short"),
        (Kind::Data, b""),
        (Kind::Data, b"\x01not input"),
        (Kind::Call, b"a second call"),
    ];
    for (number, (kind, payload)) in (1_u8..).zip(breaches) {
        let stream = u32::from(number);
        let mut call = exec(number, &["cat"]);
        call.stdin = true;
        host.ask(stream, &Call::Exec(call)).expect("started");
        host.send(stream, kind, &[payload]).expect("sent");
        let closed = |(id, kind, _)| id == stream && kind == Kind::Close;
        while !closed(host.next().expect("connected")) {}
    }
    // Too long a message, and frames of streams that are not there.
    for _ in 0..40 {
        host.send(99, Kind::Part, &[&vec![0; MAX_PAYLOAD]])
            .expect("sent");
    }
    host.send(98, Kind::Steer, &[b"late"]).expect("sent");
    host.send(97, Kind::Notice, &[]).expect("sent");
    assert_eq!(host.ask(100, &Call::Forget([0; 16])), Ok(Answer::Done));
}

#[test]
fn a_small_answer_overtakes_bulk() {
    let guest = Guest::start();
    let mut host = guest.connect();
    host.call(
        1,
        &Call::Exec(exec(1, &["head", "-c", "30000000", "/dev/zero"])),
    );
    let mut talk = Talk::default();
    talk.open(&mut host, 1).expect("sent");
    while talk.stdout.len() < 1_000_000 {
        talk.step(&mut host, 1).expect("connected");
    }
    host.call(2, &Call::Forget([0; 16]));
    let before = talk.stdout.len();
    loop {
        let (id, kind, payload) = host.next().expect("connected");
        match (id, kind) {
            (2, Kind::Answer) => {
                let answer: super::host::Outcome = decode(&payload).expect("an answer");
                assert_eq!(answer, Ok(Answer::Done));
                break;
            }
            (1, Kind::Data) => {
                talk.stdout.extend(&payload[1..]);
                let got = talk.stdout.len() as u64;
                let credit = Credit {
                    channel: 1,
                    acked: got,
                    limit: got + 262_144,
                };
                host.allow(1, credit).expect("sent");
            }
            _ => {}
        }
    }
    assert!(
        talk.stdout.len() - before < 4_000_000,
        "{}",
        talk.stdout.len() - before
    );
}

#[test]
fn finished_sessions_are_bounded() {
    let guest = Guest::start();
    let mut host = guest.connect();
    for number in 0..70_u8 {
        let talk = run(
            &mut host,
            u32::from(number) + 1,
            exec(number, &["true"]),
            b"",
        );
        assert_eq!(talk.status, Some(ExitStatus::Code(0)));
    }
    let attach = |number: u8| {
        let session = [number; 16];
        Call::Attach(banger_proto::guest::message::Attach {
            session,
            stdout: 0,
            stderr: 0,
        })
    };
    assert!(
        host.ask(200, &attach(5)).is_err(),
        "the oldest are forgotten"
    );
    assert!(host.ask(201, &attach(6)).is_ok());
}

#[test]
fn a_guest_without_file_systems_answers_and_says_why() {
    let cause = crate::fault::fault(FaultCode::Guest, "no disk has the serial number");
    let guest = Guest::broken(cause.clone());
    let mut host = guest.connect();
    let calls = [
        Call::Configure(configuration()),
        Call::Exec(exec(1, &["true"])),
        Call::Get(b"/file".to_vec()),
        Call::Health,
    ];
    for (stream, call) in (1..).zip(calls) {
        assert_eq!(host.ask(stream, &call), Err(cause.clone()), "{call:?}");
    }
    assert_eq!(host.ask(9, &Call::Shutdown), Ok(Answer::Done));
}
