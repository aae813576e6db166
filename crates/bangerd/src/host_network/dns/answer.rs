//! From a query's bytes to an answer's: pure, and the same for UDP and TCP but for the length.

use super::request::{Edns, LEAST_PAYLOAD, Request, Unusable};
use super::reverse::{Reverse, SUFFIX_LABELS};
use super::zone::View;
use super::{Addresses, Asker, ZONE, Zone};
use banger_model::{SandboxId, SandboxName};
use hickory_proto::op::{Edns as Opt, Message, Metadata, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, NS, PTR, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use std::net::IpAddr;

/// Seconds that an answer may be kept. A machine has other addresses after it was made anew under
/// the same name, which takes seconds.
pub const TTL: u32 = 5;

/// Seconds that "there is no such name" may be kept (RFC 2308): whoever asked too early is told the
/// truth at the next try.
pub const NEGATIVE_TTL: u32 = 1;

/// The largest datagram that is sent, in bytes: it fits every path without fragments (DNS flag day
/// 2020: 1280, the least MTU of IPv6, less 48 for the headers).
const MOST_PAYLOAD: u16 = 1232;

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram: a long answer is cut, and the asker comes back by TCP.
    Udp,
    /// In a stream.
    Tcp,
}

/// The answer to one message; `None` where silence is right.
#[must_use]
pub fn answer(zone: &Zone, query: &[u8], asker: Asker, transport: Transport) -> Option<Vec<u8>> {
    match Request::parse(query) {
        Ok(request) => reply(zone, request, asker).encode(transport),
        Err(Unusable::Refused(metadata, code)) => header_only(&metadata, code).to_vec().ok(),
        Err(Unusable::Ignored) => None,
    }
}

/// The machine that is suspended and whose addresses somebody asks for, if they may know of it.
#[must_use]
pub fn sleeper(zone: &Zone, query: &[u8], asker: Asker) -> Option<SandboxId> {
    let question = Request::parse(query).ok()?.question;
    let addresses = [RecordType::A, RecordType::AAAA, RecordType::ANY];
    if question.query_class != DNSClass::IN || !addresses.contains(&question.query_type) {
        return None;
    }
    let view = zone.seen_by(asker)?;
    let label = below_zone(&question)??;
    view.sleeper(&name_of(label)?)
}

/// That there is no answer now. It may be kept for this question alone, and no longer than five minutes (RFC 2308
/// section 7.1).
#[must_use]
pub fn failure(query: &[u8]) -> Option<Vec<u8>> {
    let request = Request::parse(query).ok()?;
    let mut message = header_only(&request.metadata, ResponseCode::ServFail);
    message.queries = vec![request.question];
    message.to_vec().ok()
}

/// An answer that is not bytes yet.
struct Reply {
    message: Message,
    /// What fits into the asker's datagrams.
    payload: u16,
}

fn reply(zone: &Zone, request: Request, asker: Asker) -> Reply {
    let found = match request.edns {
        Some(Edns { version: 1.., .. }) => Found::Failed(ResponseCode::BADVERS),
        _ => find(zone, &request, asker),
    };
    let mut message = header_only(&request.metadata, ResponseCode::NoError);
    match found {
        Found::Failed(code) => message.metadata.response_code = code,
        Found::Records(answers) => {
            message.metadata.authoritative = true;
            message.answers = answers;
        }
        Found::Nothing(code, authority) => {
            message.metadata.authoritative = true;
            message.metadata.response_code = code;
            message.authorities = authority;
        }
    }
    message.queries = vec![request.question];
    message.edns = request.edns.map(|edns| {
        let mut opt = Opt::new();
        opt.set_max_payload(MOST_PAYLOAD)
            .set_dnssec_ok(edns.dnssec_ok);
        opt
    });
    let payload = request
        .edns
        .map_or(LEAST_PAYLOAD, |edns| edns.payload.min(MOST_PAYLOAD));
    Reply { message, payload }
}

/// An authoritative server clears the bit "checking disabled" (RFC 4035 section 3.1.6).
fn header_only(request: &Metadata, code: ResponseCode) -> Message {
    let mut message = Message::response(request.id, request.op_code);
    message.metadata.recursion_desired = request.recursion_desired;
    message.metadata.response_code = code;
    message
}

impl Reply {
    /// A datagram that is too small gets the question back with TC, and not a part of the records,
    /// which somebody would take for all of them (RFC 2181 section 9).
    fn encode(mut self, transport: Transport) -> Option<Vec<u8>> {
        let whole = self.message.to_vec().ok()?;
        if transport == Transport::Tcp || whole.len() <= usize::from(self.payload) {
            return Some(whole);
        }
        self.message.answers.clear();
        self.message.authorities.clear();
        self.message.metadata.truncation = true;
        self.message.to_vec().ok()
    }
}

/// What there is at a name.
enum Found {
    /// Records of the type that was asked for.
    Records(Vec<Record>),
    /// The zone is ours and has none; the authority is its SOA.
    Nothing(ResponseCode, Vec<Record>),
    /// Not ours to answer.
    Failed(ResponseCode),
}

fn find(zone: &Zone, request: &Request, asker: Asker) -> Found {
    let question = &request.question;
    let transfer = matches!(question.query_type, RecordType::AXFR | RecordType::IXFR);
    let refused = Found::Failed(ResponseCode::Refused);
    if question.query_class != DNSClass::IN || transfer {
        return refused;
    }
    let Some(view) = zone.seen_by(asker) else {
        return refused;
    };
    let node = forward(question, &view).or_else(|| reverse(question, &view));
    node.map_or(refused, |node| node.found(&question.name, view.serial()))
}

/// What a name is in one of our zones.
struct Node {
    /// The zone's own name.
    apex: Name,
    /// Records of the type that was asked for; `None` when there is no such name.
    data: Option<Vec<RData>>,
}

impl Node {
    fn found(self, name: &Name, serial: u32) -> Found {
        let code = match self.data {
            Some(data) if !data.is_empty() => {
                let records = data.into_iter().map(|data| record(name.clone(), data));
                return Found::Records(records.collect());
            }
            Some(_) => ResponseCode::NoError,
            None => ResponseCode::NXDomain,
        };
        let soa = soa(&self.apex, serial);
        Found::Nothing(code, vec![record(self.apex, soa)])
    }
}

/// `vm.` and what is below it.
fn forward(question: &Query, view: &View<'_>) -> Option<Node> {
    let label = below_zone(question)?;
    let apex = question.name.trim_to(1);
    let data = match label {
        None => Some(of_apex(question.query_type, &apex, view.serial())),
        Some(label) => machine(label, view).map(|found| of_machine(question.query_type, found)),
    };
    Some(Node { apex, data })
}

/// The label below the zone's own name, if there is one; `None` where the name is not in the zone.
fn below_zone(question: &Query) -> Option<Option<&[u8]>> {
    let mut labels = question.name.iter().rev();
    let is_ours = labels.next()?.eq_ignore_ascii_case(ZONE.as_bytes());
    is_ours.then(|| labels.next())
}

/// A label as machines are called.
fn name_of(label: &[u8]) -> Option<String> {
    Some(str::from_utf8(label).ok()?.to_ascii_lowercase())
}

fn machine<'a>(label: &[u8], view: &View<'a>) -> Option<&'a Addresses> {
    view.addresses(&name_of(label)?)
}

fn of_machine(kind: RecordType, addresses: &Addresses) -> Vec<RData> {
    let data = addresses.iter().map(|address| match address {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    });
    data.filter(|data| wants(kind, data.record_type()))
        .collect()
}

/// The names of the guests' addresses. A zone begins where a label ends: a /20 has sixteen, each
/// with the name of a /24.
fn reverse(question: &Query, view: &View<'_>) -> Option<Node> {
    let asked = Reverse::parse(&question.name)?;
    let subnet = view.subnet_of(&asked.prefix)?;
    let apex_bits = subnet.length().next_multiple_of(asked.step);
    let apex = question
        .name
        .trim_to(usize::from(apex_bits / asked.step + SUFFIX_LABELS));
    let kind = question.query_type;
    let (is_apex, owner) = (
        asked.prefix.length() == apex_bits,
        view.owner(&asked.prefix),
    );
    // Between the apex and a whole address are names that exist when one below them does (RFC 8020).
    let exists = !asked.beyond && (is_apex || owner.is_some());
    let data = exists.then(|| {
        let mut data = Vec::new();
        if is_apex {
            data = of_apex(kind, &apex, view.serial());
        }
        if asked.prefix.is_one_address() && wants(kind, RecordType::PTR) {
            data.extend(owner.and_then(pointer));
        }
        data
    });
    Some(Node { apex, data })
}

fn pointer(owner: &SandboxName) -> Option<RData> {
    let target = Name::from_labels([owner.as_str(), ZONE]).ok()?;
    Some(RData::PTR(PTR(target)))
}

/// As RFC 6303 section 3 has it for zones that are served locally: the apex is its own name server.
fn of_apex(kind: RecordType, apex: &Name, serial: u32) -> Vec<RData> {
    let all = [soa(apex, serial), RData::NS(NS(apex.clone()))];
    let wanted = all
        .into_iter()
        .filter(|data| wants(kind, data.record_type()));
    wanted.collect()
}

/// See [`of_apex`]; nobody transfers the zone, so that the intervals for that have no meaning.
fn soa(apex: &Name, serial: u32) -> RData {
    let nobody = Name::from_labels(["nobody", "invalid"]).unwrap_or_else(|_| Name::root());
    let (refresh, retry, expire) = (3600, 1200, 604_800);
    let soa = SOA::new(
        apex.clone(),
        nobody,
        serial,
        refresh,
        retry,
        expire,
        NEGATIVE_TTL,
    );
    RData::SOA(soa)
}

/// "Any" is answered with all there is: never more than a machine's addresses.
fn wants(kind: RecordType, one: RecordType) -> bool {
    kind == one || kind == RecordType::ANY
}

fn record(name: Name, data: RData) -> Record {
    let ttl = match data {
        RData::SOA(_) => NEGATIVE_TTL,
        _ => TTL,
    };
    Record::from_rdata(name, ttl, data)
}

#[cfg(test)]
mod tests;
