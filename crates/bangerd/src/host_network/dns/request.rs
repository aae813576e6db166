//! From the bytes of a datagram or a stream to a question. Nothing here is believed.

use hickory_proto::op::{Header, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError};

/// The most additional records that a query has: an OPT (RFC 6891) and a signature (RFC 8945). Each
/// costs time and memory to read.
const MOST_ADDITIONALS: u16 = 2;

/// The longest query that is read, in bytes. A name has 255, and options of EDNS seldom some hundred:
/// what RFC 6891 section 6.2.5 advises to offer is more than enough to take.
pub(super) const MOST_QUERY: usize = 4096;

/// The least that everybody can take in a datagram (RFC 1035 section 4.2.1).
pub(super) const LEAST_PAYLOAD: u16 = 512;

/// A query that can be answered.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) metadata: Metadata,
    pub(super) question: Query,
    pub(super) edns: Option<Edns>,
}

/// What the asker says of itself (RFC 6891 section 6.1). Options are checked and not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edns {
    /// The largest datagram that it can take, in bytes; at least 512.
    pub(super) payload: u16,
    pub(super) version: u8,
    /// It wants DNSSEC records (RFC 3225); the bit is given back.
    pub(super) dnssec_ok: bool,
}

/// What to do about bytes that are no query.
#[derive(Debug)]
pub(super) enum Unusable {
    /// Say nothing: there is nobody to answer, or it is an answer itself, and two servers would
    /// talk for ever.
    Ignored,
    /// Give the header back with this code.
    Refused(Metadata, ResponseCode),
}

impl Request {
    /// Reads one message.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Unusable> {
        let mut decoder = BinDecoder::new(bytes);
        let header = Header::read(&mut decoder).map_err(|_| Unusable::Ignored)?;
        let refused = |code| Unusable::Refused(header.metadata, code);
        if header.message_type == MessageType::Response {
            return Err(Unusable::Ignored);
        }
        if header.op_code != OpCode::Query {
            return Err(refused(ResponseCode::NotImp));
        }
        // One question (RFC 9619), and no records but additional ones.
        let counts = header.counts;
        if (counts.queries, counts.answers, counts.authorities) != (1, 0, 0)
            || counts.additionals > MOST_ADDITIONALS
        {
            return Err(refused(ResponseCode::FormErr));
        }
        let read = read_body(&mut decoder, counts.additionals);
        let (question, edns) = read.map_err(|_| refused(ResponseCode::FormErr))?;
        Ok(Self {
            metadata: header.metadata,
            question,
            edns,
        })
    }
}

/// No part of the standard allows it: more bytes than the counts promise, or a second OPT.
#[derive(Debug)]
struct Malformed;

impl From<DecodeError> for Malformed {
    fn from(_: DecodeError) -> Self {
        Self
    }
}

fn read_body(
    decoder: &mut BinDecoder<'_>,
    additionals: u16,
) -> Result<(Query, Option<Edns>), Malformed> {
    let question = Query::read(decoder)?;
    let mut edns = None;
    for _ in 0..additionals {
        let record = Record::read(decoder)?;
        if record.record_type() == RecordType::OPT && edns.replace(Edns::of(&record)).is_some() {
            return Err(Malformed);
        }
    }
    if !decoder.is_empty() {
        return Err(Malformed);
    }
    Ok((question, edns))
}

impl Edns {
    /// An OPT record keeps the payload size in its class and the rest in its time to live.
    fn of(record: &Record) -> Self {
        let [_, version, flags, _] = record.ttl.to_be_bytes();
        Self {
            payload: u16::from(record.dns_class).max(LEAST_PAYLOAD),
            version,
            dnssec_ok: flags & 0x80 != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{OPT, bytes, question};
    use super::*;

    fn code(bytes: &[u8]) -> Option<ResponseCode> {
        match Request::parse(bytes) {
            Ok(_) => None,
            Err(Unusable::Refused(_, code)) => Some(code),
            Err(Unusable::Ignored) => Some(ResponseCode::NoError),
        }
    }

    #[test]
    fn a_question_is_read_with_its_case_and_what_the_asker_can_take() {
        let query = bytes(&question("WeB.vM.", RecordType::AAAA), &[&OPT]);
        let request = Request::parse(&query).expect("fine");
        assert_eq!(request.question.name.to_ascii(), "WeB.vM.");
        let edns = Edns {
            payload: 1400,
            version: 0,
            dnssec_ok: true,
        };
        assert_eq!(request.edns, Some(edns));
        let plain = Request::parse(&question("web.vm.", RecordType::A)).expect("fine");
        assert_eq!(plain.edns, None);
    }

    #[test]
    fn a_payload_below_512_counts_as_512() {
        let mut opt = OPT;
        opt[3..5].copy_from_slice(&[0, 100]);
        let request = Request::parse(&bytes(&question("web.vm.", RecordType::A), &[&opt]));
        assert_eq!(
            request.expect("fine").edns.map(|edns| edns.payload),
            Some(512)
        );
    }

    #[test]
    fn what_has_no_header_and_what_is_an_answer_is_ignored() {
        let query = question("web.vm.", RecordType::A);
        assert!(matches!(
            Request::parse(&query[..11]),
            Err(Unusable::Ignored)
        ));
        assert!(matches!(Request::parse(&[]), Err(Unusable::Ignored)));
        let mut answer = query;
        answer[2] |= 0x80;
        assert!(matches!(Request::parse(&answer), Err(Unusable::Ignored)));
    }

    #[test]
    fn other_operations_are_not_implemented() {
        for opcode in [1, 2, 4, 5, 6, 15] {
            let mut query = question("web.vm.", RecordType::A);
            query[2] = opcode << 3;
            assert_eq!(code(&query), Some(ResponseCode::NotImp), "{opcode}");
        }
    }

    #[test]
    fn counts_that_no_query_has_are_malformed_before_anything_is_reserved_for_them() {
        for (at, count) in [
            (4, 0u16),
            (4, 2),
            (4, 65_535),
            (6, 1),
            (8, 1),
            (8, 65_535),
            (10, 3),
        ] {
            let mut query = question("web.vm.", RecordType::A);
            query[at..at + 2].copy_from_slice(&count.to_be_bytes());
            assert_eq!(code(&query), Some(ResponseCode::FormErr), "{at}: {count}");
        }
    }

    #[test]
    fn a_query_has_at_most_two_additional_records() {
        let query = question("web.vm.", RecordType::A);
        let txt = [0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 1, 0];
        assert_eq!(code(&bytes(&query, &[&OPT, &txt])), None);
        let three = bytes(&query, &[&OPT, &txt, &txt]);
        assert_eq!(code(&three), Some(ResponseCode::FormErr));
    }

    #[test]
    fn broken_bodies_are_malformed() {
        let query = question("web.vm.", RecordType::A);
        for length in 12..query.len() {
            assert_eq!(
                code(&query[..length]),
                Some(ResponseCode::FormErr),
                "{length}"
            );
        }
        let trailing = [query.as_slice(), b"x"].concat();
        assert_eq!(code(&trailing), Some(ResponseCode::FormErr));
        let two = bytes(&query, &[&OPT, &OPT]);
        assert_eq!(code(&two), Some(ResponseCode::FormErr));
        let cut = &two[..two.len() - 1];
        assert_eq!(code(cut), Some(ResponseCode::FormErr));
    }

    #[test]
    fn a_name_that_points_at_itself_is_malformed() {
        let mut query = question("web.vm.", RecordType::A);
        query.truncate(12);
        query.extend([0xC0, 12, 0, 1, 0, 1]);
        assert_eq!(code(&query), Some(ResponseCode::FormErr));
    }
}
