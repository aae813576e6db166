//! Each test confines the thread of its namespace; the other threads of this process stay as they are.

use crate::world::{alone, bridge, ip_link, mark, name, tool};
use banger_linux::confine::{self, Capability, ConfineError, Plan};
use banger_linux::links::{self, Change};
use banger_linux::names::TableName;
use banger_linux::netlink::Netlink;
use banger_linux::nftables::{Family, Nft, Trace};
use banger_linux::programs::{Cancel, Programs};
use banger_linux::sysctl::{self, Sysctl};
use banger_linux::taps::{self, NewTap};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};

const PLAN: Plan<'static> = Plan {
    keep: &[Capability::NetAdmin],
    open_files: 256,
    oom_score: 0,
};

/// Runs a test on a confined thread in a fresh network namespace.
fn confined(before: impl FnOnce() + Send, test: impl FnOnce(&Netlink, &str) + Send) {
    alone(|netlink| {
        before();
        let report = confine::thread(&PLAN).expect("confined");
        test(netlink, &report.to_string());
    });
}

#[test]
fn all_that_the_helper_does_still_works() {
    let programs = Programs::find().expect("nft");
    confined(
        || (),
        |_, report| {
            assert!(
                report.starts_with("confined: capabilities CAP_NET_ADMIN; no new privileges; "),
                "{report}"
            );
            let netlink = &Netlink::open().expect("a new connection");
            let br = bridge(netlink, "br-t");
            let (tap_name, mark) = (name("tap-fc-1"), mark());
            let change = Change {
                up: Some(true),
                mtu: None,
                master: Some(br.index()),
            };
            let wanted = NewTap {
                name: &tap_name,
                mark: &mark,
                owner: 4242,
                change,
                isolated: true,
            };
            let tap = taps::create(netlink, &wanted).expect("made");
            drop(taps::open(netlink, &tap).expect("opened"));
            sysctl::write(Sysctl::Ipv4Forward, 1).expect("written");
            let nft = Nft::new(&programs, Cancel::Never);
            let text = "add table inet t";
            nft.check(text).expect("checked");
            nft.apply(text).expect("applied");
            let table = TableName::parse("t").expect("a name");
            assert!(nft.table(Family::Inet, &table).expect("listed").is_some());
            drop(Trace::start(&programs).expect("it listens"));
            taps::delete(netlink, vec![tap]).expect("deleted");
            std::thread::scope(|scope| {
                let other =
                    scope.spawn(|| links::list(&Netlink::open().expect("inherited")).is_ok());
                assert!(other.join().expect("no panic"));
            });
            assert!(ip_link("br-t").is_some() && ip_link("tap-fc-1").is_none());
        },
    );
}

#[test]
fn programs_inherit_one_capability_and_the_filter() {
    let mut program = alone(|_| {
        confine::thread(&PLAN).expect("confined");
        let mut sleep = std::process::Command::new("sleep");
        sleep.arg("1000").spawn().expect("it starts")
    });
    let status = tool(&format!("cat /proc/{}/status", program.id()));
    program.kill().expect("killed");
    program.wait().expect("reaped");
    let field = |name: &str| {
        let mut lines = status.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(key, _)| *key == name);
        found.map(|(_, value)| value.trim().to_owned())
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set).as_deref(), Some("0000000000001000"), "{set}");
    }
    assert_eq!(field("NoNewPrivs").as_deref(), Some("1"));
    assert_eq!(field("Seccomp").as_deref(), Some("2"));
}

#[test]
fn what_leads_elsewhere_is_gone() {
    let directory = tempfile::tempdir().expect("a directory");
    let private = directory.path().join("private");
    let prepare = || {
        std::fs::write(&private, "secret").expect("written");
        std::os::unix::fs::chown(&private, Some(4242), Some(4242)).expect("root may");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&private, mode).expect("mode");
    };
    confined(prepare, |_, _| {
        let read = std::fs::read(&private).expect_err("another user's");
        assert_eq!(read.kind(), std::io::ErrorKind::PermissionDenied);
        for family in [
            AddressFamily::INET,
            AddressFamily::INET6,
            AddressFamily::PACKET,
        ] {
            let socket = rustix::net::socket(family, SocketType::DGRAM, None);
            assert_eq!(socket.expect_err("not for it"), Errno::NOSYS);
        }
        assert_eq!(
            rustix::process::chroot("/").expect_err("gone"),
            Errno::NOSYS
        );
        let own = std::fs::File::open("/proc/thread-self/ns/net").expect("opened");
        let moved = rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&own), None);
        assert_eq!(moved.expect_err("gone"), Errno::NOSYS);
        for line in [
            "unshare --net true",
            "unshare --user true",
            "mount -t tmpfs none /mnt",
        ] {
            let mut words = line.split(' ');
            let mut command = std::process::Command::new(words.next().expect("a program"));
            let output = command.args(words).output().expect("it starts");
            assert!(!output.status.success(), "{line}");
        }
    });
}

#[test]
fn the_file_system_is_closed_where_the_kernel_can() {
    let directory = tempfile::tempdir().expect("a directory");
    let own = directory.path().join("own");
    let prepare = || std::fs::write(&own, "root's").expect("written");
    confined(prepare, |_, report| {
        let opened = [
            std::fs::read(&own).is_ok(),
            std::fs::read_dir("/root").is_ok(),
            std::fs::write(&own, "changed").is_ok(),
            std::fs::read("/proc/1/status").is_ok(),
        ];
        // Without Landlock only permissions hold; the report must not say otherwise.
        let without = report.ends_with("landlock absent (the kernel has none)");
        assert_eq!(opened.contains(&true), without, "{report}: {opened:?}");
        assert!(std::fs::read("/usr/sbin/nft").is_ok());
    });
}

#[test]
fn a_process_with_other_threads_is_not_confined_by_half() {
    alone(|_| {
        let (status, limit) = (
            || tool("cat /proc/self/status"),
            rustix::process::Resource::Nofile,
        );
        let before = (
            rustix::process::getrlimit(limit),
            status().contains("NoNewPrivs:\t1"),
        );
        assert!(matches!(
            confine::process(&PLAN),
            Err(ConfineError::Threads(2..))
        ));
        assert_eq!(
            before,
            (
                rustix::process::getrlimit(limit),
                status().contains("NoNewPrivs:\t1")
            )
        );
    });
}

#[test]
fn without_privileges_there_is_nothing_to_give_up_and_that_is_an_error() {
    confined(
        || (),
        |_, _| {
            let again = confine::thread(&PLAN).expect_err("SETPCAP is gone");
            assert!(again.to_string().starts_with("cannot "), "{again}");
        },
    );
}
