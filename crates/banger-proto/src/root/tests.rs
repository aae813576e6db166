use super::*;
use crate::fault::{Fault, FaultCode};
use banger_model::SandboxId;
use banger_model::host_names::{BridgeName, Installation, TapSlot};
use banger_model::policy::{Guest, NetworkId, Policy};
use banger_model::subnet::{HostPart, Subnet, Taken, TakenBy};
use std::collections::BTreeSet;
use std::num::NonZeroU16;

fn installation() -> Installation {
    Installation::from_random([1, 2, 3, 4, 5, 6, 7, 8])
}

fn subnet(prefix: u8) -> Subnet {
    Subnet::new([172, 16, 0, 0].into(), prefix, &installation()).unwrap()
}

fn slots<const MAX: usize>(numbers: impl IntoIterator<Item = u16>) -> Slots<MAX> {
    let set: BTreeSet<_> = numbers
        .into_iter()
        .map(|n| TapSlot::try_from(n).unwrap())
        .collect();
    Slots::try_from(set).unwrap()
}

/// As many guests as there can be, with the longest numbers.
fn full_policy() -> Policy {
    let guests = (1..=1000_u16).map(|number| {
        let mut id = [0xff; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        Guest {
            id: SandboxId::from_random(id),
            slot: TapSlot::try_from(number).unwrap(),
            host_part: HostPart::try_from(60_000 + number).unwrap(),
            nat: true,
            networks: (0..8).map(|n| NetworkId(u32::MAX - n)).collect(),
        }
    });
    let bridge: BridgeName = "br-fc-012345678".parse().unwrap();
    Policy::new(
        installation(),
        bridge,
        subnet(16),
        NonZeroU16::new(65535),
        guests.collect(),
    )
    .unwrap()
}

pub(super) fn request(verb: Verb) -> Request {
    Request {
        version: "0.1.0".to_owned(),
        op: "op-abc123".parse().unwrap(),
        verb,
    }
}

pub(super) fn every_verb() -> Vec<Verb> {
    vec![
        Verb::Ping {},
        Verb::Survey {},
        Verb::Sweep {
            live: slots(1..=1000),
            bridge: true,
            policy: false,
        },
        Verb::EnsureBridge {
            subnet: subnet(24),
            mtu: Mtu::try_from(1500).unwrap(),
        },
        Verb::RemoveBridge {},
        Verb::MakeTaps {
            slots: slots(1..=64),
        },
        Verb::DeleteTaps {
            slots: slots([1000]),
        },
        Verb::SetPolicy {
            policy: full_policy(),
        },
        Verb::ClearPolicy {},
        Verb::SetResolver {
            dns_port: NonZeroU16::new(42069).unwrap(),
        },
        Verb::ClearResolver {},
        Verb::ProbePath {
            kind: PathKind::OutIpv6,
        },
    ]
}

fn fullest_survey() -> Survey {
    let tap = |slot| TapState {
        slot,
        whose: Whose::Foreign(Some(installation())),
        on_bridge: false,
        up: false,
        in_use: false,
        owner: Some(u32::MAX),
    };
    let taken = |n: u16| Taken {
        range: format!("fdff:ffff:ffff:ffff:ffff:ffff:ffff:{n:x}/128")
            .parse()
            .unwrap(),
        by: TakenBy::Address,
        device: "x".repeat(15),
    };
    Survey {
        taps: TapSlot::all().map(tap).collect(),
        strays: (10..74).map(|n| format!("tap-fc-stray-{n}")).collect(),
        taken: (0..512).map(taken).collect(),
        taken_cut: true,
        ..Survey::default()
    }
}

#[test]
fn every_request_reads_back() {
    for verb in every_verb() {
        let sent = request(verb);
        let packet = sent
            .encode()
            .unwrap_or_else(|error| panic!("{}: {error}", sent.verb.name()));
        assert!(
            String::from_utf8_lossy(&packet)
                .contains(&format!("\"verb\":{{\"{}\":", sent.verb.name()))
        );
        assert_eq!(Request::decode(&packet), Ok(sent));
    }
}

#[test]
fn every_answer_reads_back() {
    let change = Change {
        object: Object::Tap(TapSlot::try_from(7).unwrap()),
        did: Did::Made,
    };
    let dropped = Verdict::Dropped {
        family: "ip".to_owned(),
        table: "filter".to_owned(),
        chain: "FORWARD".to_owned(),
        rule: None,
        through: vec!["DOCKER-USER".to_owned()],
        rejected: false,
    };
    let outcomes = [
        Outcome::Done(Answer::Pong {}),
        Outcome::Done(Answer::Survey(Box::new(fullest_survey()))),
        Outcome::Done(Answer::Changes(vec![change; 1003])),
        Outcome::Done(Answer::Path(PathReport {
            kind: PathKind::HostIpv4,
            verdict: dropped,
        })),
        Outcome::Done(Answer::Path(PathReport {
            kind: PathKind::OutIpv4,
            verdict: Verdict::NotForwarded(Forwarded::NoRoute),
        })),
        Outcome::Refused(Refusal::Peer {
            uid: 65534,
            owner: 1000,
        }),
        Outcome::Failed(
            Fault::new(FaultCode::Conflict, "taken")
                .with_remedy("remove it")
                .with_op("op-abc123"),
        ),
    ];
    for outcome in outcomes {
        let reply = Reply {
            version: "0.1.0".to_owned(),
            op: None,
            outcome,
        };
        assert_eq!(Reply::decode(&reply.encode().unwrap()), Ok(reply));
    }
}

#[test]
fn the_form_of_a_request_is_fixed() {
    let text = |verb| String::from_utf8(request(verb).encode().unwrap()).unwrap();
    insta::assert_snapshot!(text(Verb::Ping {}), @r#"{"version":"0.1.0","op":"op-abc123","verb":{"ping":{}}}"#);
    insta::assert_snapshot!(
        text(Verb::EnsureBridge { subnet: subnet(24), mtu: Mtu::try_from(1500).unwrap() }),
        @r#"{"version":"0.1.0","op":"op-abc123","verb":{"ensure_bridge":{"subnet":{"v4":"172.16.0.0/24","v6":"fd01:203:405::/64"},"mtu":1500}}}"#
    );
    insta::assert_snapshot!(
        text(Verb::Sweep { live: slots([3, 1]), bridge: true, policy: false }),
        @r#"{"version":"0.1.0","op":"op-abc123","verb":{"sweep":{"live":[1,3],"bridge":true,"policy":false}}}"#
    );
}

#[test]
fn what_is_too_long_is_neither_sent_nor_read() {
    let mut long = request(Verb::Ping {});
    long.version = "x".repeat(PACKET_MAX);
    assert!(matches!(long.encode(), Err(BadFrame::TooLong { .. })));
    let padded = format!(
        "{}{}",
        String::from_utf8(request(Verb::Ping {}).encode().unwrap()).unwrap(),
        " ".repeat(PACKET_MAX)
    );
    assert!(matches!(
        Request::decode(padded.as_bytes()),
        Err(BadFrame::TooLong { .. })
    ));
}

#[test]
fn an_operation_of_random_bytes_has_the_form_of_one() {
    for byte in 0..=u8::MAX {
        let op = OpId::from_random([byte; 6]);
        assert_eq!(op.to_string().parse(), Ok(op));
    }
}
