use super::*;

fn installation() -> Installation {
    Installation::from_random([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0, 1])
}

fn subnet(v4: [u8; 4], prefix: u8) -> Result<Subnet, BadSubnet> {
    Subnet::new(v4.into(), prefix, &installation())
}

#[test]
fn addresses_follow_from_the_host_part() {
    let subnet = subnet([172, 16, 0, 0], 24).unwrap();
    let part = HostPart::try_from(2).unwrap();
    assert_eq!(subnet.gateway_v4().to_string(), "172.16.0.1");
    assert_eq!(subnet.gateway_v6().to_string(), "fdaa:bbcc:ddee::1");
    assert_eq!(subnet.guest_v4(part).to_string(), "172.16.0.2");
    assert_eq!(subnet.guest_v6(part).to_string(), "fdaa:bbcc:ddee::2");
    assert_eq!(
        subnet.guest_v4(subnet.probe_part()).to_string(),
        "172.16.0.254"
    );
    assert_eq!(subnet.guests(), 252);
    assert!(subnet.belongs_to(&installation()));
    assert!(!subnet.belongs_to(&Installation::from_random([0; 8])));
}

#[test]
fn the_widest_and_the_narrowest_subnet_keep_their_ends() {
    let wide = subnet([10, 213, 0, 0], 16).unwrap();
    assert_eq!(wide.probe_part().get(), 65_534);
    assert_eq!(
        wide.guest_v4(wide.probe_part()).to_string(),
        "10.213.255.254"
    );
    assert_eq!(wide.guests(), 65_532);
    let narrow = subnet([10, 0, 0, 8], 29).unwrap();
    assert_eq!(narrow.guests(), 4);
    assert!(narrow.has_room_for(HostPart::try_from(5).unwrap()));
    assert!(
        !narrow.has_room_for(HostPart::try_from(6).unwrap()),
        "the probe's"
    );
}

#[test]
fn what_belongs_to_others_is_refused() {
    for prefix in [0, 8, 15, 30, 32, 255] {
        assert_eq!(
            subnet([10, 0, 0, 0], prefix),
            Err(BadSubnet::Prefix { given: prefix })
        );
    }
    for network in [
        [8, 8, 8, 0],
        [127, 0, 0, 0],
        [0, 0, 0, 0],
        [169, 254, 0, 0],
        [224, 0, 0, 0],
        [172, 32, 0, 0],
    ] {
        assert!(
            matches!(subnet(network, 24), Err(BadSubnet::Public { .. })),
            "{network:?}"
        );
    }
    assert!(matches!(
        subnet([10, 0, 0, 1], 24),
        Err(BadSubnet::HostBits { .. })
    ));
}

#[test]
fn a_subnet_from_the_wire_is_checked_like_any_other() {
    let local: Ipv6Addr = "fdaa:bbcc:ddee::".parse().unwrap();
    let wire = |v4: &str, v6: &str| {
        Subnet::try_from(Wire {
            v4: v4.parse().unwrap(),
            v6: v6.parse().unwrap(),
        })
    };
    let good = wire("172.16.0.0/24", "fdaa:bbcc:ddee::/64").unwrap();
    assert_eq!(good.v6().address(), IpAddr::V6(local));
    for (v4, v6) in [
        ("172.16.0.0/24", "fdaa:bbcc:ddee:1::/64"),
        ("172.16.0.0/24", "2001:db8::/64"),
        ("172.16.0.0/24", "fdaa:bbcc:ddee::/48"),
        ("172.16.0.0/24", "fdaa:bbcc:ddee::1/64"),
        ("fdaa:bbcc:ddee::/64", "172.16.0.0/24"),
        ("0.0.0.0/0", "fdaa:bbcc:ddee::/64"),
    ] {
        assert!(wire(v4, v6).is_err(), "{v4} {v6}");
    }
}
