use crate::world::{alone, bridge, name, tool};
use banger_linux::Outcome;
use banger_linux::names::InterfaceName;
use banger_linux::namespaces::in_fresh;
use banger_linux::sysctl::{Sysctl, SysctlError, read, write};

/// What `nft` and `ip` do not show is read by another program's eyes all the same.
fn cat(path: &str) -> i32 {
    let text = tool(&format!("cat /proc/sys/net/{path}"));
    text.trim().parse().expect("a number")
}

#[test]
fn each_is_the_file_that_it_stands_for() {
    alone(|netlink| {
        bridge(netlink, "br-t");
        let link = name("br-t");
        for (sysctl, path, value) in [
            (Sysctl::Ipv4Forward, "ipv4/ip_forward", 1),
            (Sysctl::Ipv6ForwardAll, "ipv6/conf/all/forwarding", 1),
            (
                Sysctl::Ipv4Forwarding(&link),
                "ipv4/conf/br-t/forwarding",
                0,
            ),
            (
                Sysctl::Ipv6Forwarding(&link),
                "ipv6/conf/br-t/forwarding",
                0,
            ),
            (
                Sysctl::SendRedirects(&link),
                "ipv4/conf/br-t/send_redirects",
                0,
            ),
            (Sysctl::AcceptRa(&link), "ipv6/conf/br-t/accept_ra", 0),
            (Sysctl::RpFilter(&link), "ipv4/conf/br-t/rp_filter", 2),
        ] {
            assert_ne!(cat(path), value, "{sysctl} before");
            assert_eq!(write(sysctl, value), Ok(Outcome::Made), "{sysctl}");
            assert_eq!(cat(path), value, "{sysctl}");
            assert_eq!(read(sysctl), Ok(value));
            assert_eq!(write(sysctl, value), Ok(Outcome::WasSoAlready));
        }
    });
}

#[test]
fn other_namespaces_are_not_touched() {
    alone(|_| {
        let other = in_fresh(|| write(Sysctl::Ipv4Forward, 1)).expect("a namespace");
        assert_eq!(other, Ok(Outcome::Made));
        assert_eq!(read(Sysctl::Ipv4Forward), Ok(0));
    });
}

#[test]
fn what_is_not_there_or_cannot_be_is_an_error_that_names_it() {
    alone(|_| {
        let gone = name("br-t.7");
        assert_eq!(
            read(Sysctl::RpFilter(&gone)).expect_err("gone").to_string(),
            "there is no sysctl net.ipv4.conf.br-t.7.rp_filter: no such interface, or the kernel lacks it"
        );
        assert!(matches!(
            write(Sysctl::AcceptRa(&gone), 0),
            Err(SysctlError::Absent { .. })
        ));
        assert!(InterfaceName::parse("../../kernel").is_err());
    });
}
