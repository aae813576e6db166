use super::*;
use proptest::prelude::*;
use std::net::Ipv6Addr;

fn publication(text: &str) -> Publication {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn each_form_means_what_the_head_says() {
    let cases = [
        ("8080", "127.0.0.1:8080:8080/tcp"),
        ("8080:80", "127.0.0.1:8080:80/tcp"),
        ("0:80", "127.0.0.1:0:80/tcp"),
        ("53/udp", "127.0.0.1:53:53/udp"),
        ("8080:80/tcp", "127.0.0.1:8080:80/tcp"),
        ("0.0.0.0:8080", "0.0.0.0:8080:8080/tcp"),
        ("192.0.2.7:0:80", "192.0.2.7:0:80/tcp"),
        ("[::1]:8080:80/udp", "[::1]:8080:80/udp"),
        ("[::]:443", "[::]:443:443/tcp"),
        ("65535:1", "127.0.0.1:65535:1/tcp"),
    ];
    for (text, whole) in cases {
        assert_eq!(publication(text).to_string(), whole, "{text}");
    }
}

#[test]
fn anything_else_is_refused_with_its_reason() {
    let cases = [
        ("", "not a port"),
        ("http", "not a port"),
        ("0", "which port of the guest"),
        ("127.0.0.1:0", "which port of the guest"),
        ("8080:0", "from 1 to 65535"),
        ("65536", "from 0 to 65535"),
        ("-1", "not a port"),
        ("+80", "not a port"),
        (" 80", "not a port"),
        ("80 ", "not a port"),
        ("80-90", "not a port"),
        ("8080:", "not a port"),
        (":80", "not a port"),
        ("127.0.0.1", "not a port"),
        ("127.0.0.1:", "not a port"),
        ("localhost:8080", "not an address"),
        ("256.0.0.1:80", "not an address"),
        ("1.2.3.4:5:6:7", "form"),
        ("1:2:3", "form"),
        ("::1:8080", "form"),
        ("fe80::1:80", "not an address"),
        ("[::1]", "form"),
        ("[::1]8080", "form"),
        ("[::1:8080", "form"),
        ("[127.0.0.1]:80", "not an address"),
        ("[fe80::1%eth0]:80", "not an address"),
        ("80/sctp", "tcp or udp"),
        ("80/TCP", "tcp or udp"),
        ("80/", "tcp or udp"),
        ("80/tcp/udp", "tcp or udp"),
    ];
    for (text, why) in cases {
        let error = text.parse::<Publication>().expect_err(text).to_string();
        assert!(error.contains(why), "{text:?}: {error}");
    }
}

#[test]
fn a_selector_means_what_it_names_and_nothing_more() {
    let chosen = Published {
        chosen: NonZeroU16::new(4000),
        ..Published::new(publication("0:80"))
    };
    let fixed = Published::new(publication("0.0.0.0:4000:80/udp"));
    let selects = |text: &str| {
        let selector: PortSelector = text.parse().expect(text);
        assert_eq!(selector.to_string(), text);
        (selector.selects(&chosen), selector.selects(&fixed))
    };
    assert_eq!(selects("4000"), (true, true));
    assert_eq!(selects("4000/tcp"), (true, false));
    assert_eq!(selects("0.0.0.0:4000"), (false, true));
    assert_eq!(selects("127.0.0.1:4000/udp"), (false, false));
    assert_eq!(selects("80"), (false, false));
    for text in ["0", "4000:80", "", "[::1]", "x:1", "4000/x"] {
        assert!(text.parse::<PortSelector>().is_err(), "{text}");
    }
}

#[test]
fn sockets_collide_as_the_kernel_has_it() {
    let both = |one: &str, other: &str| {
        let (one, other) = (one.parse().expect(one), other.parse().expect(other));
        assert_eq!(collide(one, other), collide(other, one));
        collide(one, other)
    };
    assert!(both("127.0.0.1:80", "127.0.0.1:80"));
    assert!(both("127.0.0.1:80", "0.0.0.0:80"));
    assert!(both("[::]:80", "[::1]:80"));
    assert!(!both("127.0.0.1:80", "127.0.0.2:80"));
    assert!(!both("127.0.0.1:80", "127.0.0.1:81"));
    assert!(!both("0.0.0.0:80", "[::]:80"), "one is IPv6 alone");
}

#[test]
fn what_is_there_already_is_kept_and_what_collides_is_refused() {
    let have = add(&[], &[publication("8080:80"), publication("0:80")]).expect("apart");
    assert_eq!(have.len(), 2, "several for one guest port are fine");
    let same = add(&have, &[publication("8080:80"), publication("0:80")]).expect("the same");
    assert_eq!(same, have);
    let udp = add(&have, &[publication("8080:53/udp")]).expect("another protocol");
    assert_eq!(udp.len(), 3);
    for text in ["8080:81", "0.0.0.0:8080:80"] {
        let error = add(&have, &[publication(text)]).expect_err(text);
        assert!(error.to_string().contains(":8080:"), "{error}");
    }
}

#[test]
fn there_is_a_limit_on_how_many() {
    let many: Vec<_> = (1..=65)
        .map(|port| publication(&port.to_string()))
        .collect();
    assert!(add(&[], &many[..64]).is_ok());
    assert_eq!(add(&[], &many), Err(CannotAdd::TooMany));
}

fn any_publication() -> impl Strategy<Value = Publication> {
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes))),
    ];
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)];
    (protocol, address, any::<u16>(), any::<NonZeroU16>()).prop_map(
        |(protocol, address, port, guest)| Publication {
            protocol,
            address,
            port: NonZeroU16::new(port),
            guest,
        },
    )
}

proptest! {
    #[test]
    fn what_is_shown_reads_back(publication in any_publication()) {
        prop_assert_eq!(publication.to_string().parse(), Ok(publication));
    }

    #[test]
    fn a_selector_that_is_shown_reads_back(of in any_publication(), exact: bool) {
        let selector = PortSelector {
            protocol: exact.then_some(of.protocol),
            address: exact.then_some(of.address),
            port: of.guest,
        };
        prop_assert_eq!(selector.to_string().parse(), Ok(selector));
    }

    #[test]
    fn no_text_panics_and_one_that_is_taken_reads_back(text in "[0-9a-f:.\\[\\]/tcpud]{0,30}|\\PC{0,30}") {
        if let Ok(publication) = text.parse::<Publication>() {
            prop_assert_eq!(publication.to_string().parse(), Ok(publication));
        }
        let _ = text.parse::<PortSelector>();
    }
}
