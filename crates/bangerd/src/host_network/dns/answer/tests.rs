use super::super::fixtures::{OPT, bytes, dns_name, guest, question, zone};
use super::*;
use proptest::prelude::*;

fn ask(query: &[u8], asker: Asker) -> Message {
    let answer = answer(&zone(), query, asker, Transport::Udp).expect("an answer");
    Message::from_vec(&answer).expect("a message")
}

fn host(name: &str, kind: RecordType) -> Message {
    ask(&question(name, kind), Asker::Host)
}

/// The data of all answers, in words.
fn data(message: &Message) -> Vec<String> {
    let data = message.answers.iter().map(|record| record.data.to_string());
    data.collect()
}

fn assert_nothing(message: &Message, code: ResponseCode, apex: &str) {
    assert_eq!(message.metadata.response_code, code);
    assert!(message.metadata.authoritative && message.answers.is_empty());
    let [soa] = message.authorities.as_slice() else {
        panic!("one SOA, not {:?}", message.authorities);
    };
    assert_eq!(soa.name.to_ascii(), apex);
    let RData::SOA(data) = &soa.data else {
        panic!("{soa} is no SOA");
    };
    assert_eq!((soa.ttl, data.minimum), (NEGATIVE_TTL, NEGATIVE_TTL));
}

fn assert_refused(message: &Message) {
    assert_eq!(message.metadata.response_code, ResponseCode::Refused);
    assert!(!message.metadata.authoritative);
    assert!(message.answers.is_empty() && message.authorities.is_empty());
}

#[test]
fn a_machine_s_name_has_its_addresses() {
    let answer = host("web.vm.", RecordType::A);
    assert_eq!(answer.metadata.id, 0x1234);
    assert!(answer.metadata.authoritative && answer.metadata.recursion_desired);
    assert!(!answer.metadata.recursion_available && !answer.metadata.truncation);
    assert_eq!(data(&answer), ["172.16.0.2"]);
    assert_eq!(answer.answers[0].ttl, TTL);
    assert_eq!(data(&host("web.vm.", RecordType::AAAA)), ["fd00:1:2:3::2"]);
    let any = data(&host("web.vm.", RecordType::ANY));
    assert_eq!(any, ["172.16.0.2", "fd00:1:2:3::2"]);
}

#[test]
fn names_below_a_machine_are_the_machine_s() {
    for name in [
        "api.web.vm.",
        "a.b.c.web.vm.",
        "*.web.vm.",
        "_http._tcp.web.vm.",
    ] {
        let answer = host(name, RecordType::A);
        assert_eq!(data(&answer), ["172.16.0.2"], "{name}");
        assert_eq!(answer.answers[0].name.to_ascii(), name);
    }
    let other = host("web.nobody.vm.", RecordType::A);
    assert_nothing(&other, ResponseCode::NXDomain, "vm.");
}

#[test]
fn case_does_not_matter_and_comes_back_as_it_was() {
    let answer = host("ApI.wEb.Vm.", RecordType::A);
    assert_eq!(answer.queries[0].name.to_ascii(), "ApI.wEb.Vm.");
    assert_eq!(answer.answers[0].name.to_ascii(), "ApI.wEb.Vm.");
    assert_eq!(data(&answer), ["172.16.0.2"]);
}

#[test]
fn a_name_that_exists_without_such_a_record_is_empty_and_not_unknown() {
    for (name, kind) in [
        ("alone.vm.", RecordType::AAAA),
        ("v6.vm.", RecordType::A),
        ("web.vm.", RecordType::MX),
        ("web.vm.", RecordType::Unknown(65_280)),
        ("api.web.vm.", RecordType::TXT),
        ("vm.", RecordType::A),
    ] {
        assert_nothing(&host(name, kind), ResponseCode::NoError, "vm.");
    }
}

#[test]
fn an_unknown_name_of_the_zone_does_not_exist_with_authority() {
    for name in ["nobody.vm.", "a.nobody.vm.", "wéb.vm.", "web\0.vm."] {
        for kind in [RecordType::A, RecordType::SOA, RecordType::ANY] {
            assert_nothing(&host(name, kind), ResponseCode::NXDomain, "vm.");
        }
    }
}

#[test]
fn the_zone_is_its_own_name_server() {
    assert_eq!(data(&host("vm.", RecordType::NS)), ["vm."]);
    let soa = data(&host("vm.", RecordType::SOA));
    let serial = zone().serial();
    assert_eq!(
        soa,
        [format!("vm. nobody.invalid. {serial} 3600 1200 604800 1")]
    );
    assert_eq!(data(&host("vm.", RecordType::ANY)).len(), 2);
}

#[test]
fn the_guests_addresses_have_names() {
    let reverse = |address: &str| {
        let address: IpAddr = address.parse().expect(address);
        host(&Name::from(address).to_ascii(), RecordType::PTR)
    };
    assert_eq!(data(&reverse("172.16.0.2")), ["web.vm."]);
    assert_eq!(data(&reverse("fd00:1:2:3::3")), ["db.vm."]);
    let unknown = reverse("172.16.0.9");
    assert_nothing(&unknown, ResponseCode::NXDomain, "0.16.172.in-addr.arpa.");
    let unknown = reverse("fd00:1:2:3::9");
    let apex = "3.0.0.0.2.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa.";
    assert_nothing(&unknown, ResponseCode::NXDomain, apex);
    for outside in ["172.16.1.2", "8.8.8.8", "127.0.0.1", "fd00:1:2:4::2", "::1"] {
        assert_refused(&reverse(outside));
    }
}

#[test]
fn names_of_parts_of_addresses_exist_where_a_whole_one_does() {
    let apex = "0.16.172.in-addr.arpa.";
    assert_eq!(data(&host(apex, RecordType::NS)), [apex]);
    assert_nothing(&host(apex, RecordType::PTR), ResponseCode::NoError, apex);
    let six = "3.0.0.0.2.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa.";
    let between = host(&format!("0.0.{six}"), RecordType::PTR);
    assert_nothing(&between, ResponseCode::NoError, six);
    let nowhere = host(&format!("7.0.{six}"), RecordType::PTR);
    assert_nothing(&nowhere, ResponseCode::NXDomain, six);
    let below = host(&format!("x.2.{apex}"), RecordType::PTR);
    assert_nothing(&below, ResponseCode::NXDomain, apex);
    for above in [
        "16.172.in-addr.arpa.",
        "in-addr.arpa.",
        "arpa.",
        "ip6.arpa.",
    ] {
        assert_refused(&host(above, RecordType::PTR));
    }
}

#[test]
fn a_subnet_that_ends_within_a_label_has_a_zone_for_each_value_of_it() {
    let mut zone = zone();
    zone.set_subnets(vec![super::super::fixtures::prefix("172.16.0.0/30")]);
    let ask = |name: &str, kind| {
        let answer = answer(&zone, &question(name, kind), Asker::Host, Transport::Udp);
        Message::from_vec(&answer.expect("an answer")).expect("a message")
    };
    let name = "2.0.16.172.in-addr.arpa.";
    assert_eq!(data(&ask(name, RecordType::PTR)), ["web.vm."]);
    assert_eq!(data(&ask(name, RecordType::NS)), [name]);
    assert_refused(&ask("4.0.16.172.in-addr.arpa.", RecordType::PTR));
    assert_refused(&ask("0.16.172.in-addr.arpa.", RecordType::PTR));
}

#[test]
fn everything_outside_of_the_zone_is_refused() {
    for name in [".", "com.", "web.com.", "vm.example.", "xvm.", "localhost."] {
        assert_refused(&host(name, RecordType::A));
    }
    assert_refused(&host("vm.", RecordType::AXFR));
    assert_refused(&host("vm.", RecordType::IXFR));
}

#[test]
fn other_classes_are_refused() {
    for class in [2u16, 3, 4, 254, 255, 9999] {
        let mut query = question("web.vm.", RecordType::A);
        let end = query.len();
        query[end - 2..].copy_from_slice(&class.to_be_bytes());
        assert_refused(&ask(&query, Asker::Host));
    }
}

#[test]
fn a_guest_sees_itself_and_those_with_which_it_may_talk() {
    let sees = |asker: &str, name: &str| {
        let answer = ask(&question(name, RecordType::ANY), guest(asker));
        answer.metadata.response_code
    };
    for (asker, name) in [
        ("172.16.0.2", "web.vm."),
        ("172.16.0.2", "db.vm."),
        ("fd00:1:2:3::2", "db.vm."),
        ("172.16.0.4", "alone.vm."),
        ("172.16.0.2", "3.0.16.172.in-addr.arpa."),
        ("172.16.0.2", "vm."),
    ] {
        assert_eq!(sees(asker, name), ResponseCode::NoError, "{asker} {name}");
    }
    for (asker, name) in [
        ("172.16.0.2", "alone.vm."),
        ("172.16.0.2", "x.alone.vm."),
        ("172.16.0.4", "web.vm."),
        ("172.16.0.2", "4.0.16.172.in-addr.arpa."),
        ("172.16.0.4", "2.0.16.172.in-addr.arpa."),
    ] {
        assert_eq!(sees(asker, name), ResponseCode::NXDomain, "{asker} {name}");
    }
}

#[test]
fn a_hidden_name_is_answered_exactly_as_one_that_does_not_exist() {
    let of = |name: &str| {
        let mut answer = ask(&question(name, RecordType::A), guest("172.16.0.4"));
        answer.queries.clear();
        answer
    };
    assert_eq!(of("web.vm."), of("foo.vm."));
}

#[test]
fn a_stranger_is_refused() {
    for name in ["web.vm.", "vm.", "nobody.vm.", "2.0.16.172.in-addr.arpa."] {
        let query = question(name, RecordType::ANY);
        assert_refused(&ask(&query, guest("172.16.0.99")));
    }
}

#[test]
fn edns_is_answered_with_edns_and_only_then() {
    let query = question("web.vm.", RecordType::A);
    assert_eq!(ask(&query, Asker::Host).edns, None);
    let edns = ask(&bytes(&query, &[&OPT]), Asker::Host)
        .edns
        .expect("an OPT");
    assert_eq!((edns.version(), edns.max_payload()), (0, 1232));
    assert!(edns.flags().dnssec_ok);
}

#[test]
fn a_newer_version_of_edns_is_told_ours() {
    let mut opt = OPT;
    opt[6] = 1;
    let answer = ask(
        &bytes(&question("web.vm.", RecordType::A), &[&opt]),
        Asker::Host,
    );
    // BADVERS and BADSIG are the same number; the codec reads it as the latter.
    assert_eq!(u16::from(answer.metadata.response_code), 16);
    assert_eq!(answer.edns.as_ref().map(Opt::version), Some(0));
    assert!(answer.answers.is_empty() && !answer.metadata.authoritative);
}

#[test]
fn what_does_not_fit_a_datagram_is_cut_and_whole_in_a_stream() {
    let long = format!("{}.many.vm.", "a".repeat(60));
    let plain = question(&long, RecordType::AAAA);
    let roomy = bytes(&plain, &[&OPT]);
    let ask = |query: &[u8], transport| {
        let answer = answer(&zone(), query, Asker::Host, transport).expect("an answer");
        (Message::from_vec(&answer).expect("a message"), answer.len())
    };
    let (cut, length) = ask(&plain, Transport::Udp);
    assert!(cut.metadata.truncation && cut.answers.is_empty() && length <= 512);
    assert_eq!(cut.queries.len(), 1);
    let (whole, length) = ask(&roomy, Transport::Udp);
    assert!(!whole.metadata.truncation && length > 512);
    assert_eq!(whole.answers.len(), 16);
    let (whole, _) = ask(&plain, Transport::Tcp);
    assert!(!whole.metadata.truncation);
    assert_eq!(whole.answers.len(), 16);
    let mut opt = OPT;
    opt[3..5].copy_from_slice(&[2, 1]);
    let (cut, length) = ask(&bytes(&plain, &[&opt]), Transport::Udp);
    assert!(cut.metadata.truncation && cut.edns.is_some() && length <= 513);
}

#[test]
fn what_is_no_query_gets_its_header_back_or_nothing() {
    let mut update = question("web.vm.", RecordType::A);
    update[2] = 5 << 3;
    let answer = ask(&update, Asker::Host);
    assert_eq!(answer.metadata.response_code, ResponseCode::NotImp);
    assert_eq!(u8::from(answer.metadata.op_code), 5);
    let cut = &question("web.vm.", RecordType::A)[..14];
    let answer = ask(cut, Asker::Host);
    assert_eq!(answer.metadata.response_code, ResponseCode::FormErr);
    assert_eq!((answer.metadata.id, answer.queries.len()), (0x1234, 0));
    assert_eq!(
        super::answer(&zone(), &cut[..3], Asker::Host, Transport::Udp),
        None
    );
}

proptest! {
    /// The model: a name is a machine's when its last two labels are the machine's and the zone's.
    #[test]
    fn a_name_is_answered_if_and_only_if_it_ends_in_a_machine(
        labels in proptest::collection::vec("[a-zA-Z0-9_-]{1,20}", 0..5),
        machine in prop_oneof!["web", "WEB", "db", "[a-z]{1,4}"],
        zone in prop_oneof!["vm", "Vm", "com"],
    ) {
        let known = ["web", "db", "alone"].contains(&machine.to_ascii_lowercase().as_str());
        let expected = match (zone.eq_ignore_ascii_case("vm"), known) {
            (true, true) => ResponseCode::NoError,
            (true, false) => ResponseCode::NXDomain,
            (false, _) => ResponseCode::Refused,
        };
        prop_assume!(!["v6", "many"].contains(&machine.as_str()));
        let name = [labels, vec![machine, zone]].concat().join(".") + ".";
        let answer = host(&name, RecordType::A);
        prop_assert_eq!(answer.metadata.response_code, expected);
        prop_assert_eq!(answer.answers.len(), usize::from(expected == ResponseCode::NoError));
        prop_assert!(answer.queries[0].name.eq_case(&dns_name(&name)));
    }
}
