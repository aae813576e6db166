//! Whatever comes over the network: no panic, a bounded answer, and never a word to an answer.

use super::answer::{Transport, answer};
use super::fixtures::{OPT, bytes, guest, question, zone};
use super::{Asker, Zone};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use proptest::prelude::*;
use std::sync::LazyLock;

static ZONE: LazyLock<Zone> = LazyLock::new(zone);

/// What a UDP answer never exceeds whatever the query: the payload that we offer.
const MOST: usize = 1232;

/// Asks as everybody, by both ways, and checks what always holds.
fn check(query: &[u8]) -> Result<(), TestCaseError> {
    for asker in [Asker::Host, guest("172.16.0.2"), guest("9.9.9.9")] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let Some(answer) = answer(&ZONE, query, asker, transport) else {
                continue;
            };
            prop_assert!(answer.len() <= MOST, "{} bytes", answer.len());
            prop_assert_eq!(query.get(..2), answer.get(..2));
            prop_assert!(query[2] & 0x80 == 0, "an answer was answered");
            let message = Message::from_vec(&answer).expect("a message");
            if asker == guest("9.9.9.9") {
                // A forged sender gets no more than it sent, but for an OPT of the same size as its
                // own and names that were compressed.
                prop_assert!(message.answers.is_empty() && message.authorities.is_empty());
                prop_assert!(answer.len() <= query.len().max(12) + 255);
                prop_assert_ne!(message.metadata.response_code, ResponseCode::NoError);
            }
        }
    }
    Ok(())
}

fn queries() -> impl Strategy<Value = Vec<u8>> {
    let names = prop_oneof![
        Just("web.vm."),
        Just("api.web.vm."),
        Just("many.vm."),
        Just("vm."),
        Just("."),
        Just("2.0.16.172.in-addr.arpa."),
        Just("2.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa."),
    ];
    (names, any::<u16>(), any::<bool>()).prop_map(|(name, kind, edns)| {
        let plain = question(name, RecordType::from(kind));
        if edns { bytes(&plain, &[&OPT]) } else { plain }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn random_bytes_do_no_harm(query in proptest::collection::vec(any::<u8>(), 0..600)) {
        check(&query)?;
    }

    #[test]
    fn random_bytes_behind_the_header_of_a_query_do_no_harm(
        counts in proptest::array::uniform4(0u8..3),
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let [questions, answers, authorities, additionals] = counts;
        let header = [0, 1, 1, 0, 0, questions, 0, answers, 0, authorities, 0, additionals];
        check(&[header.as_slice(), &body].concat())?;
    }

    #[test]
    fn mutated_queries_do_no_harm(
        mut query in queries(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        for (at, value) in changes {
            let at = at.index(query.len());
            query[at] = value;
        }
        check(&query)?;
        check(&query[..cut.index(query.len())])?;
    }

    #[test]
    fn names_made_of_pointers_do_no_harm(
        pointers in proptest::collection::vec((0xC0u8..=0xFF, any::<u8>()), 1..200),
    ) {
        let body = pointers.iter().flat_map(|(high, low)| [*high, *low]);
        let query: Vec<u8> = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1].into_iter().chain(body).collect();
        check(&query)?;
    }

    #[test]
    fn every_type_and_class_of_a_known_name_is_answered(kind: u16, class: u16) {
        let mut query = question("web.vm.", RecordType::from(kind));
        let end = query.len();
        query[end - 2..].copy_from_slice(&class.to_be_bytes());
        check(&query)?;
        prop_assert!(answer(&ZONE, &query, Asker::Host, Transport::Udp).is_some());
    }
}

#[test]
fn loops_and_chains_of_pointers_are_refused() {
    let header = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let with = |body: &[u8]| [header.as_slice(), body, &[0, 1, 0, 1]].concat();
    let long_chain: Vec<u8> = (0..2000u16)
        .flat_map(|n| (0xC000 | (12 + 2 * (n + 1))).to_be_bytes())
        .collect();
    for body in [
        // itself; forward; two that point at each other; a label that runs into itself
        vec![0xC0, 12],
        vec![0xC0, 14, 0],
        vec![0xC0, 14, 0xC0, 12],
        vec![1, b'a', 0xC0, 12],
        // labels of 64 and more bytes, of a kind that does not exist
        vec![0x40, 0],
        vec![0x80, 0],
        long_chain,
        // a name of more than 255 bytes
        [vec![63u8; 64 * 5], vec![0]].concat(),
    ] {
        let refused = answer(&ZONE, &with(&body), Asker::Host, Transport::Tcp).expect("refused");
        assert_eq!(refused.len(), 12, "{body:?}");
        assert_eq!(refused[3] & 0xF, 1, "{body:?}");
    }
}

#[test]
fn absurd_counts_are_refused_with_a_header() {
    for at in [4, 6, 8, 10] {
        let mut query = question("web.vm.", RecordType::A);
        query[at..at + 2].copy_from_slice(&[0xFF, 0xFF]);
        let refused = answer(&ZONE, &query, Asker::Host, Transport::Tcp).expect("refused");
        assert_eq!((refused.len(), refused[3] & 0xF), (12, 1));
    }
}

#[test]
fn a_long_name_of_long_answers_stays_below_the_payload() {
    let label = "a".repeat(60);
    let name = format!("{label}.{label}.{label}.{label}.many.vm.");
    let query = bytes(&question(&name, RecordType::ANY), &[&OPT]);
    let answer = answer(&ZONE, &query, Asker::Host, Transport::Udp).expect("an answer");
    let message = Message::from_vec(&answer).expect("a message");
    assert_eq!(message.answers.len(), 16);
    assert!(answer.len() <= MOST && !message.metadata.truncation);
}
