use super::*;
use proptest::prelude::*;

#[test]
fn a_field_that_a_newer_peer_appended_is_ignored() {
    let mut bytes = encode(&Attach {
        session: [1; 16],
        stdout: 2,
        stderr: 3,
    })
    .expect("plain");
    bytes.extend_from_slice(b"newer");
    assert_eq!(
        decode(&bytes),
        Ok(Attach {
            session: [1; 16],
            stdout: 2,
            stderr: 3
        })
    );
}

/// The wire form of what exists must never change: running guests keep their agent.
#[test]
fn the_wire_form_of_generation_one_stays() {
    let calls = [
        (Call::Forget([0; 16]), 3),
        (Call::Ports, 10),
        (Call::Health, 11),
        (Call::Shutdown, 12),
    ];
    for (call, number) in calls {
        assert_eq!(
            encode(&call).expect("plain").first(),
            Some(&number),
            "{call:?}"
        );
    }
    assert_eq!(
        encode(&Notice::Exited(ExitStatus::Signal(9))),
        Ok(vec![0, 1, 9])
    );
    assert_eq!(
        encode(&Steer::Resize(TerminalSize {
            rows: 24,
            columns: 80
        })),
        Ok(vec![0, 24, 80])
    );
}

#[test]
fn the_wire_form_of_generation_two_stays() {
    let dial = Call::Dial {
        udp: true,
        port: 300,
    };
    assert_eq!(encode(&dial), Ok(vec![13, 1, 0xac, 2]));
    assert_eq!(encode(&Notice::Closed), Ok(vec![2]));
}

#[test]
fn the_wire_form_of_generation_three_stays() {
    assert_eq!(encode(&Call::Usage), Ok(vec![14]));
    let usage = Usage {
        load_hundredths: 300,
        ..Usage::default()
    };
    let bytes = vec![7, 0, 0, 0, 0xac, 2, 0, 0, 0, 0, 0];
    assert_eq!(encode(&Answer::Usage(usage)), Ok(bytes));
}

#[test]
fn the_wire_form_of_generation_four_stays() {
    let grow = |disk| encode(&Call::Grow { disk });
    assert_eq!(grow(GrowDisk::Work), Ok(vec![15, 0]));
    assert_eq!(grow(GrowDisk::System), Ok(vec![15, 1]));
    assert_eq!(encode(&Call::Sync), Ok(vec![16]));
    assert_eq!(encode(&Answer::Grown { bytes: 300 }), Ok(vec![8, 0xac, 2]));
    let mut resumed = vec![17, 1, 2, 3, 4, 5, 6, 7, 1, 3];
    resumed.extend(*b"box");
    resumed.extend([9; 16]);
    resumed.extend([1, 2, 1, 0, 0, 0, 0]);
    assert_eq!(encode(&Call::Resumed(resumption())), Ok(resumed));
}

#[test]
fn the_wire_form_of_generation_five_stays() {
    assert_eq!(encode(&Call::LeaveNetwork), Ok(vec![21]));
}

fn resumption() -> Resumed {
    Resumed {
        mac: Some([2, 3, 4, 5, 6, 7]),
        keeps_sessions: true,
        configure: Configure {
            hostname: "box".to_owned(),
            machine_id: [9; 16],
            time: UnixTime {
                seconds: 1,
                nanoseconds: 2,
            },
            entropy: vec![0],
            network: None,
            environment: vec![],
            init: InitChoice::Auto,
        },
    }
}

#[test]
fn the_wire_form_of_lasting_connections_stays() {
    let dial = Call::DialSession {
        session: [1; 16],
        udp: false,
        port: 300,
    };
    let bytes = [vec![18], vec![1; 16], vec![0, 0xac, 2]].concat();
    assert_eq!(encode(&dial), Ok(bytes));
    let attach = Call::AttachDial {
        session: [1; 16],
        from: 300,
    };
    assert_eq!(
        encode(&attach),
        Ok([vec![19], vec![1; 16], vec![0xac, 2]].concat())
    );
    let keep = Call::KeepDials(vec![[1; 16]]);
    assert_eq!(encode(&keep), Ok([vec![20, 1], vec![1; 16]].concat()));
}

/// An agent of today is resumed by a daemon that appended to the configuration.
#[test]
fn what_is_appended_to_the_configuration_does_not_disturb_a_resume() {
    let mut bytes = encode(&Call::Resumed(resumption())).expect("plain");
    bytes.extend_from_slice(b"newer");
    assert_eq!(decode(&bytes), Ok(Call::Resumed(resumption())));
}

#[test]
fn a_signal_is_shown_as_a_shell_does() {
    assert_eq!(ExitStatus::Signal(9).shell_code(), 137);
    assert_eq!(ExitStatus::Code(42).shell_code(), 42);
}

proptest! {
    #[test]
    fn garbage_is_refused_or_read_and_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<Call>(&bytes);
        let _ = decode::<Result<Answer, GuestFault>>(&bytes);
        let _ = decode::<Notice>(&bytes);
        let _ = decode::<Steer>(&bytes);
    }

    #[test]
    fn arguments_arrive_as_the_bytes_they_were(argv in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..10)) {
        let exec = Exec { session: [7; 16], argv, environment: vec![], directory: None, user: None, terminal: None, stdin: true };
        let bytes = encode(&Call::Exec(exec.clone())).expect("plain");
        prop_assert_eq!(decode::<Call>(&bytes), Ok(Call::Exec(exec)));
    }
}
