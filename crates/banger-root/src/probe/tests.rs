use super::*;
use banger_model::subnet::Subnet;
use banger_proto::root::PathKind;

fn ends(kind: PathKind) -> Ends {
    let installation = Installation::from_random([1; 8]);
    Ends::of(
        kind,
        &Subnet::new([172, 16, 0, 0].into(), 24, &installation).unwrap(),
    )
}

#[test]
fn the_rules_watch_one_guest_and_end_the_packet() {
    let installation = Installation::from_random([1; 8]);
    for kind in PathKind::ALL {
        let text = rules(&installation, &BridgeName::default(), &ends(kind));
        assert_eq!(text.lines().filter(|line| !line.is_empty()).count(), 9);
        assert_eq!(text.matches(" drop\n").count(), 2);
        assert_eq!(text.matches(&ends(kind).guest().to_string()).count(), 3);
    }
    assert!(table(&installation).len() < 32, "NFT_NAME_MAXLEN is 256");
}

/// The receiver's rule of RFC 1071: the sum over everything, its checksum included, is all ones.
fn sums_up(bytes: &[u8]) -> bool {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    let sum: u32 = words.sum();
    (sum & 0xffff) + (sum >> 16) == 0xffff
}

#[test]
fn frames_are_well_formed() {
    for kind in PathKind::ALL {
        let frame = frame(&ends(kind), [2; 6]);
        assert_eq!(frame[..6], [2; 6]);
        assert_eq!(frame[6..12], [0x02, 0x62, 0x61, 0x6e, 0x67, 0x72]);
        let packet = &frame[14..];
        let (addresses, payload, protocol) = if ends(kind).is_ipv6() {
            assert_eq!(frame[12..14], [0x86, 0xdd]);
            assert_eq!(usize::from(packet[5]), packet.len() - 40);
            (&packet[8..40], &packet[40..], packet[6])
        } else {
            assert_eq!(frame[12..14], [0x08, 0x00]);
            assert_eq!(usize::from(packet[3]), packet.len());
            assert!(sums_up(&packet[..20]));
            (&packet[12..20], &packet[20..], packet[9])
        };
        assert_eq!(protocol, if kind.is_out() { 6 } else { 17 });
        let length = u8::try_from(payload.len()).unwrap();
        assert!(
            sums_up(&[addresses, &[0, length, 0, protocol], payload].concat()),
            "{kind:?}"
        );
    }
}
