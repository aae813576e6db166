//! A zone and queries for tests.

use super::{Addresses, Asker, Prefix, Zone};
use banger_model::SandboxName;
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};

pub(super) fn name(text: &str) -> SandboxName {
    text.parse().expect(text)
}

pub(super) fn addresses(text: &str) -> Addresses {
    let words = text.split_whitespace();
    Addresses::new(words.map(|word| word.parse().expect(word))).expect(text)
}

pub(super) fn prefix(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').expect(text);
    Prefix::of(address.parse().expect(text), length.parse().expect(text)).expect(text)
}

pub(super) fn guest(address: &str) -> Asker {
    Asker::Guest(address.parse().expect(address))
}

/// `web` and `db` see each other, `alone` only itself; `many` has sixteen addresses, `v6` one.
pub(super) fn zone() -> Zone {
    let mut zone = Zone::default();
    zone.set_subnets(vec![prefix("172.16.0.0/24"), prefix("fd00:1:2:3::/64")]);
    zone.set(name("web"), addresses("172.16.0.2 fd00:1:2:3::2"));
    zone.set(name("db"), addresses("172.16.0.3 fd00:1:2:3::3"));
    zone.set(name("alone"), addresses("172.16.0.4"));
    zone.set(name("v6"), addresses("fd00:1:2:3::5"));
    let many: Vec<String> = (1..=16).map(|n| format!("fd00:1:2:3::1:{n:x}")).collect();
    zone.set(name("many"), addresses(&many.join(" ")));
    let seen = [
        ("172.16.0.2", "db"),
        ("fd00:1:2:3::2", "db"),
        ("172.16.0.3", "web"),
        ("fd00:1:2:3::3", "web"),
    ];
    let pairs = seen.map(|(asker, seen)| (asker.parse().expect(asker), [name(seen)].into()));
    zone.set_visibility(pairs.into_iter().collect());
    zone
}

/// A name of labels of any bytes: what comes over the network keeps to no rule for host names.
pub(super) fn dns_name(text: &str) -> Name {
    let labels = text.split('.').filter(|label| !label.is_empty());
    Name::from_labels(labels.map(str::as_bytes)).expect(text)
}

/// A query with the id 0x1234 that wants recursion, without EDNS.
pub(super) fn question(text: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(dns_name(text), kind));
    message.to_vec().expect("it fits")
}

/// An OPT record: 1400 bytes, version 0, DNSSEC wanted.
pub(super) const OPT: [u8; 11] = [0, 0, 41, 5, 120, 0, 0, 0x80, 0, 0, 0];

/// A query with additional records behind it.
pub(super) fn bytes(query: &[u8], additionals: &[&[u8]]) -> Vec<u8> {
    let mut all = query.to_vec();
    all[11] = u8::try_from(additionals.len()).expect("few");
    all.extend(additionals.concat());
    all
}
