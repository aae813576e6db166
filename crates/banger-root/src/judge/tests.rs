use super::*;
use banger_model::host_names::TapSlot;
use banger_model::policy::Policy;
use banger_model::subnet::Subnet;
use banger_proto::root::{Mtu, PathKind, Slots};
use std::collections::BTreeSet;
use std::num::NonZeroU16;

const OWNER: Peer = Peer { uid: 1000 };

fn installation(byte: u8) -> Installation {
    Installation::from_random([byte; 8])
}

fn place() -> Place {
    Place {
        owner: 1000,
        installation: installation(1),
        bridge: BridgeName::default(),
        version: "0.1.0".to_owned(),
    }
}

fn subnet(byte: u8) -> Subnet {
    Subnet::new([172, 16, 0, 0].into(), 24, &installation(byte)).unwrap()
}

fn slots<const MAX: usize>(numbers: &[u16]) -> Slots<MAX> {
    let slots = numbers
        .iter()
        .map(|number| TapSlot::try_from(*number).unwrap());
    Slots::try_from(slots.collect::<BTreeSet<_>>()).unwrap()
}

fn policy(byte: u8, bridge: &str, port: Option<u16>) -> Verb {
    let port = port.and_then(NonZeroU16::new);
    let bridge = bridge.parse().unwrap();
    let policy = Policy::new(installation(byte), bridge, subnet(byte), port, vec![]).unwrap();
    Verb::SetPolicy { policy }
}

fn every_verb() -> Vec<Verb> {
    vec![
        Verb::Ping {},
        Verb::Survey {},
        Verb::Sweep {
            live: slots(&[]),
            bridge: false,
            policy: false,
        },
        Verb::EnsureBridge {
            subnet: subnet(1),
            mtu: Mtu::try_from(1500).unwrap(),
        },
        Verb::RemoveBridge {},
        Verb::MakeTaps { slots: slots(&[1]) },
        Verb::DeleteTaps { slots: slots(&[1]) },
        policy(1, "br-fc", Some(42069)),
        Verb::ClearPolicy {},
        Verb::SetResolver {
            dns_port: NonZeroU16::new(42069).unwrap(),
        },
        Verb::ClearResolver {},
        Verb::ProbePath {
            kind: PathKind::OutIpv4,
        },
    ]
}

fn request(verb: Verb) -> Request {
    Request {
        version: "0.1.0".to_owned(),
        op: "op-abc123".parse().unwrap(),
        verb,
    }
}

fn refused(verb: Verb) -> Refusal {
    judge(request(verb), OWNER, &place())
        .map(|_| ())
        .unwrap_err()
}

#[test]
fn the_owner_and_root_are_granted_every_verb_as_it_was_asked() {
    for uid in [0, 1000] {
        for verb in every_verb() {
            let granted = judge(request(verb.clone()), Peer { uid }, &place()).unwrap();
            assert_eq!(
                (granted.verb(), granted.op().to_string().as_str()),
                (&verb, "op-abc123")
            );
        }
    }
}

#[test]
fn every_other_user_is_refused_every_verb() {
    for uid in [1, 999, 1001, 65_534, u32::MAX] {
        for verb in every_verb() {
            let refusal = judge(request(verb), Peer { uid }, &place())
                .map(|_| ())
                .unwrap_err();
            assert_eq!(refusal, Refusal::Peer { uid, owner: 1000 });
            assert_eq!(admit(Peer { uid }, &place()), Err(refusal));
        }
    }
}

#[test]
fn every_verb_of_another_version_is_refused() {
    for version in [
        "",
        "0.1",
        "0.1.1",
        "0.1.0 ",
        " 0.1.0",
        "0.1.0-dirty",
        "0.1.0\0",
    ] {
        for verb in every_verb() {
            let other = Request {
                version: version.to_owned(),
                ..request(verb)
            };
            let refusal = judge(other, OWNER, &place()).map(|_| ()).unwrap_err();
            assert!(
                matches!(refusal, Refusal::Version { .. }),
                "{version:?}: {refusal}"
            );
        }
    }
}

#[test]
fn a_version_cannot_flood_or_break_a_line_of_the_log() {
    let other = Request {
        version: format!("x\n{}", "y".repeat(100_000)),
        ..request(Verb::Ping {})
    };
    let text = judge(other, OWNER, &place())
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(text.len() < 200 && !text.contains('\n'), "{text}");
}

#[test]
fn what_belongs_to_another_installation_or_bridge_is_refused() {
    assert!(matches!(
        refused(policy(2, "br-fc", None)),
        Refusal::Installation { .. }
    ));
    assert!(matches!(
        refused(policy(1, "br-fc-2", None)),
        Refusal::Bridge { .. }
    ));
    let ensure = Verb::EnsureBridge {
        subnet: subnet(2),
        mtu: Mtu::try_from(1500).unwrap(),
    };
    assert!(matches!(refused(ensure), Refusal::Subnet { .. }));
}

#[test]
fn a_port_of_another_service_of_the_host_is_refused() {
    for port in [1, 22, 53, 1023] {
        assert_eq!(
            refused(policy(1, "br-fc", Some(port))),
            Refusal::Port { port }
        );
        let dns_port = NonZeroU16::new(port).unwrap();
        assert_eq!(
            refused(Verb::SetResolver { dns_port }),
            Refusal::Port { port }
        );
    }
}

#[test]
fn a_request_for_nothing_is_refused() {
    assert_eq!(
        refused(Verb::MakeTaps { slots: slots(&[]) }),
        Refusal::Nothing {}
    );
    assert_eq!(
        refused(Verb::DeleteTaps { slots: slots(&[]) }),
        Refusal::Nothing {}
    );
}

/// Hostile forms of each verb: none of them becomes a request, so none can be granted.
#[test]
fn every_hostile_form_of_every_verb_is_unreadable() {
    let hostile = [
        "eth0",
        "../br-fc",
        "br-fc; reboot",
        "",
        "tap-fc-1",
        "-1",
        "null",
        "{}",
        "[]",
    ];
    for verb in every_verb() {
        let whole = serde_json::to_value(request(verb.clone())).unwrap();
        let fields = whole["verb"][verb.name()].as_object().unwrap().clone();
        for value in hostile {
            for field in
                fields
                    .keys()
                    .map(String::as_str)
                    .chain(["name", "path", "bridge_name", "uid"])
            {
                let mut changed = whole.clone();
                changed["verb"][verb.name()][field] = value.into();
                let refusal = read(changed.to_string().as_bytes()).unwrap_err();
                assert!(
                    matches!(refusal, Refusal::Unreadable { .. }),
                    "{} {field}={value}",
                    verb.name()
                );
            }
        }
    }
}

#[test]
fn bytes_that_are_no_request_are_refused_with_a_reason() {
    for packet in [&b""[..], b"\0", b"{", b"[]", b"null", &[0xff; 4096]] {
        assert!(matches!(read(packet), Err(Refusal::Unreadable { .. })));
    }
    let long = vec![b' '; banger_proto::root::PACKET_MAX + 1];
    assert_eq!(read(&long).unwrap_err(), Refusal::TooLong {});
}

#[test]
fn a_refusal_changes_nothing() {
    let kernel = crate::simulated::SimulatedKernel::new(place());
    let before = kernel.state().clone();
    for verb in every_verb() {
        let stranger = judge(request(verb), Peer { uid: 65_534 }, &place());
        assert!(
            stranger.is_err(),
            "and without a grant there is no way to act"
        );
    }
    assert_eq!(*kernel.state(), before);
}
